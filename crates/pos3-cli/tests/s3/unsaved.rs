//! Marks of unsaved output: no download overwrites or deletes output that was not uploaded, whatever else happened.

use std::fs;
use std::time::Duration;

use pos3_tests::server::{Answer, Fault, Operation};

use super::run::{run, sh, start, stored, wait_for};
use super::{BUCKET, Cloud};
use crate::signals::kill;

const SYNC: [&str; 2] = ["--sync", "c=s3://data/p/c"];

/// Leaves `f` changed and `new` made, and nothing uploaded.
fn failed(more: &[&str]) -> Cloud {
    let cloud = Cloud::new(&[]).with_objects(&[("p/c/f", "old\n"), ("p/c/g", "old\n")]);
    let script = r#"echo ours > "$POS3_PATH_C/f"; echo ours > "$POS3_PATH_C/new"; exit 7"#;
    let ended = run(&cloud, &sh(&[&SYNC[..], more].concat(), script));
    assert_eq!(ended.code, Some(7), "{ended:?}");
    cloud
}

fn here(cloud: &Cloud, name: &str) -> Option<String> {
    fs::read_to_string(cloud.program.path("cache/_/data/p/c").join(name)).ok()
}

fn assert_kept(cloud: &Cloud, line: &[&str]) {
    let ended = run(cloud, line);
    assert_eq!(ended.code, Some(1), "{line:?}: {ended:?}");
    assert!(ended.err.contains("output of an earlier run, and is not known to be stored"), "{line:?}: {}", ended.err);
    let found = (here(cloud, "f"), here(cloud, "new"));
    assert_eq!(found, (Some("ours\n".to_owned()), Some("ours\n".to_owned())), "{line:?}");
}

/// As long as a process of the program runs, it may write more. Nothing that other sessions upload meanwhile is all of it.
#[test]
fn a_program_that_outlives_pos3_keeps_its_mark() {
    let slow = r#"trap 'until [ -e go ]; do sleep 0.05; done; echo last > "$POS3_PATH_C/f"; exit 0' TERM
                  echo first > "$POS3_PATH_C/f"; echo written; while :; do sleep 0.05; done"#;
    let behind = r#"(until [ -e go ]; do sleep 0.05; done; echo last > "$POS3_PATH_C/f") > log 2>&1 &
                    echo first > "$POS3_PATH_C/f"; echo written; while :; do sleep 0.05; done"#;
    for (script, upload) in [
        (slow, &["run", "--sync", "c=s3://data/p/c", "--", "true"][..]),
        (slow, &["upload", "s3://data/p/c", "-q"]),
        (behind, &["upload", "s3://data/p/c", "-q"]),
    ] {
        let cloud = Cloud::new(&[]);
        let mut child = start(&cloud, &sh(&SYNC, script));
        wait_for(&mut child, "written");
        kill("-KILL", &child);
        child.wait().unwrap();
        let uploaded = run(&cloud, upload);
        assert_eq!((uploaded.code, stored(&cloud, "p/c/f").as_deref()), (Some(0), Some("first\n")), "{uploaded:?}");
        fs::write(cloud.program.path("go"), "").unwrap();
        let is_written = || here(&cloud, "f").as_deref() == Some("last\n");
        (0..600).take_while(|_| !is_written()).for_each(|_| std::thread::sleep(Duration::from_millis(50)));
        let ended = run(&cloud, &["download", "s3://data/p/c"]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(is_written(), "{ended:?}");
    }
}

#[test]
fn a_transfer_with_exclusions_leaves_the_mark() {
    let exclusions: [&[&str]; 5] = [
        &["upload", "s3://data/p/c", "--exclude", "f", "--exclude", "new", "-q"],
        &["download", "s3://data/p/c", "--exclude", "f", "--exclude", "new", "-q"],
        &["run", "--upload", "c=s3://data/p/c", "--exclude", "f", "--exclude", "new", "--", "true"],
        &["run", "--sync", "c=s3://data/p/c", "--exclude", "f", "--exclude", "new", "--", "true"],
        &["run", "--download", "c=s3://data/p/c", "--exclude", "f", "--exclude", "new", "--", "true"],
    ];
    for line in exclusions {
        let cloud = failed(&[]);
        assert_eq!(run(&cloud, line).code, Some(0), "{line:?}");
        assert_eq!(stored(&cloud, "p/c/f").unwrap(), "old\n", "{line:?}");
        assert_kept(&cloud, &["download", "s3://data/p/c"]);
        assert_kept(&cloud, &["download", "s3://data/p/c", "--delete"]);
    }
}

#[test]
fn excluded_files_that_are_stored_keep_no_mark() {
    let cloud = Cloud::new(&[]);
    let made = run(&cloud, &sh(&SYNC, r#"echo 1 > "$POS3_PATH_C/a.log"; echo 1 > "$POS3_PATH_C/b""#));
    assert_eq!(made.code, Some(0), "{made:?}");
    let ended = run(&cloud, &sh(&[&SYNC[..], &["--exclude", "*.log"]].concat(), "true"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).unwrap().count(), 0);
}

#[test]
fn the_mark_of_a_path_counts_for_every_location_above_and_below_it() {
    let cloud = failed(&[]);
    assert_kept(&cloud, &["download", "s3://data/p", "--delete"]);
    assert_kept(&cloud, &["download", "s3://data/p/c/f"]);
    assert_kept(&cloud, &["download", "s3://data/p/c/"]);
    assert_kept(&cloud, &sh(&["--download", "p=s3://data/p", "--delete-local"], "true"));
    // Files beside the marked path are downloaded as usual.
    fs::write(cloud.program.path("cache/_/data/p/beside"), "edited").unwrap();
    cloud.server.put(BUCKET, "p/beside", "theirs");
    assert_kept(&cloud, &["download", "s3://data/p"]);
    assert_eq!(fs::read_to_string(cloud.program.path("cache/_/data/p/beside")).unwrap(), "theirs");
    // A full upload of the path removes the mark.
    assert_eq!(cloud.run(&["upload", "s3://data/p/c", "-q"]).code, Some(0));
    fs::write(cloud.program.path("cache/_/data/p/c/f"), "edited").unwrap();
    assert_eq!(cloud.run(&["download", "s3://data/p", "-q"]).code, Some(0));
    assert_eq!(here(&cloud, "f").as_deref(), Some("ours\n"));
}

#[test]
fn a_mark_in_the_cache_does_not_depend_on_the_sync_state() {
    let cloud = failed(&["--no-manifest"]);
    assert_kept(&cloud, &["download", "s3://data/p/c"]);
    assert_kept(&cloud, &["download", "s3://data/p/c", "--no-manifest"]);

    let cloud = failed(&[]);
    fs::remove_dir_all(cloud.program.state()).unwrap();
    assert_kept(&cloud, &["download", "s3://data/p/c", "--delete"]);

    let cloud = failed(&[]);
    for mark in fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).unwrap() {
        fs::write(mark.unwrap().path(), "damaged").unwrap();
    }
    assert_kept(&cloud, &["download", "s3://data/p/c"]);
}

#[test]
fn each_session_has_its_own_mark() {
    let cloud = Cloud::new(&[]);
    let mut child = start(&cloud, &sh(&SYNC, "echo ready; exec sleep 60"));
    wait_for(&mut child, "ready");
    let marks = || fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).unwrap().count();
    assert_eq!(marks(), 1);
    let ended = run(&cloud, &sh(&SYNC, "true"));
    assert_eq!((ended.code, marks()), (Some(0), 1), "{ended:?}");
    kill("-KILL", &child);
    child.wait().unwrap();
    assert_eq!(marks(), 1, "the mark of a killed session stays");
    let ended = run(&cloud, &sh(&SYNC, "true"));
    assert_eq!((ended.code, marks()), (Some(0), 0), "{ended:?}");
}

#[test]
fn output_outside_the_cache_is_marked_in_the_state_directory() {
    let cloud = Cloud::new(&[("out/f", "ours")]).with_objects(&[("c/f", "theirs")]);
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(Answer::access_denied()));
    let upload = ["upload", "s3://data/c", "--local", "out", "--no-manifest"];
    assert_eq!(cloud.run(&upload).code, Some(1));
    for more in [&[][..], &["--no-manifest"], &["--delete"]] {
        let ended = cloud.run(&[&["download", "s3://data/c", "--local", "out"][..], more].concat());
        assert_eq!(ended.code, Some(1), "{more:?}: {ended:?}");
        assert_eq!(fs::read_to_string(cloud.program.path("out/f")).unwrap(), "ours", "{more:?}");
    }
    assert!(!cloud.program.path("cache/.pos3-unsaved").exists());
}
