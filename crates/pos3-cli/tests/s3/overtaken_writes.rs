//! Objects that another client replaces between the listing and the write: pos3 keeps them, and the exit code is 1.

use std::time::{Duration, SystemTime};

use pos3_tests::server::{Answer, Fault, Operation};

use super::run::stored;
use super::{BUCKET, Cloud};

#[test]
fn a_marker_with_content_that_is_replaced_meanwhile_is_not_overwritten() {
    let cloud = Cloud::new(&[]).with_objects(&[("from/m/", "content of the source"), ("to/m/", "old")]);
    for operation in [Operation::PutObject, Operation::CopyObject] {
        let answer = Answer::Overtaken { key: "to/m/", content: "theirs" };
        cloud.server.fault(Fault::on(operation).key("to/m/").answer(answer));
    }
    let ended = cloud.run(&["sync", "s3://data/from", "s3://data/to"]);
    assert_eq!((ended.code, stored(&cloud, "to/m/").as_deref()), (Some(1), Some("theirs")), "{ended:?}");
    assert!(ended.err.contains("has changed since it was listed"), "{}", ended.err);
}

#[test]
fn an_object_listed_without_an_etag_is_overwritten_only_as_it_was_listed() {
    let cloud = Cloud::new(&[("from/a", "new"), ("from/b", "new"), ("from/c", "new")]);
    cloud.server.configure(|settings| settings.lists_etags = false);
    for key in ["to/a", "to/b", "to/c"] {
        cloud.server.put(BUCKET, key, "old content");
        cloud.server.set_modified(BUCKET, key, SystemTime::now() - Duration::from_secs(60));
    }
    // One object is replaced before its lookup, another one after it.
    for (sent, key) in [("to/a", "to/b"), ("to/c", "to/c")] {
        let answer = Answer::Overtaken { key, content: "theirs" };
        cloud.server.fault(Fault::on(Operation::PutObject).key(sent).answer(answer));
    }
    let ended = cloud.run(&["sync", "from", "s3://data/to", "-j", "1"]);
    for (key, content) in [("to/a", "new"), ("to/b", "theirs"), ("to/c", "theirs")] {
        assert_eq!((ended.code, stored(&cloud, key).as_deref()), (Some(1), Some(content)), "{key}: {ended:?}");
    }
    assert_eq!(ended.err.matches("has changed since it was listed").count(), 2, "{}", ended.err);
}
