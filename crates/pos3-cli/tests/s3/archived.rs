//! Archived objects: pos3 recognises them in the listing and skips them without a request, and other deletes are made.

use std::fs;

use pos3_tests::server::{Operation, Storage};

use super::{BUCKET, Cloud};

fn archived(class: &str) -> Storage {
    Storage::Archived { class: class.to_owned() }
}

fn with_archive() -> Cloud {
    let cloud = Cloud::new(&[]).with_objects(&[("p/cold", "1"), ("p/deep", "2"), ("p/warm", "3"), ("p/back", "4")]);
    cloud.server.set_storage(BUCKET, "p/cold", archived("GLACIER"));
    cloud.server.set_storage(BUCKET, "p/deep", archived("DEEP_ARCHIVE"));
    cloud.server.set_storage(BUCKET, "p/back", Storage::Restored { class: "GLACIER".to_owned() });
    cloud
}

#[test]
fn the_hints_of_download_name_its_own_options() {
    let cloud = with_archive();
    let ended = cloud.run(&["download", "s3://data/p", "--local", "down"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("or leave archived objects out with --exclude\n"), "{}", ended.err);
    let ended = cloud.run(&["download", "s3://data/none", "--local", "down", "--delete"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("; with --delete, --allow-empty accepts a location that is empty\n"), "{}", ended.err);
    let emptied = ["download", "s3://data/none", "--local", "down", "--delete", "--allow-empty"];
    assert_eq!(cloud.run(&emptied).code, Some(0));
}

#[test]
fn an_archived_object_is_skipped_without_a_request_and_withholds_nothing() {
    let cloud = with_archive();
    fs::create_dir(cloud.program.path("out")).unwrap();
    fs::write(cloud.program.path("out/gone"), "x").unwrap();
    let ended = cloud.run(&["sync", "s3://data/p", "out", "--delete"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("skipped: 2 keys because it is archived and must be restored first:\n"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("hint: restore it first: aws s3api restore-object"), "{}", ended.err);
    assert!(ended.err.contains("--skip-archived"), "{}", ended.err);
    let names: Vec<String> = cloud.program.files("out").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["back", "warm"], "a restored copy is read, and what is gone is deleted");
    assert_eq!(cloud.server.requests().of(Operation::GetObject), 2);
    let listings = cloud.server.requests().of(Operation::ListObjectsV2);
    assert_eq!(listings, 2, "one request more tells what was restored");
}

#[test]
fn what_an_archived_object_would_replace_stays_and_everything_else_is_deleted() {
    let objects = [("p/m", "1"), ("p/n/cold", "2"), ("p/o/cold", "3"), ("p/o/warm", "4"), ("p/warm", "5")];
    for more in [&[][..], &["--skip-archived"]] {
        let cloud =
            Cloud::new(&[("out/m/old", "1"), ("out/m/deep/old", "2"), ("out/mm", "3"), ("out/n", "4"), ("out/o", "5")]);
        let cloud = cloud.with_objects(&objects);
        for key in ["p/m", "p/n/cold", "p/o/cold"] {
            cloud.server.set_storage(BUCKET, key, archived("GLACIER"));
        }
        let arguments = [&["sync", "s3://data/p", "out", "--delete", "--max-delete", "100%"][..], more].concat();
        let plan = cloud.run(&[&arguments[..], &["-n"]].concat());
        assert!(!plan.out.contains("out/m/") && plan.out.contains("out/mm"), "{plan:?}");
        let ended = cloud.run(&arguments);
        assert_eq!(ended.code, Some(i32::from(more.is_empty())), "{ended:?}");
        let found = cloud.program.files("out");
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["m/deep/old", "m/old", "n", "o/warm", "warm"], "{more:?} {ended:?}");
    }
}

#[test]
fn archived_objects_can_be_left_out() {
    let cloud = with_archive();
    let plan = cloud.run(&["sync", "s3://data/p", "out", "-n", "--skip-archived"]);
    assert_eq!((plan.code, plan.out.lines().count()), (Some(0), 2), "{plan:?}");
    let ended = cloud.run(&["sync", "s3://data/p", "out", "--skip-archived"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("left out: 2 keys because it is archived"), "{}", ended.err);
}

#[test]
fn what_was_copied_before_it_was_archived_is_unchanged() {
    let cloud = with_archive();
    fs::create_dir(cloud.program.path("out")).unwrap();
    for (name, content) in [("cold", "1"), ("deep", "2"), ("warm", "3"), ("back", "4")] {
        fs::write(cloud.program.path("out").join(name), content).unwrap();
    }
    let ended = cloud.run(&["sync", "s3://data/p", "out", "--delete"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("unchanged  4\n"), "{}", ended.err);
}

#[test]
fn an_archived_object_is_not_copied_inside_the_server_either() {
    let cloud = with_archive();
    let ended = cloud.run(&["sync", "s3://data/p", "s3://data/q"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let copied: Vec<String> = cloud.server.keys(BUCKET).into_iter().filter(|key| key.starts_with("q/")).collect();
    assert_eq!(copied, ["q/back", "q/warm"]);
    let requests = cloud.server.requests();
    assert_eq!((requests.of(Operation::CopyObject), requests.of(Operation::GetObject)), (2, 0));
}

#[test]
fn an_archive_tier_that_no_listing_shows_is_told_by_the_refusal() {
    let cloud = Cloud::new(&[]).with_objects(&[("p/a", "1"), ("p/b", "2")]);
    cloud.server.set_storage(BUCKET, "p/a", archived("INTELLIGENT_TIERING"));
    for target in ["out", "s3://data/q"] {
        let ended = cloud.run(&["sync", "s3://data/p", target]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("skipped: 1 key because it is archived"), "{target}: {}", ended.err);
        let ended = cloud.run(&["sync", "s3://data/p", target, "--skip-archived"]);
        assert_eq!(ended.code, Some(0), "{target}: {ended:?}");
    }
}

#[test]
fn a_check_compares_what_is_archived() {
    let cloud = with_archive();
    fs::create_dir(cloud.program.path("out")).unwrap();
    for (name, content) in [("cold", "1"), ("deep", "?"), ("warm", "3"), ("back", "4")] {
        fs::write(cloud.program.path("out").join(name), content).unwrap();
    }
    let ended = cloud.run(&["check", "s3://data/p", "out"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(3), "* deep\n"), "{ended:?}");
}
