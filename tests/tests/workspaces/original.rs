//! The cases of the class of `s3-workspace-sync`, as far as pulls and pushes on a server are concerned.
//! `docs/FAULTS.md` lists the differences.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pos3::Phase;
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, PREFIX, World, files, pairs, write};

#[tokio::test]
async fn a_pull_creates_the_directory_and_reads_all_pages_and_no_marker() {
    let world = World::new();
    world.server.configure(|settings| settings.page_size = 3);
    for number in 0..10 {
        world.put(&format!("d{}/{number}", number % 2), "12345");
    }
    world.server.put(BUCKET, PREFIX, "");
    world.put("empty/", "");
    let before = world.objects();
    let one = world.workspace("deep/below/one");
    let report = one.pull().await.unwrap();
    assert!(report.success && (report.bytes, report.deleted) == (50, 0), "{report:?}");
    assert!(report.duration > Duration::ZERO);
    assert_eq!(files(one.path()).len(), 10);
    let report = one.push().await.unwrap();
    assert!(report.success && (report.uploaded, report.deleted) == (0, 0), "{report:?}");
    assert_eq!(world.objects(), before);
}

#[tokio::test]
async fn a_pull_and_a_push_without_anything_to_do_succeed() {
    let world = World::new();
    let one = world.workspace("one");
    for report in [one.pull().await.unwrap(), one.push().await.unwrap(), one.pull().await.unwrap()] {
        let counts = (report.downloaded, report.uploaded, report.deleted, report.bytes, report.failed);
        assert!(report.success && counts == (0, 0, 0, 0, 0) && report.errors.is_empty(), "{report:?}");
    }
    assert_eq!(world.objects(), pairs(&[]));
}

#[tokio::test]
async fn a_file_that_cannot_be_stored_is_in_the_report_and_the_others_are_stored() {
    let world = World::with(&[("a", "1")]);
    let one = world.workspace("one");
    assert!(one.pull().await.unwrap().success);
    ["a", "b", "d/c"].iter().for_each(|path| write(one.path(), path, "22"));
    let denied = Fault::on(Operation::PutObject).key(format!("{PREFIX}b")).always().answer(Answer::access_denied());
    world.server.fault(denied);
    let report = one.push().await.unwrap();
    assert!(!report.success && (report.uploaded, report.failed) == (2, 1), "{report:?}");
    assert!(report.errors[0].contains("'b'") && report.errors[0].contains("403"), "{report:?}");
    world.server.clear_faults();
    let report = one.push().await.unwrap();
    assert!(report.success && report.uploaded == 1, "{report:?}");
    assert_eq!(world.objects(), pairs(&[("a", "22"), ("b", "22"), ("d/c", "22")]));
}

#[tokio::test]
async fn a_listing_that_fails_is_an_error_with_a_code_and_changes_nothing() {
    let world = World::with(&[("a", "1"), ("b", "1")]);
    let one = world.workspace("one");
    assert!(one.pull().await.unwrap().success);
    write(one.path(), "new", "new");
    fs::remove_file(one.path().join("a")).unwrap();
    let before = (files(one.path()), world.objects());
    world.server.fault(Fault::on(Operation::ListObjectsV2).always().answer(Answer::access_denied()));
    for error in [one.push().await.unwrap_err(), one.pull().await.unwrap_err()] {
        assert_eq!(error.code(), "S3_OPERATION_ERROR", "{error}");
        assert!(error.to_string().contains("access denied"), "{error}");
    }
    assert_eq!((files(one.path()), world.objects()), before);
}

#[tokio::test]
async fn a_push_stores_regular_files_with_their_media_types() {
    let world = World::new();
    let one = world.workspace("one");
    write(one.path(), "notes.md", "# notes");
    write(one.path(), "d/photo.PNG", "png");
    symlink("notes.md", one.path().join("link")).unwrap();
    fs::create_dir(one.path().join("empty")).unwrap();
    let report = one.push().await.unwrap();
    assert!(report.success && (report.uploaded, report.skipped) == (2, 1), "{report:?}");
    assert_eq!(world.objects(), pairs(&[("notes.md", "# notes"), ("d/photo.PNG", "png")]));
    for (key, expected) in [("notes.md", "text/markdown; charset=utf-8"), ("d/photo.PNG", "image/png")] {
        let object = world.server.object(BUCKET, &format!("{PREFIX}{key}")).unwrap();
        assert_eq!(object.properties.content_type.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn the_result_of_a_pull_in_the_background_is_that_of_the_pull() {
    let world = World::with(&[("a", "1")]);
    let one = world.workspace("one");
    assert!(one.wait_for_pull().await.unwrap().is_none() && !one.is_pull_complete(), "none was started");
    let list = Fault::on(Operation::ListObjectsV2).key(PREFIX);
    world.server.fault(list.always().answer(Answer::access_denied()));
    one.start_background_pull();
    let failed = one.wait_for_pull().await.unwrap_err();
    assert_eq!(failed.code(), "S3_OPERATION_ERROR", "{failed}");
    assert!(one.is_pull_complete(), "it has ended");

    world.server.clear_faults();
    world.server.reset_requests();
    one.start_background_pull();
    one.start_background_pull();
    let report = one.wait_for_pull().await.unwrap().unwrap();
    assert!(report.success && report.downloaded == 1, "{report:?}");
    assert_eq!(world.server.requests().of(Operation::ListObjectsV2), 1, "one pull at a time");

    let other = world.workspace("other");
    assert!(other.pull().await.unwrap().success && other.is_pull_complete(), "any pull counts");
}

#[tokio::test]
async fn a_push_waits_for_the_pull_in_the_background() {
    let world = World::with(&[("a", "1"), ("b", "1")]);
    let slow = Fault::on(Operation::GetObject).always().answer(Answer::Delay(Duration::from_millis(300)));
    world.server.fault(slow);
    let one = world.workspace("one");
    one.start_background_pull();
    let report = one.push().await.unwrap();
    assert!(report.success && (report.unchanged, report.uploaded, report.deleted) == (2, 0, 0), "{report:?}");
    assert!(one.is_pull_complete());
}

#[tokio::test]
async fn the_progress_of_each_phase_ends_with_100_percent() {
    for files in [1, 20, 101, 119] {
        let world = World::new();
        let told = Arc::new(Mutex::new(Vec::new()));
        let receiver = told.clone();
        let builder = world.builder(world.path("one"));
        let one = builder.progress(move |progress| receiver.lock().unwrap().push(progress.clone())).open().unwrap();
        let paths: Vec<String> = (0..files).map(|number| format!("f{number}")).collect();
        paths.iter().for_each(|path| world.put(path, path));
        let last = |phase: Phase| {
            let mut told = told.lock().unwrap();
            let of_phase: Vec<_> = told.drain(..).filter(|progress| progress.phase == phase).collect();
            let last = of_phase.last().unwrap();
            assert!(of_phase.len() <= 41, "{files}: {} events", of_phase.len());
            (last.current, last.total, last.percentage)
        };
        assert!(one.pull().await.unwrap().success);
        assert_eq!(last(Phase::Download), (files, files, 100));
        paths.iter().for_each(|path| write(one.path(), path, "changed"));
        assert!(one.push().await.unwrap().success);
        assert_eq!(last(Phase::Upload), (files, files, 100));
        paths.iter().skip(1).for_each(|path| fs::remove_file(one.path().join(path)).unwrap());
        assert_eq!(one.push().await.unwrap().deleted, files - 1);
        assert_eq!(last(Phase::Cleanup), (files - 1, files - 1, 100));
    }
}
