//! A cache in front of the server answers HEAD and GET requests with an old state: it replaces nothing newer.

use std::fs;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};

fn read(cloud: &Cloud, path: &str) -> Option<String> {
    fs::read_to_string(cloud.program.path(path)).ok()
}

#[test]
fn a_head_with_an_old_state_does_not_replace_the_listed_source() {
    let cloud = Cloud::new(&[("to/f", "version 2")]).with_objects(&[("d/f", "version 1")]);
    cloud.server.cache_reads(BUCKET);
    cloud.server.put(BUCKET, "d/f", "the newest version");
    let ended = cloud.run(&["sync", "s3://data/d", "to"]);
    assert_eq!((ended.code, read(&cloud, "to/f").as_deref()), (Some(1), Some("version 2")), "{ended:?}");
    assert!(ended.err.contains("so a cache may return an old object"), "{}", ended.err);
    assert!(!ended.err.contains("it kept changing"), "{}", ended.err);
}

/// Lookups are not cached, so they agree with the listing. Only the content is old.
#[test]
fn an_old_content_that_is_read_again_and_again_is_not_called_a_change() {
    let cloud = Cloud::new(&[("to/f", "version 2")]).with_objects(&[("d/f", "the newest version")]);
    let failed = Answer::Error { status: StatusCode::PRECONDITION_FAILED, code: "PreconditionFailed" };
    cloud.server.fault(Fault::on(Operation::GetObject).always().answer(failed));
    let ended = cloud.run(&["sync", "s3://data/d", "to"]);
    assert_eq!((ended.code, read(&cloud, "to/f").as_deref()), (Some(1), Some("version 2")), "{ended:?}");
    assert!(ended.err.contains("so a cache may return an old object"), "{}", ended.err);
}

/// Neither the listing nor the content shows that the object is another one.
#[test]
fn a_checksum_that_only_a_head_with_an_old_state_has_makes_nothing_equal() {
    let cloud = Cloud::new(&[("d/f", "old")]);
    assert_eq!(cloud.run(&["sync", "d", "s3://data/d", "-q"]).code, Some(0));
    cloud.server.configure(|settings| settings.lists_etags = false);
    cloud.server.set_modified(BUCKET, "d/f", SystemTime::now() - Duration::from_secs(60));
    assert_eq!(cloud.run(&["check", "d", "s3://data/d"]).code, Some(0));
    cloud.server.cache_reads(BUCKET);
    cloud.server.put(BUCKET, "d/f", "new");
    let ended = cloud.run(&["check", "d", "s3://data/d"]);
    assert_ne!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_single_object_that_only_a_head_shows_is_not_treated_as_equal() {
    let cloud = Cloud::new(&[("f", "old")]).with_objects(&[("d/f", "old")]);
    cloud.server.cache_reads(BUCKET);
    cloud.server.put(BUCKET, "d/f", "newer");
    for command in [&["download", "s3://data/d/f", "--local", "f"][..], &["explain", "s3://data/d", ".", "f"]] {
        let ended = cloud.run(command);
        assert_eq!(ended.code, Some(1), "{command:?} {ended:?}");
        assert!(ended.err.contains("a cache may answer with an old state"), "{command:?} {}", ended.err);
    }
}

#[test]
fn apply_deletes_nothing_that_only_a_head_shows_as_missing_in_the_source() {
    let cloud = Cloud::new(&[("to/keep", "same"), ("to/x", "data")]).with_objects(&[("d/keep", "same")]);
    let planned = cloud.run(&["plan", "s3://data/d", "to", "--delete", "-o", "plan"]);
    assert!(cloud.program.path("plan").exists(), "{planned:?}");
    cloud.server.cache_reads(BUCKET);
    cloud.server.put(BUCKET, "d/x", "data");
    let ended = cloud.run(&["apply", "plan"]);
    assert_eq!((ended.code, read(&cloud, "to/x").as_deref()), (Some(1), Some("data")), "{ended:?}");
    assert!(ended.err.contains("the source has it again"), "{}", ended.err);
}

#[test]
fn apply_copies_nothing_that_only_a_head_shows_as_planned() {
    let cloud = Cloud::new(&[("to/f", "local")]).with_objects(&[("d/f", "planned")]);
    let planned = cloud.run(&["plan", "s3://data/d", "to", "-o", "plan"]);
    assert!(cloud.program.path("plan").exists(), "{planned:?}");
    cloud.server.cache_reads(BUCKET);
    cloud.server.put(BUCKET, "d/f", "newer than the plan");
    let ended = cloud.run(&["apply", "plan"]);
    assert_eq!((ended.code, read(&cloud, "to/f").as_deref()), (Some(1), Some("local")), "{ended:?}");
    assert!(ended.err.contains("the source has changed since the plan was made"), "{}", ended.err);
}
