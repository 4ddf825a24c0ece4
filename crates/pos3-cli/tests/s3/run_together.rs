//! Several sessions write to one output at once. A file that the program of one of them has removed may be about to be
//! written again, so another session must not delete its object.

use std::fs;
use std::process::Child;
use std::time::Duration;

use pos3_tests::server::{Answer, Fault, Operation};

use super::Cloud;
use super::run::{run, sh, start, stored, wait_for, wait_until};
use crate::program::Ended;
use crate::signals::kill;

const FILE: &str = "cache/_/data/p/sub/f";

/// Starts a run whose program removes a file once another session has begun, and ends when the file `go` exists.
fn remover(cloud: &Cloud, places: &[&str], last: &str) -> Child {
    let script = format!(
        "echo ready; until [ -e begun ]; do sleep .02; done; rm {FILE}; touch removed; \
         until [ -e go ]; do sleep .02; done; {last}"
    );
    let mut child = start(cloud, &sh(places, &script));
    let _out = wait_for(&mut child, "ready");
    child
}

/// Starts a run with deletes, whose program ends when the file was removed and `condition` is true.
fn deleter(cloud: &Cloud, place: &str, condition: &str) -> Child {
    let script = format!("touch begun; until [ -e removed ] && {condition}; do sleep .02; done");
    start(cloud, &sh(&["--sync", place, "--delete-remote"], &script))
}

/// Starts both, and kills the one that has removed the file. The other one ends when the file `go` exists.
fn deleter_beside_a_killed_remover(cloud: &Cloud) -> Child {
    let mut remover = remover(cloud, &["--sync", "o=s3://data/p"], "true");
    let deleter = deleter(cloud, "o=s3://data/p", "[ -e go ]");
    wait_until("the file is removed", || cloud.program.path("removed").exists());
    kill("-KILL", &remover);
    remover.wait().unwrap();
    deleter
}

fn end(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}

fn cloud() -> Cloud {
    Cloud::new(&[]).with_objects(&[("p/sub/f", "1"), ("p/sub/g", "1"), ("p/h", "1")])
}

fn go(cloud: &Cloud) {
    fs::write(cloud.program.path("go"), "").unwrap();
}

#[test]
fn a_session_deletes_nothing_while_another_one_may_write_to_its_output() {
    for (theirs, ours) in [("p", "p"), ("p/sub", "p"), ("p", "p/sub")] {
        let (cloud, case) = (cloud(), format!("{theirs} {ours}"));
        let theirs = format!("o=s3://data/{theirs}");
        let url = format!("s3://data/{ours}");
        let remover = remover(&cloud, &["--sync", &theirs], &format!("echo 2 > {FILE}"));
        let ended = end(deleter(&cloud, &format!("o={url}"), "true"));
        let named = |ended: &Ended| ended.err.contains(&format!("(PID {})", remover.id()));
        assert_eq!((ended.code, stored(&cloud, "p/sub/f").as_deref()), (Some(1), Some("1")), "{case} {ended:?}");
        let why = "1 file not deleted because another session may still write to '";
        assert!(ended.err.contains(why) && named(&ended), "{case} {ended:?}");
        let ended = run(&cloud, &["upload", &url, "--delete"]);
        assert_eq!((ended.code, stored(&cloud, "p/sub/f").as_deref()), (Some(1), Some("1")), "{case} {ended:?}");
        assert!(ended.err.contains("1 file not deleted, because another session") && named(&ended), "{case} {ended:?}");
        assert!(ended.err.contains("withheld   1 delete, see above\n"), "{case} {ended:?}");
        go(&cloud);
        let ended = end(remover);
        assert_eq!((ended.code, stored(&cloud, "p/sub/f").as_deref()), (Some(0), Some("2\n")), "{case} {ended:?}");
    }
}

#[test]
fn the_last_of_two_sessions_deletes_what_the_first_one_left() {
    let cloud = cloud();
    let remover = remover(&cloud, &["--sync", "o=s3://data/p", "--delete-remote"], "true");
    let ended = end(deleter(&cloud, "o=s3://data/p", "true"));
    assert_eq!((ended.code, stored(&cloud, "p/sub/f").as_deref()), (Some(1), Some("1")), "{ended:?}");
    go(&cloud);
    let ended = end(remover);
    assert_eq!((ended.code, stored(&cloud, "p/sub/f")), (Some(0), None), "{ended:?}");
}

#[test]
fn a_session_withholds_the_deletes_of_others_until_its_uploads_are_complete() {
    let cloud = cloud();
    let slow = Fault::on(Operation::PutObject).key("p/big").always().answer(Answer::Delay(Duration::from_secs(600)));
    cloud.server.fault(slow);
    let mut remover = remover(&cloud, &["--sync", "o=s3://data/p"], "echo > cache/_/data/p/big; touch done");
    // Another location, because only one transfer of a location runs at a time.
    let deleter = deleter(&cloud, "o=s3://data/p/sub", "[ -e uploading ]");
    go(&cloud);
    wait_until("the program has ended", || cloud.program.path("done").exists());
    wait_until("the upload has begun", || cloud.server.requests().of(Operation::PutObject) > 0);
    fs::write(cloud.program.path("uploading"), "").unwrap();
    let ended = end(deleter);
    assert!(remover.try_wait().unwrap().is_none(), "{ended:?}");
    assert_eq!((ended.code, stored(&cloud, "p/sub/f").as_deref()), (Some(1), Some("1")), "{ended:?}");
    kill("-KILL", &remover);
    remover.wait().unwrap();
}

/// Otherwise, none of several sessions that end at once would ever delete.
#[test]
fn of_two_sessions_that_end_at_once_one_deletes() {
    for ours in ["p", "p/sub"] {
        let cloud = cloud();
        let remover = remover(&cloud, &["--sync", "o=s3://data/p", "--delete-remote"], "true");
        let deleter = deleter(&cloud, &format!("o=s3://data/{ours}"), "[ -e go ]");
        wait_until("the file is removed", || cloud.program.path("removed").exists());
        go(&cloud);
        let ended = [end(remover), end(deleter)];
        assert!(ended.iter().any(|ended| ended.code == Some(0)), "{ours}: {ended:?}");
        assert_eq!(stored(&cloud, "p/sub/f"), None, "{ours}: {ended:?}");
    }
}

#[test]
fn a_session_that_failed_keeps_what_it_removed_even_if_all_else_is_stored() {
    for (last, signal) in [("exit 3", None), ("sleep 600", Some("-TERM"))] {
        let cloud = cloud();
        let failing = remover(&cloud, &["--sync", "o=s3://data/p", "--sync-on-error"], last);
        let deleter = deleter(&cloud, "o=s3://data/p", "[ -e late ]");
        wait_until("the file is removed", || cloud.program.path("removed").exists());
        go(&cloud);
        signal.iter().for_each(|signal| kill(signal, &failing));
        let ended = end(failing);
        assert!(ended.code != Some(0) && ended.err.contains("s3://data/p: 2 files there"), "{last}: {ended:?}");
        // Its output is stored, so the files are not unsaved output.
        let ended = run(&cloud, &["download", "s3://data/p/h", "--local", "cache/_/data/p/h"]);
        assert_eq!(ended.code, Some(0), "{last}: {ended:?}");
        fs::write(cloud.program.path("late"), "").unwrap();
        let ended = end(deleter);
        assert_eq!((ended.code, stored(&cloud, "p/sub/f").as_deref()), (Some(1), Some("1")), "{last}: {ended:?}");
        assert!(ended.err.contains("1 file not deleted because another session "), "{last}: {ended:?}");
        // The next session leaves nothing of this.
        let ended = run(&cloud, &sh(&["--upload", "o=s3://data/p"], "true"));
        assert_eq!(ended.code, Some(0), "{last}: {ended:?}");
        assert_eq!(fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).unwrap().count(), 0, "{last}");
    }
}

#[test]
fn a_file_that_a_session_moved_to_an_output_that_fails_keeps_its_object() {
    let cloud = cloud();
    cloud.server.fault(Fault::on(Operation::PutObject).key("q/f").always().answer(Answer::access_denied()));
    let moving = format!("mkdir -p cache/_/data/q; echo 1 > cache/_/data/q/f; touch moved; [ ! -e {FILE} ]");
    let mover = remover(&cloud, &["--sync", "o=s3://data/p", "--upload", "q=s3://data/q"], &moving);
    let deleter = deleter(&cloud, "o=s3://data/p", "[ -e late ]");
    go(&cloud);
    wait_until("the file is moved", || cloud.program.path("moved").exists());
    let ended = end(mover);
    assert_eq!((ended.code, stored(&cloud, "q/f")), (Some(1), None), "{ended:?}");
    fs::write(cloud.program.path("late"), "").unwrap();
    let ended = end(deleter);
    assert_eq!((ended.code, stored(&cloud, "p/sub/f").as_deref()), (Some(1), Some("1")), "{ended:?}");
}

#[test]
fn what_a_killed_session_removed_stays_after_a_restart_and_an_upload() {
    let restart = sh(&["--upload", "o=s3://data/p"], "true");
    for later in [restart, vec!["upload", "s3://data/p"]] {
        let cloud = cloud();
        let deleter = deleter_beside_a_killed_remover(&cloud);
        let ended = run(&cloud, &later);
        assert_eq!(ended.code, Some(0), "{later:?}: {ended:?}");
        go(&cloud);
        let ended = end(deleter);
        assert_eq!((ended.code, stored(&cloud, "p/sub/f").as_deref()), (Some(1), Some("1")), "{later:?}: {ended:?}");
    }
}

#[test]
fn a_session_that_was_killed_meanwhile_keeps_the_object_of_a_file_that_its_program_removed() {
    let cloud = cloud();
    let deleter = deleter_beside_a_killed_remover(&cloud);
    go(&cloud);
    let ended = end(deleter);
    assert_eq!((ended.code, stored(&cloud, "p/sub/f").as_deref()), (Some(1), Some("1")), "{ended:?}");
    assert!(ended.err.contains("1 file not deleted because another session "), "{ended:?}");
    // A later session cannot tell who removed the file, so only a request to delete every extra object is enough.
    let ended = run(&cloud, &["upload", "s3://data/p", "--delete"]);
    assert_eq!((ended.code, stored(&cloud, "p/sub/f")), (Some(0), None), "{ended:?}");
}
