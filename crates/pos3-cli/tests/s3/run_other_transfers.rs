//! Other transfers write to the output of a running session. Their files are not output of its program.

use std::fs;
use std::process::Child;
use std::time::Duration;

use pos3_tests::server::{Answer, Fault, Operation};

use super::run::{run, sh, start, stored, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

const KEY: &str = "p/part/f";
const OUT: &str = "cache/_/data/p";

/// Starts a run with an output at `s3://data/p` that ends when the file `go` exists, after `last`.
fn session(cloud: &Cloud, output: &[&str], last: &str) -> Child {
    let script = format!("echo ready; until [ -e go ]; do sleep .02; done; {last}");
    let mut child = start(cloud, &sh(output, &script));
    let _out = wait_for(&mut child, "ready");
    child
}

fn end(cloud: &Cloud, child: Child) -> Ended {
    fs::write(cloud.program.path("go"), "").unwrap();
    child.wait_with_output().unwrap().into()
}

/// The transfers that write the object `p/part/f` to the output, each under another name of the pair.
fn transfers() -> [(&'static str, Vec<&'static str>); 7] {
    [
        ("a part", vec!["download", "s3://data/p/part", "--local", "cache/_/data/p/part"]),
        ("one object", vec!["download", "s3://data/p/part/f", "--local", "cache/_/data/p/part/f"]),
        ("one object into a directory", vec!["download", "s3://data/p/part/f", "--local", "cache/_/data/p/part/"]),
        ("the parent", vec!["download", "s3://data", "--local", "cache/_/data"]),
        ("a sync of a part", vec!["sync", "s3://data/p/part/", "cache/_/data/p/part"]),
        ("a path through a link", vec!["download", "s3://data/p/part", "--local", "link/p/part"]),
        ("a session in the output", sh(&["--download", "in=s3://data/p/part"], "true")),
    ]
}

#[test]
fn a_file_that_another_transfer_downloaded_replaces_no_later_object() {
    for kind in ["--sync", "--upload"] {
        for (name, transfer) in transfers() {
            let cloud = Cloud::new(&[("cache/_/data/x", "")]);
            std::os::unix::fs::symlink("cache/_/data", cloud.program.path("link")).unwrap();
            let session = session(&cloud, &[kind, "o=s3://data/p"], "true");
            cloud.server.put(BUCKET, KEY, "1");
            let ended = run(&cloud, &transfer);
            let file = cloud.program.path(OUT).join("part/f");
            assert_eq!((ended.code, fs::read_to_string(file).unwrap().as_str()), (Some(0), "1"), "{name}: {ended:?}");
            cloud.server.put(BUCKET, KEY, "3");
            let ended = end(&cloud, session);
            assert_eq!(stored(&cloud, KEY).as_deref(), Some("3"), "{kind} {name}: {ended:?}");
            assert!(ended.err.contains("part/f"), "{kind} {name}: {ended:?}");
        }
    }
}

#[test]
fn a_file_that_another_transfer_downloaded_is_not_uploaded() {
    for (kind, is_removed) in [("--sync", false), ("--upload", false), ("--sync", true)] {
        let cloud = Cloud::new(&[]);
        let session = session(&cloud, &[kind, "o=s3://data/p"], "true");
        cloud.server.put(BUCKET, KEY, "1");
        let ended = run(&cloud, &["download", "s3://data/p/part", "--local", "cache/_/data/p/part"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        if is_removed {
            cloud.server.remove(BUCKET, KEY);
        }
        let ended = end(&cloud, session);
        assert_eq!(cloud.server.requests().of(Operation::PutObject), 0, "{kind} {is_removed}: {ended:?}");
        assert_eq!(stored(&cloud, KEY).is_none(), is_removed, "{kind}: {ended:?}");
    }
}

#[test]
fn a_program_may_overwrite_a_file_that_another_transfer_downloaded() {
    for later in [None, Some("3")] {
        let cloud = Cloud::new(&[]);
        let session = session(&cloud, &["--upload", "o=s3://data/p"], "echo mine > cache/_/data/p/part/f");
        cloud.server.put(BUCKET, KEY, "1");
        let ended = run(&cloud, &["download", "s3://data/p/part", "--local", "cache/_/data/p/part"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        later.iter().for_each(|later| cloud.server.put(BUCKET, KEY, *later));
        let ended = end(&cloud, session);
        assert_eq!((ended.code, stored(&cloud, KEY).as_deref()), (Some(0), Some("mine\n")), "{ended:?}");
        assert_eq!(ended.err.contains("replaced an object"), later.is_some(), "{ended:?}");
    }
}

#[test]
fn a_file_of_a_transfer_that_has_not_ended_or_was_killed_replaces_no_later_object() {
    let download = &["download", "s3://data/p/part", "--local", "cache/_/data/p/part"];
    let sync = &["sync", "s3://data/p/part/", "cache/_/data/p/part"];
    for (is_killed, transfer) in [(false, &download[..]), (true, download), (false, sync), (true, sync)] {
        let cloud = Cloud::new(&[]);
        let session = session(&cloud, &["--upload", "o=s3://data/p"], "echo new > cache/_/data/p/new");
        cloud.server.put(BUCKET, KEY, "1");
        cloud.server.put(BUCKET, "p/part/z", "1");
        let slow = Fault::on(Operation::GetObject).key("p/part/z").always();
        cloud.server.fault(slow.answer(Answer::Delay(Duration::from_secs(600))));
        let mut transfer = start(&cloud, transfer);
        let file = cloud.program.path(OUT).join("part/f");
        wait_until("the file is there", || fs::read(&file).is_ok_and(|content| content == b"1"));
        if is_killed {
            kill("-KILL", &transfer);
            transfer.wait().unwrap();
        }
        cloud.server.put(BUCKET, KEY, "3");
        let ended = end(&cloud, session);
        assert_eq!(stored(&cloud, KEY).as_deref(), Some("3"), "{is_killed}: {ended:?}");
        assert!(ended.err.contains("part/f"), "{is_killed}: {ended:?}");
        assert_eq!(stored(&cloud, "p/new").as_deref(), Some("new\n"), "{is_killed}: {ended:?}");
        if !is_killed {
            kill("-KILL", &transfer);
        }
        transfer.wait().unwrap();
    }
}

#[test]
fn an_object_whose_file_another_transfer_removed_is_not_deleted_if_it_is_stored_again() {
    let transfers = [
        vec!["download", "s3://data/p", "--delete"],
        vec!["sync", "s3://data/p/part/", "cache/_/data/p/part", "--delete"],
    ];
    for transfer in transfers {
        let cloud = Cloud::new(&[]).with_objects(&[(KEY, "1"), ("p/part/g", "1"), ("p/h", "1")]);
        let session = session(&cloud, &["--sync", "o=s3://data/p", "--delete-remote"], "true");
        cloud.server.remove(BUCKET, KEY);
        let ended = run(&cloud, &transfer);
        let file = cloud.program.path(OUT).join("part/f");
        assert_eq!((ended.code, file.exists()), (Some(0), false), "{transfer:?}: {ended:?}");
        cloud.server.put(BUCKET, KEY, "1");
        let ended = end(&cloud, session);
        assert_eq!(stored(&cloud, KEY).as_deref(), Some("1"), "{transfer:?}: {ended:?}");
        let said = "not deleted, because another transfer may have removed the file: s3://data/p/part/f";
        assert!(ended.err.contains(said), "{transfer:?}: {ended:?}");
    }
}

#[test]
fn what_the_program_removed_is_deleted_although_another_transfer_has_run() {
    let cloud = Cloud::new(&[]).with_objects(&[(KEY, "1"), ("p/part/g", "1"), ("p/h", "1")]);
    let remove = "rm cache/_/data/p/part/f";
    let session = session(&cloud, &["--sync", "o=s3://data/p", "--delete-remote"], remove);
    for transfer in [
        &["download", "s3://data/p"][..],
        &["sync", "s3://data/p/part/", "cache/_/data/p/part", "--delete"],
        &["sync", "s3://data/p/part/", "copy", "--delete"],
    ] {
        let ended = run(&cloud, transfer);
        assert_eq!(ended.code, Some(0), "{transfer:?}: {ended:?}");
    }
    let ended = end(&cloud, session);
    assert_eq!((ended.code, stored(&cloud, KEY)), (Some(0), None), "{ended:?}");
}
