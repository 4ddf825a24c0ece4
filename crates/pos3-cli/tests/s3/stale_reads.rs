//! A cache in front of the server answers HEAD and GET requests with an old state: it replaces nothing newer.

use std::fs;

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
    assert!(ended.err.contains("it kept changing while it was read"), "{}", ended.err);
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
