//! Writes whose conditions the server refuses although they are met.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};

#[test]
fn an_object_whose_conditional_writes_fail_leaves_other_writers_objects_alone() {
    let cloud = Cloud::new(&[("from/f", "new f"), ("from/g", "new g")]);
    for key in ["d/f", "d/g"] {
        cloud.server.put(BUCKET, key, "old");
        cloud.server.set_modified(BUCKET, key, SystemTime::now() - Duration::from_secs(60));
    }
    let refused = Answer::Error { status: StatusCode::PRECONDITION_FAILED, code: "PreconditionFailed" };
    cloud.server.fault(Fault::on(Operation::PutObject).key("d/f").times(3).answer(refused));
    let overtaken = Answer::Overtaken { key: "d/g", content: "theirs" };
    cloud.server.fault(Fault::on(Operation::PutObject).key("d/g").answer(overtaken));
    let ended = cloud.run(&["sync", "from", "s3://data/d", "-j", "1"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("d/g") || ended.err.contains("'g'"), "{}", ended.err);
    let content = |key| cloud.server.object(BUCKET, key).unwrap().bytes;
    assert_eq!((content("d/f"), content("d/g")), ("new f".into(), "theirs".into()), "{ended:?}");
}

#[test]
fn a_new_object_that_the_server_refuses_as_existing_is_not_said_to_have_changed() {
    let cloud = Cloud::new(&[("from/f", "new f")]);
    let refused = Answer::Error { status: StatusCode::PRECONDITION_FAILED, code: "PreconditionFailed" };
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(refused));
    let ended = cloud.run(&["sync", "from", "s3://data/d"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let message = "d/f: the server refuses to create the object because it exists (If-None-Match), but it does not exist: \
                   http 412 PreconditionFailed";
    assert!(ended.err.contains(message) && ended.err.contains("hint: repeat the command later; "), "{}", ended.err);
}
