//! Marks of unsaved output are found after their cache root or their output was moved, and under every name of a path.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use pos3_tests::server::{Answer, Fault, Operation};

use super::run::{run, sh, start, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;

#[test]
fn every_command_that_uploads_warns_of_a_mark_that_cannot_be_written() {
    let cloud = Cloud::new(&[("out/a", "1")]);
    assert_eq!(cloud.run(&["upload", "s3://data/out", "--local", "out", "-q"]).code, Some(0));
    let marks = cloud.program.state().join("unsaved");
    fs::remove_dir_all(&marks).unwrap();
    fs::write(&marks, "").unwrap();
    for line in
        [&["upload", "s3://data/out", "--local", "out"][..], &["upload", "s3://data/out", "--local", "out", "--json"]]
    {
        let ended = cloud.run(line);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let said = format!("warning: '{}' cannot be marked as unsaved output, so", cloud.program.path("out").display());
        assert_eq!(ended.err.matches(&said).count(), 1, "{ended:?}");
        assert!(!line.contains(&"--json") || ended.out.contains("cannot be marked as unsaved output"), "{ended:?}");
    }
}

const FAIL: &str = r#"echo ours > "$POS3_PATH_C/f"; exit 7"#;

fn with_root(cloud: &Cloud, root: &str, line: &[&str]) -> Ended {
    cloud.command(line).env("POS3_CACHE_ROOT", cloud.program.path(root)).output().unwrap().into()
}

/// Leaves an output that was not uploaded.
fn failed(root: &str, url: &str, key: &str) -> Cloud {
    let cloud = Cloud::new(&[]);
    cloud.server.put(BUCKET, key, "old\n");
    let place = format!("c={url}");
    let ended = with_root(&cloud, root, &sh_run(&place));
    assert_eq!(ended.code, Some(7), "{ended:?}");
    cloud
}

fn sh_run(place: &str) -> [&str; 7] {
    ["run", "--upload", place, "--", "sh", "-c", FAIL]
}

fn assert_kept(cloud: &Cloud, root: &str, file: &str, line: &[&str]) {
    for more in [&[][..], &["--no-manifest"], &["--delete"]] {
        let line = [line, more].concat();
        let ended = with_root(cloud, root, &line);
        assert_eq!(ended.code, Some(1), "{root} {line:?}: {ended:?}");
        assert!(ended.err.contains("output of an earlier run"), "{root} {line:?}: {}", ended.err);
        assert_eq!(fs::read_to_string(cloud.program.path(file)).unwrap(), "ours\n", "{root} {line:?}");
    }
}

fn marks(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

#[test]
fn the_marks_of_a_cache_root_move_with_it() {
    let cloud = failed("cache", "s3://data/p/c", "p/c/f");
    fs::rename(cloud.program.path("cache"), cloud.program.path("moved")).unwrap();
    symlink("moved", cloud.program.path("link")).unwrap();
    let file = "moved/_/data/p/c/f";
    for root in ["moved", "link"] {
        assert_kept(&cloud, root, file, &["download", "s3://data/p/c"]);
        assert_kept(&cloud, root, file, &["download", "s3://data/p"]);
        let local = format!("{root}/_/data/p/c");
        assert_kept(&cloud, "another", file, &["download", "s3://data/p/c", "--local", &local]);
    }
    // After everything is stored, there is no mark.
    let stored = with_root(&cloud, "link", &["upload", "s3://data/p/c", "-q"]);
    assert_eq!((stored.code, marks(&cloud.program.path("moved/.pos3-unsaved"))), (Some(0), 0), "{stored:?}");
}

#[test]
fn the_marks_of_another_cache_root_above_or_below_count_too() {
    // The root of the mark lies below that of the download, and then above it. Both reach the same path.
    let file = "cache/_/data/_/data/p/c/f";
    let cloud = failed("cache/_/data", "s3://data/p/c", "p/c/f");
    cloud.server.put(BUCKET, "_/data/p/c/f", "old\n");
    assert_kept(&cloud, "cache", file, &["download", "s3://data/_/data/p/c"]);
    assert_kept(&cloud, "cache", file, &["download", "s3://data/_/data/p/c/f"]);
    assert_kept(&cloud, "cache", file, &["download", "s3://data/_"]);
    // An upload of the path by another root removes the mark.
    let stored = with_root(&cloud, "cache", &["upload", "s3://data/_/data/p/c", "-q"]);
    let found = (stored.code, marks(&cloud.program.path("cache/_/data/.pos3-unsaved")));
    assert_eq!(found, (Some(0), 0), "{stored:?}");

    let cloud = failed("cache", "s3://data/_/data/p/c", "_/data/p/c/f");
    cloud.server.put(BUCKET, "p/c/f", "old\n");
    assert_kept(&cloud, "cache/_/data", file, &["download", "s3://data/p/c"]);
}

#[test]
fn the_marks_of_a_cache_root_below_the_target_count_too() {
    let cloud = failed("cache/_/data/x", "s3://data/p/c", "p/c/f").with_objects(&[("x/_/data/p/c/f", "old\n")]);
    let file = "cache/_/data/x/_/data/p/c/f";
    let directory = cloud.program.path("cache/_/data/x/.pos3-unsaved");
    fs::write(cloud.program.path("cache/_/data/x/beside"), "edited").unwrap();
    cloud.server.put(BUCKET, "x/beside", "theirs");
    assert_kept(&cloud, "cache", file, &["download", "s3://data/"]);
    assert_kept(&cloud, "cache", file, &["download", "s3://data/x"]);
    assert_eq!(fs::read_to_string(cloud.program.path("cache/_/data/x/beside")).unwrap(), "theirs");
    assert_eq!(marks(&directory), 1, "a mark is never deleted");
    let mark = fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    fs::write(&mark, "damaged").unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let ended = with_root(&cloud, "cache", &[&["download", "s3://data/"][..], more].concat());
        let named = format!("warning: '{}' marks unsaved output and cannot be read, so ", mark.display());
        assert_eq!((ended.code, ended.err.matches(&named).count()), (Some(1), 1), "{more:?}: {}", ended.err);
    }
    assert_kept(&cloud, "cache", file, &["download", "s3://data/"]);
}

#[test]
fn output_behind_a_link_is_known_by_both_names() {
    let disks = |cloud: &Cloud, from: &str, to: &str| {
        fs::rename(cloud.program.path(from), cloud.program.path(to)).unwrap();
        fs::remove_file(cloud.program.path("link")).unwrap();
        symlink(to, cloud.program.path("link")).unwrap();
    };
    let cloud = Cloud::new(&[("one/out/f", "ours\n")]).with_objects(&[("c/f", "theirs")]);
    symlink("one", cloud.program.path("link")).unwrap();
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(Answer::access_denied()));
    assert_eq!(cloud.run(&["upload", "s3://data/c", "--local", "link/out"]).code, Some(1));
    assert_kept(&cloud, "cache", "one/out/f", &["download", "s3://data/c", "--local", "one/out"]);
    disks(&cloud, "one", "two");
    assert_kept(&cloud, "cache", "two/out/f", &["download", "s3://data/c", "--local", "link/out"]);
    assert_kept(&cloud, "cache", "two/out/f", &["download", "s3://data/c", "--local", "two/out"]);

    // A part of an output that was moved to another disk after the session.
    let cloud = failed("cache", "s3://data/p/c", "p/c/f").with_objects(&[("p/c/sub/f", "old\n")]);
    fs::create_dir_all(cloud.program.path("one/sub")).unwrap();
    fs::write(cloud.program.path("one/sub/f"), "ours\n").unwrap();
    symlink(cloud.program.path("one/sub"), cloud.program.path("cache/_/data/p/c/sub")).unwrap();
    assert_kept(&cloud, "cache", "one/sub/f", &["download", "s3://data/p/c/sub"]);

    // A part of the cache that was moved to another disk before the session.
    let cloud = Cloud::new(&[("one/c/f", "before"), ("cache/_/data/p/", "")]).with_objects(&[("p/c/f", "old\n")]);
    symlink("one", cloud.program.path("link")).unwrap();
    symlink(cloud.program.path("link/c"), cloud.program.path("cache/_/data/p/c")).unwrap();
    assert_eq!(run(&cloud, &sh_run("c=s3://data/p/c")).code, Some(7));
    disks(&cloud, "one", "two");
    assert_kept(&cloud, "cache", "two/c/f", &["download", "s3://data/p/c"]);
    assert_kept(&cloud, "another", "two/c/f", &["download", "s3://data/p/c", "--local", "two/c"]);
    fs::remove_dir_all(cloud.program.state()).unwrap();
    assert_kept(&cloud, "cache", "two/c/f", &["download", "s3://data/p/c"]);
}

#[test]
fn a_mark_where_others_can_write_keeps_files_and_is_never_removed() {
    let cloud = failed("shared", "s3://data/p/c", "p/c/f");
    let directory = cloud.program.path("shared/.pos3-unsaved");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
    let line = ["download", "s3://data/p/c", "--local", "shared/_/data/p/c"];
    assert_kept(&cloud, "cache", "shared/_/data/p/c/f", &line);
    let stored = cloud.run(&["upload", "s3://data/p/c", "--local", "shared/_/data/p/c", "-q"]);
    assert_eq!((stored.code, marks(&directory)), (Some(0), 1), "{stored:?}");
    // Files that are known to be stored are downloaded as usual.
    cloud.server.put(BUCKET, "p/c/f", "theirs\n");
    let ended = cloud.run(&line);
    let found = fs::read_to_string(cloud.program.path("shared/_/data/p/c/f")).unwrap();
    assert_eq!((ended.code, found.as_str()), (Some(0), "theirs\n"), "{ended:?}");
    assert_eq!(marks(&directory), 1);
    // Another kind of file may hide a directory of marks.
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    fs::write(cloud.program.path("shared/_/data/p/c/f"), "ours\n").unwrap();
    assert_kept(&cloud, "cache", "shared/_/data/p/c/f", &line);
}

#[test]
fn sessions_with_exclusions_leave_one_mark_of_a_path() {
    let cloud = failed("cache", "s3://data/p/c", "p/c/f");
    let directory = cloud.program.path("cache/.pos3-unsaved");
    let excluding = ["--upload", "c=s3://data/p/c", "--exclude", "f"];
    for script in ["true", "exit 7", "kill -9 $PPID; sleep 1", "true"] {
        let ended = run(&cloud, &sh(&excluding, script));
        assert_eq!(marks(&directory), 1, "{script}: {ended:?}");
        assert_kept(&cloud, "cache", "cache/_/data/p/c/f", &["download", "s3://data/p/c"]);
    }
    assert_eq!(run(&cloud, &["upload", "s3://data/p/c", "--exclude", "f", "-q"]).code, Some(0));
    assert_eq!(marks(&directory), 1);
    // The mark of a part does not replace that of the whole.
    let part = run(&cloud, &sh(&["--upload", "c=s3://data/p/c/sub"], "exit 7"));
    assert_eq!((part.code, marks(&directory)), (Some(7), 2), "{part:?}");
    assert_kept(&cloud, "cache", "cache/_/data/p/c/f", &["download", "s3://data/p/c"]);
    let whole = run(&cloud, &sh(&excluding, "exit 7"));
    assert_eq!((whole.code, marks(&directory)), (Some(7), 1), "{whole:?}");
    assert_eq!(run(&cloud, &["upload", "s3://data/p/c", "-q"]).code, Some(0));
    assert_eq!(marks(&directory), 0, "everything is stored");
}

#[test]
fn a_download_removes_no_mark_of_a_session_that_ended_while_it_ran() {
    let cloud = Cloud::new(&[]).with_objects(&[("p/c/slow", "x")]);
    cloud.server.fault(Fault::on(Operation::GetObject).answer(Answer::Delay(Duration::from_secs(5))));
    let child = start(&cloud, &["download", "s3://data/p/c"]);
    wait_until("nothing is downloaded", || cloud.server.requests().of(Operation::GetObject) > 0);
    let ended = run(&cloud, &["run", "--upload", "c=s3://data/p/c", "--no-manifest", "--", "sh", "-c", FAIL]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    let downloaded = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(downloaded.code, Some(0), "{downloaded:?}");
    assert_eq!(marks(&cloud.program.path("cache/.pos3-unsaved")), 1);
    cloud.server.put(BUCKET, "p/c/f", "theirs\n");
    assert_kept(&cloud, "cache", "cache/_/data/p/c/f", &["download", "s3://data/p/c"]);
}

#[test]
fn a_mark_that_cannot_be_read_is_named_with_what_to_do() {
    let lines = [
        &["download", "s3://data/p/c"][..],
        &["download", "s3://data/p/c", "--dry-run"],
        &["run", "--download", "c=s3://data/p/c", "--", "true"],
    ];
    for line in lines {
        let cloud = failed("cache", "s3://data/p/c", "p/c/f");
        let mark = fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).unwrap().next().unwrap().unwrap().path();
        fs::write(&mark, "damaged").unwrap();
        let ended = run(&cloud, line);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let named = format!("warning: '{}' marks unsaved output and cannot be read, so ", mark.display());
        assert_eq!(ended.err.matches(&named).count(), 1, "{line:?}: {}", ended.err);
        assert!(ended.err.contains("; once all output is stored, delete it\n"), "{line:?}: {}", ended.err);
    }
}

#[test]
fn an_empty_directory_of_a_running_session_is_not_removed_for_a_file() {
    for way in ["--upload-file", "--sync-file"] {
        let cloud = Cloud::new(&[]).with_objects(&[("f", "1")]);
        let waiting = "echo ready; while [ ! -f end ]; do sleep .02; done; touch $POS3_PATH_O/r";
        let mut child = start(&cloud, &sh(&["--upload", "o=s3://data/c"], waiting));
        let _out = wait_for(&mut child, "ready");
        let file = run(&cloud, &sh(&[way, "f=s3://data/c"], "true"));
        let cause = "it is a directory that another session may be using, and one file is expected there";
        assert!(file.code == Some(1) && file.err.contains(cause), "{way} {file:?}");
        fs::write(cloud.program.path("end"), "").unwrap();
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{way} {ended:?}");
        assert!(cloud.program.path("cache/_/data/c/r").exists());
    }
}

#[test]
fn the_mark_of_a_killed_run_is_removed_if_its_program_ends_before_the_next_end() {
    let cloud = Cloud::new(&[]);
    let places = ["--upload", "c=s3://data/c", "--interval", "none"];
    let stays = "trap '' TERM; echo 1 > $POS3_PATH_C/f; echo ready; while [ ! -f end ]; do sleep .02; done; touch gone";
    let mut killed = start(&cloud, &sh(&places, stays));
    let _out = wait_for(&mut killed, "ready");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let next = run(&cloud, &sh(&places, "touch end; while [ ! -f gone ]; do sleep .02; done; sleep .5"));
    assert_eq!(next.code, Some(0), "{next:?}");
    assert_eq!(marks(&cloud.program.path("cache/.pos3-unsaved")), 0, "{next:?}");
}
