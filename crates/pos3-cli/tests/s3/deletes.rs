//! `--delete` after a failure: nothing is deleted, the exit code is not 0, and the message names the cause.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use pos3_tests::server::{Answer, Fault, ListingOrder, Operation};

use super::{BUCKET, Cloud};
use crate::program::Ended;

/// Runs as a user to whom permissions apply: the owner of the working directory, or `nobody` if that is root.
fn run_bound(cloud: &Cloud, arguments: &[&str]) -> Ended {
    let mut command = cloud.command(arguments);
    let is_root = fs::metadata("/proc/self").map(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0).unwrap_or(false);
    if is_root {
        command.uid(65534).gid(65534);
        fs::set_permissions(cloud.program.path("."), fs::Permissions::from_mode(0o755)).unwrap();
    }
    command.output().unwrap().into()
}

fn many(cloud: &Cloud) {
    for number in 0..2_500 {
        cloud.server.put(BUCKET, &format!("p/{number:04}"), "x");
    }
}

#[track_caller]
fn assert_refused(ended: &Ended, code: i32, cause: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.err.contains(cause), "{}", ended.err);
}

#[test]
fn a_missing_source() {
    let cloud = Cloud::new(&[]).with_objects(&[("p/a", "1")]);
    assert_refused(&cloud.run(&["sync", "missing", "s3://data/p", "--delete"]), 1, "missing");
    assert_eq!(cloud.server.keys(BUCKET), ["p/a"]);
    assert_refused(&cloud.run(&["sync", "s3://no-such-bucket/p", "out", "--delete"]), 1, "no-such-bucket");
}

#[test]
fn an_empty_source() {
    let cloud = Cloud::new(&[("empty/", ""), ("full/a", "1")]).with_objects(&[("p/a", "1")]);
    assert_refused(&cloud.run(&["sync", "empty", "s3://data/p", "--delete"]), 4, "the source is empty");
    let typo = cloud.run(&["sync", "s3://data/typo", "full", "--delete"]);
    assert_refused(&typo, 1, "there is nothing at the source 's3://data/typo'");
    assert_eq!(cloud.server.keys(BUCKET), ["p/a"]);
    assert!(cloud.program.path("full/a").exists());
}

#[test]
fn a_source_directory_without_read_permission() {
    let cloud = Cloud::new(&[("d/open/a", "1"), ("d/locked/b", "2")]);
    assert_eq!(cloud.run(&["sync", "d", "s3://data/d"]).code, Some(0));
    cloud.server.put(BUCKET, "d/open/gone", "3");
    let locked = cloud.program.path("d/locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let ended = run_bound(&cloud, &["sync", "d", "s3://data/d", "--delete"]);
    assert_refused(&ended, 1, "locked/");
    assert!(ended.err.to_lowercase().contains("permission denied"), "{}", ended.err);
    let kept = ["d/locked/b", "d/open/a", "d/open/gone"];
    assert_eq!(cloud.server.keys(BUCKET), kept, "what cannot be read may be what is gone elsewhere");
    assert!(ended.err.contains("withheld   1 delete, because not everything can be copied"), "{}", ended.err);

    let root = cloud.program.path("d");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o000)).unwrap();
    let ended = run_bound(&cloud, &["sync", "d", "s3://data/d", "--delete"]);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    assert_refused(&ended, 1, "'d'");
    assert_eq!(cloud.server.keys(BUCKET), kept);
}

#[test]
fn an_unreadable_file() {
    let cloud = Cloud::new(&[("d/a", "1"), ("d/secret", "2")]).with_objects(&[("d/secret", "older"), ("d/old", "3")]);
    fs::set_permissions(cloud.program.path("d/secret"), fs::Permissions::from_mode(0o000)).unwrap();
    let ended = run_bound(&cloud, &["sync", "d", "s3://data/d", "--delete"]);
    assert_refused(&ended, 1, "secret");
    assert_eq!(cloud.server.keys(BUCKET), ["d/a", "d/old", "d/secret"]);
    assert_eq!(cloud.server.object(BUCKET, "d/secret").unwrap().bytes, "older");
}

/// A listing of the source that fails on its second page would make the rest look absent.
#[test]
fn a_source_listing_that_fails_on_its_second_page() {
    for (answer, cause) in [(Answer::access_denied(), "AccessDenied"), (Answer::internal_error(), "InternalError")] {
        let cloud = Cloud::new(&[]);
        many(&cloud);
        assert_eq!(cloud.run(&["sync", "s3://data/p", "out", "-q"]).code, Some(0));
        cloud.server.fault(Fault::on(Operation::ListObjectsV2).nth(2).always().answer(answer));
        let ended = cloud.run(&["sync", "s3://data/p", "out", "--delete", "--max-delete", "100%"]);
        assert_refused(&ended, 1, cause);
        assert_eq!(fs::read_dir(cloud.program.path("out")).unwrap().count(), 2_500, "{cause}");
    }
}

/// And one of the target must not make everything look new or, worse, complete.
#[test]
fn a_target_listing_that_fails_on_its_second_page() {
    let cloud = Cloud::new(&[("d/0000", "x")]);
    many(&cloud);
    cloud.server.fault(Fault::on(Operation::ListObjectsV2).nth(2).always().answer(Answer::access_denied()));
    let ended = cloud.run(&["sync", "d", "s3://data/p", "--delete", "--max-delete", "100%"]);
    assert_refused(&ended, 1, "AccessDenied");
    assert_eq!(cloud.server.keys(BUCKET).len(), 2_500);
    assert_eq!(cloud.server.requests().of(Operation::DeleteObjects), 0);
}

#[test]
fn a_server_that_lies_about_its_order() {
    let objects = [("p/so/a b", "1"), ("p/so/a-b", "2"), ("p/so/a/b", "3"), ("p/so/a", "4"), ("p/x", "5")];
    for order in [ListingOrder::DirectoryTree, ListingOrder::Shuffled { seed: 7 }] {
        let cloud = Cloud::new(&[]).with_objects(&objects);
        cloud.server.put(BUCKET, "p/so/a.c/d", "6");
        cloud.server.remove(BUCKET, "p/so/a");
        cloud.server.configure(|settings| settings.listing_order = order);
        let ended = cloud.run(&["sync", "s3://data/p", "out", "--delete"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains("out of order"), "{}", ended.err);
        assert_eq!(cloud.program.files("out").len(), 5);
        let ended = cloud.run(&["sync", "out", "s3://data/p", "--delete"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(cloud.server.keys(BUCKET).len(), 5, "{order:?}");
    }
}

#[test]
fn a_failed_upload_withholds_the_deletes() {
    let cloud = Cloud::new(&[("d/a", "1"), ("d/b", "2")]).with_objects(&[("d/old", "3")]);
    cloud.server.fault(Fault::on(Operation::PutObject).key_contains("d/b").always().answer(Answer::access_denied()));
    let ended = cloud.run(&["sync", "d", "s3://data/d", "--delete"]);
    assert_refused(&ended, 1, "d/b");
    assert_eq!(cloud.server.keys(BUCKET), ["d/a", "d/old"]);
}

#[test]
fn a_delete_that_fails_for_one_key_is_told_of_that_key() {
    let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/old", "3")]);
    cloud.server.fault(Fault::on(Operation::DeleteObjects).always().answer(Answer::access_denied()));
    let ended = cloud.run(&["sync", "d", "s3://data/d", "--delete"]);
    assert_refused(&ended, 1, "old");
    assert_eq!(cloud.server.keys(BUCKET), ["d/a", "d/old"]);
}

/// A local tree where a sync from `s3://data/x` replaces a file by a directory and a directory by a file.
fn tree_to_replace() -> Cloud {
    Cloud::new(&[("l/k", "k"), ("l/q", "precious"), ("l/d/1", "1"), ("l/d/2", "2")]).with_objects(&[
        ("x/k", "k"),
        ("x/q/1", "new in q"),
        ("x/d", "new d"),
    ])
}

#[test]
fn what_replaces_a_file_or_directory_is_stored_before_anything_is_deleted() {
    let line = ["sync", "s3://data/x", "l", "--delete", "--max-delete", "9"];
    for key in ["x/q/1", "x/d"] {
        let cloud = tree_to_replace();
        let before = cloud.program.files("l");
        cloud.server.fault(Fault::on(Operation::GetObject).key(key).always().answer(Answer::access_denied()));
        let ended = cloud.run(&line);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(cloud.program.files("l"), before, "{key}: {}", ended.err);
    }
    let cloud = tree_to_replace();
    let ended = cloud.run(&line);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected = [("d", "new d"), ("k", "k"), ("q/1", "new in q")];
    assert_eq!(cloud.program.files("l"), expected.map(|(path, content)| (path.to_owned(), content.to_owned())));
    assert_eq!(cloud.run(&["check", "s3://data/x", "l"]).code, Some(0));
    let again = cloud.run(&line);
    assert!(again.err.contains("copied     0 files"), "the new files are known to be equal: {}", again.err);
}

#[test]
fn an_object_that_turns_out_to_be_archived_replaces_nothing() {
    for skip in [&[][..], &["--skip-archived"]] {
        let cloud = tree_to_replace();
        let before = cloud.program.files("l");
        let archived = Answer::Error { status: http::StatusCode::FORBIDDEN, code: "InvalidObjectState" };
        cloud.server.fault(Fault::on(Operation::GetObject).key("x/d").always().answer(archived));
        let line = [&["sync", "s3://data/x", "l", "--delete", "--max-delete", "9"][..], skip].concat();
        let ended = cloud.run(&line);
        assert_eq!(cloud.program.files("l"), before, "{skip:?}: {}", ended.err);
    }
}
