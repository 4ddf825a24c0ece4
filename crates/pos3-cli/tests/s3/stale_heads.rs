//! A cache in front of the server answers HEAD requests with an old state: no object of another writer is lost.

use std::fs;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use pos3_tests::server::{Answer, ConditionalDeletes, ConditionalWrites, Fault, Operation};

use super::run::stored;
use super::{BUCKET, Cloud};
use crate::program::Ended;

/// The size of a file that is uploaded in parts.
const LARGE: usize = 17 << 20;

/// Stores an object that is older than the clock's resolution.
fn put_old(cloud: &Cloud, key: &str, content: &'static str) {
    cloud.server.put(BUCKET, key, content);
    cloud.server.set_modified(BUCKET, key, SystemTime::now() - Duration::from_secs(60));
}

#[track_caller]
fn assert_kept(cloud: &Cloud, ended: &Ended, key: &str) {
    assert_eq!((ended.code, cloud.server.faults_waiting()), (Some(1), 0), "{ended:?}");
    assert_eq!(stored(cloud, key).as_deref(), Some("theirs"), "{ended:?}");
    assert!(ended.err.contains("has changed since it was listed"), "{}", ended.err);
    assert!(!ended.err.contains("without its condition"), "{}", ended.err);
}

#[test]
fn a_head_with_an_old_state_overrules_no_refused_condition() {
    for (size, source, operation) in [
        (5, "from", Operation::PutObject),
        (LARGE, "from", Operation::CompleteMultipartUpload),
        (5, "s3://data/from", Operation::CopyObject),
    ] {
        let cloud = Cloud::new(&[("from/f", "")]);
        fs::write(cloud.program.path("from/f"), vec![b'n'; size]).unwrap();
        cloud.server.put(BUCKET, "from/f", "newer");
        put_old(&cloud, "d/f", "old");
        cloud.server.cache_reads(BUCKET);
        cloud.server.fault(Fault::on(operation).answer(Answer::Overtaken { key: "d/f", content: "theirs" }));
        let ended = cloud.run(&["sync", source, "s3://data/d"]);
        assert_kept(&cloud, &ended, "d/f");
    }
}

#[test]
fn without_a_listing_no_head_overrules_a_refused_condition() {
    let cloud = Cloud::new(&[("from/f", "new")]);
    put_old(&cloud, "d/f", "old");
    let refused = Answer::Error { status: StatusCode::PRECONDITION_FAILED, code: "PreconditionFailed" };
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(refused));
    cloud.server.fault(Fault::on(Operation::ListObjectsV2).key("d/f").always().answer(Answer::access_denied()));
    let ended = cloud.run(&["sync", "from", "s3://data/d"]);
    assert_eq!((ended.code, cloud.server.faults_waiting()), (Some(1), 0), "{ended:?}");
    assert_eq!(stored(&cloud, "d/f").as_deref(), Some("old"), "{ended:?}");
    assert!(ended.err.contains("has changed since it was listed"), "{}", ended.err);
    assert_eq!(cloud.server.requests().of(Operation::PutObject), 1, "{ended:?}");
}

#[test]
fn a_condition_that_is_omitted_is_reported_with_its_object() {
    let cloud = Cloud::new(&[("from/f", "new")]);
    put_old(&cloud, "d/f", "old");
    cloud.server.configure(|settings| settings.conditional_writes = ConditionalWrites::IfMatchFails);
    let ended = cloud.run(&["sync", "from", "s3://data/d"]);
    assert_eq!((ended.code, stored(&cloud, "d/f").as_deref()), (Some(0), Some("new")), "{ended:?}");
    let warning = "refused a conditional write of 'd/f', which was then sent without its condition";
    assert!(ended.err.contains(warning), "{}", ended.err);
}

#[test]
fn a_head_with_an_old_state_permits_no_write_without_a_condition() {
    let cloud = Cloud::new(&[("from/a", "new"), ("from/b", "new")]);
    put_old(&cloud, "d/a", "old a");
    put_old(&cloud, "d/b", "old b");
    cloud.server.cache_reads(BUCKET);
    cloud.server.configure(|settings| settings.conditional_writes = ConditionalWrites::Refused);
    // The first two requests have a condition, which the server does not support.
    let overtaken = Answer::Overtaken { key: "d/b", content: "theirs" };
    cloud.server.fault(Fault::on(Operation::PutObject).key("d/a").nth(3).answer(overtaken));
    let ended = cloud.run(&["sync", "from", "s3://data/d", "-j", "1"]);
    assert_kept(&cloud, &ended, "d/b");
    assert_eq!(stored(&cloud, "d/a").as_deref(), Some("new"), "{ended:?}");
}

#[test]
fn a_head_with_an_old_state_is_no_evidence_that_a_lost_write_was_executed() {
    let cloud = Cloud::new(&[("from/f", "new")]);
    put_old(&cloud, "d/f", "new");
    cloud.server.cache_reads(BUCKET);
    put_old(&cloud, "d/f", "theirs");
    cloud.server.fault(Fault::on(Operation::PutObject).answer(Answer::Reset));
    let ended = cloud.run(&["sync", "from", "s3://data/d"]);
    assert_kept(&cloud, &ended, "d/f");
}

#[test]
fn an_object_that_only_a_head_shows_unchanged_is_not_deleted() {
    let limit = ["--delete", "--max-delete", "100%"];
    // The server refuses the condition of the delete.
    let cloud = Cloud::new(&[("d/new", "1")]).with_objects(&[("d/old", "1")]);
    cloud.server.cache_reads(BUCKET);
    let overtaken = Answer::Overtaken { key: "d/old", content: "theirs" };
    cloud.server.fault(Fault::on(Operation::DeleteObjects).answer(overtaken));
    let ended = cloud.run(&[&["sync", "d", "s3://data/d"][..], &limit].concat());
    assert_kept(&cloud, &ended, "d/old");

    // The server ignores conditions, and so many objects are between the two that no page contains both.
    let cloud = Cloud::new(&[("d/new", "1")]).with_objects(&[("d/a", "1"), ("d/z", "1")]);
    for number in 0..30 {
        let key = format!("d/between/{number:02}");
        cloud.server.put(BUCKET, &key, "same");
        let path = cloud.program.path(&key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "same").unwrap();
    }
    cloud.server.cache_reads(BUCKET);
    cloud.server.configure(|settings| settings.conditional_deletes = ConditionalDeletes::Ignored);
    let overtaken = Answer::Overtaken { key: "d/z", content: "theirs" };
    cloud.server.fault(Fault::on(Operation::PutObject).key("d/new").answer(overtaken));
    let ended = cloud.run(&[&["sync", "d", "s3://data/d"][..], &limit].concat());
    assert_kept(&cloud, &ended, "d/z");
    assert!(stored(&cloud, "d/a").is_none(), "{ended:?}");
}
