//! `pull`, `push`, `status` and `workspace run` with a real server, real programs and signals.

use std::fs;

use pos3_tests::server::{Answer, Fault, Operation};
use serde_json::Value;

use super::run::{run, start, stored, wait_for};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

const LOCATION: &str = "s3://data/users/7";

fn pulled() -> Cloud {
    let cloud = Cloud::new(&[]).with_objects(&[("users/7/a.txt", "a1"), ("users/7/d/b.txt", "b1"), ("users/8/x", "x")]);
    let ended = run(&cloud, &["pull", "ws", LOCATION]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.err.starts_with("pulled 2 files (4 B), deleted 0, 0 unchanged, in "), "{ended:?}");
    cloud
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap()
}

#[test]
fn a_workspace_is_pulled_changed_and_pushed() {
    let cloud = pulled();
    let local = |path: &str| cloud.program.path(path);
    let status = run(&cloud, &["status", "ws"]);
    assert_eq!((status.code, status.out.as_str(), status.err.as_str()), (Some(0), "", ""));
    fs::write(local("ws/a.txt"), "a2").unwrap();
    fs::write(local("ws/new"), "n").unwrap();
    fs::remove_file(local("ws/d/b.txt")).unwrap();
    let status = run(&cloud, &["status", "ws"]);
    assert_eq!(status.out, "push changed   a.txt\npush new       new\npush deleted   d/b.txt\n");
    let pushed = run(&cloud, &["push", "ws", "--json"]);
    let found = json(&pushed);
    assert_eq!((pushed.code, &found["uploaded"], &found["deleted"]), (Some(0), &2.into(), &1.into()), "{pushed:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["users/7/a.txt", "users/7/new", "users/8/x"]);
    let again = run(&cloud, &["push", "ws"]);
    assert!(again.err.starts_with("pushed 0 files (0 B), deleted 0, 2 unchanged, in "), "{again:?}");
    let other = run(&cloud, &["pull", "ws", "s3://data/users/8"]);
    assert_eq!(other.code, Some(4), "{other:?}");
    assert!(other.err.contains("is the workspace of 's3://data/users/7', not of 's3://data/users/8'"), "{other:?}");
}

#[test]
fn what_cannot_be_pulled_changes_nothing_and_says_why() {
    let cloud = Cloud::new(&[]);
    for (line, code, said) in [
        (&["pull", "ws"][..], 2, "is not a workspace yet: give its location, such as s3://bucket/prefix"),
        (&["push", "ws", LOCATION], 1, "does not exist: pull the workspace first"),
        (&["pull", "ws", "s3://data"], 2, "is a whole bucket: a workspace needs a prefix, such as s3://data/workspace"),
        (&["pull", "ws", "s3://none-such/p"], 1, "none-such"),
        (&["pull", "ws", LOCATION, "--max-size", "1X"], 2, "give a number of bytes, such as 500K, 100M or 2G"),
    ] {
        let ended = run(&cloud, line);
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), ""), "{line:?} {ended:?}");
        assert!(ended.err.contains(said), "{line:?} {ended:?}");
    }
    // A mistyped location is not recorded.
    let ended = run(&cloud, &["pull", "ws", LOCATION]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_pull_that_does_not_fit_or_was_cut_off_is_not_followed_by_a_harmful_push() {
    let cloud = pulled();
    let large = run(&cloud, &["pull", "ws", "--max-size", "3"]);
    assert_eq!(large.code, Some(4), "{large:?}");
    assert!(large.err.contains("has 4 bytes, and the limit of the workspace is 3: nothing was fetched"), "{large:?}");
    let cloud = cloud.with_objects(&[("users/7/a.txt", "a2"), ("users/7/c.txt", "c1")]);
    let denied = Fault::on(Operation::GetObject).key("users/7/c.txt").always().answer(Answer::access_denied());
    cloud.server.fault(denied);
    let cut = run(&cloud, &["pull", "ws"]);
    assert_eq!(cut.code, Some(1), "{cut:?}");
    fs::remove_file(cloud.program.path("ws/d/b.txt")).unwrap();
    let pushed = run(&cloud, &["push", "ws"]);
    assert!(pushed.err.contains("protected: 'c.txt' was not pulled, so it was not pushed"), "{pushed:?}");
    assert!(pushed.err.contains("the last pull was not complete, so this push deletes nothing"), "{pushed:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["users/7/a.txt", "users/7/c.txt", "users/7/d/b.txt", "users/8/x"]);
    assert_eq!(stored(&cloud, "users/7/a.txt").unwrap(), "a2");
}

#[test]
fn a_program_works_in_the_workspace_and_its_changes_are_pushed() {
    let cloud = pulled();
    let script = r#"cat a.txt; echo -n done > "$POS3_WORKSPACE/out"; rm d/b.txt; exit $CODE"#;
    for (code, keys) in [(7, &["a.txt", "d/b.txt", "out"][..]), (0, &["a.txt", "out"])] {
        let script = script.replace("$CODE", &code.to_string());
        let ended = run(&cloud, &["workspace", "run", LOCATION, "--", "sh", "-c", &script]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(code), "a1"), "{ended:?}");
        let keys: Vec<_> = keys.iter().map(|key| format!("users/7/{key}")).chain(["users/8/x".to_owned()]).collect();
        assert_eq!(cloud.server.keys(BUCKET), keys, "a program that fails deletes nothing");
        assert_eq!(stored(&cloud, "users/7/out").unwrap(), "done");
        let left = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        let is_of_run = |name: &str| name.starts_with("pos3-workspace-") && ended.err.contains(name);
        assert!(!left.into_iter().any(|entry| is_of_run(&entry.file_name().to_string_lossy())), "{ended:?}");
    }
    let report = ["workspace", "run", LOCATION, "--json-report", "report.json", "--lease", "1m", "--", "true"];
    let ended = run(&cloud, &report);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found: Value = serde_json::from_slice(&fs::read(cloud.program.path("report.json")).unwrap()).unwrap();
    assert_eq!(
        (&found["state"], &found["complete"], &found["code"]),
        (&"ended".into(), &true.into(), &0.into()),
        "{found}"
    );
    assert_eq!((&found["pull"]["downloaded"], &found["push"]["unchanged"]), (&2.into(), &2.into()), "{found}");
    assert!(!cloud.server.keys(BUCKET).iter().any(|key| key.contains("lease")), "the lease is given back");
    let missing = run(&cloud, &["workspace", "run", LOCATION, "--", "no-such-program-anywhere"]);
    assert_eq!(missing.code, Some(127), "{missing:?}");
}

#[test]
fn a_signal_ends_the_program_and_its_work_is_pushed() {
    let cloud = pulled();
    let script = "echo -n part > part; trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = start(&cloud, &["workspace", "run", LOCATION, "ws", "--", "sh", "-c", script]);
    let out = wait_for(&mut child, "ready");
    kill("-TERM", &child);
    drop(out);
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(stored(&cloud, "users/7/part").unwrap(), "part");
}
