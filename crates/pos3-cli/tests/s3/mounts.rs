//! File systems that are mounted or unmounted in a source: pos3 does not delete the objects of hidden files.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};
use crate::program::Ended;

/// Runs a script of the shell in which `pos3` is the program, where it can mount. Returns none where nothing can be mounted.
#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(super) fn shell(cloud: &Cloud, script: &str) -> Option<Ended> {
    let script = format!("set -e; pos3() {{ {} \"$@\"; }}; {script}", env!("CARGO_BIN_EXE_pos3-cli"));
    let like = cloud.command(&[]);
    let mut unshared = Command::new("unshare");
    unshared.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).current_dir(cloud.program.path(""));
    unshared.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = unshared.output().ok().map(Ended::from);
    let ended = ended.filter(|ended| !ended.err.contains("unshare: ") && !ended.err.contains("mount: "));
    if ended.is_none() {
        eprintln!("skipped: nothing can be mounted here");
    }
    ended
}

/// Returns the keys of the objects that stand for files. An empty mount point is uploaded as an empty directory.
pub(super) fn files(cloud: &Cloud) -> Vec<String> {
    cloud.server.keys(BUCKET).into_iter().filter(|key| !key.ends_with('/')).collect()
}

const UP: &str = "pos3 sync src s3://data/v --delete";

#[test]
fn an_unmounted_part_of_an_output_deletes_nothing() {
    for end in ["sleep 1.2", "sleep 1.2; exit 1", "true"] {
        let cloud = Cloud::new(&[("cache/_/data/v/ckpt/", "")]);
        let script = format!(
            "mount -t tmpfs tmpfs cache/_/data/v/ckpt; pos3 run --upload o=s3://data/v --interval .2 --delete-remote \
             --json-report report -- sh -c 'for i in 1 2 3; do echo $i > $POS3_PATH_O/ckpt/c$i; done; \
             echo log > $POS3_PATH_O/log; sleep 1; umount -l $POS3_PATH_O/ckpt; echo new > $POS3_PATH_O/new; {end}'"
        );
        let Some(ended) = shell(&cloud, &script) else { return };
        assert_eq!(ended.code, Some(1), "{end} {ended:?}");
        let warning = "the file system at 'ckpt/' is not mounted now, so nothing was deleted: mount it";
        assert!(ended.err.contains(warning) || end.contains("exit"), "{end} {ended:?}");
        let keys = files(&cloud);
        assert!(
            keys.starts_with(&["v/ckpt/c1", "v/ckpt/c2", "v/ckpt/c3", "v/log"].map(String::from)),
            "{end} {keys:?}"
        );
        if end == "true" {
            let report = std::fs::read_to_string(cloud.program.path("report")).unwrap();
            assert!(report.contains("is not mounted now"), "{report}");
            assert!(keys.contains(&"v/new".to_owned()), "what is there is uploaded: {keys:?}");
        }
    }
}

#[test]
fn a_file_system_that_is_mounted_over_an_output_deletes_nothing() {
    for at in ["", "/ckpt"] {
        let cloud = Cloud::new(&[]);
        let script = format!(
            "pos3 run --upload o=s3://data/v --interval .2 --delete-remote -- sh -c 'mkdir $POS3_PATH_O/ckpt; \
             echo 1 > $POS3_PATH_O/ckpt/a; echo 2 > $POS3_PATH_O/b; sleep 1; mount -t tmpfs tmpfs $POS3_PATH_O{at}; \
             echo 3 > $POS3_PATH_O{at}/new; sleep 1'"
        );
        let Some(ended) = shell(&cloud, &script) else { return };
        assert_eq!(ended.code, Some(1), "{at} {ended:?}");
        assert!(ended.err.contains("a file system was mounted over"), "{at} {ended:?}");
        let new = if at.is_empty() { "v/new" } else { "v/ckpt/new" };
        let mut expected = vec!["v/b", "v/ckpt/a", new];
        expected.sort_unstable();
        assert_eq!(files(&cloud), expected, "{at}");
    }
}

#[test]
fn a_bind_mount_of_the_same_file_system_deletes_nothing_that_it_hides() {
    for at in ["", "/ckpt"] {
        let cloud = Cloud::new(&[("other/new", "1")]);
        let script = format!(
            "pos3 run --upload o=s3://data/v --interval .2 --delete-remote -- sh -c 'mkdir $POS3_PATH_O/ckpt; \
             echo 1 > $POS3_PATH_O/ckpt/a; echo 2 > $POS3_PATH_O/b; sleep 1; \
             mount --bind other $POS3_PATH_O{at}; sleep 1'"
        );
        let Some(ended) = shell(&cloud, &script) else { return };
        assert_eq!(ended.code, Some(1), "{at} {ended:?}");
        assert!(ended.err.contains("a file system was mounted over"), "{at} {ended:?}");
        let new = if at.is_empty() { "v/new" } else { "v/ckpt/new" };
        let mut expected = vec!["v/b", "v/ckpt/a", new];
        expected.sort_unstable();
        assert_eq!(files(&cloud), expected, "{at}");
    }
    for at in ["src", "src/ckpt"] {
        let cloud =
            Cloud::new(&[("src/ckpt/1", "1"), ("src/a", "1"), ("src/b", "1"), ("src/c", "1"), ("other/2", "1")]);
        let bound = format!("mount --bind other {at}; {UP}");
        let Some(ended) = shell(&cloud, UP) else { return };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for (command, code, are_kept) in [(bound.as_str(), 1, true), (bound.as_str(), 0, false), (UP, 1, false)] {
            let ended = shell(&cloud, command).unwrap();
            assert_eq!(ended.code, Some(code), "{command} {ended:?}");
            assert_eq!(
                files(&cloud).contains(&"v/ckpt/1".to_owned()),
                are_kept || command == UP,
                "{command} {ended:?}"
            );
        }
    }
}

#[test]
fn a_disk_that_is_not_mounted_at_the_next_run_deletes_nothing_until_it_is_forgotten() {
    for (command, at) in [(UP, "src/ckpt"), (UP, "src"), ("pos3 upload s3://data/v --local src --delete", "src/ckpt")] {
        let files_here = [("src/ckpt/", ""), ("disk/", ""), ("src/a", "1"), ("src/b", "1"), ("src/c", "1")];
        let cloud = Cloud::new(&files_here);
        let write = "mkdir -p src/ckpt; for i in a b c ckpt/1 ckpt/2; do echo 1 > src/$i; done";
        let Some(ended) = shell(&cloud, &format!("mount --bind disk {at}; {write}; {command}")) else { return };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let before = files(&cloud);
        assert_eq!(before.len(), 5, "{before:?}");
        std::fs::remove_dir_all(cloud.program.path("src/ckpt")).unwrap();
        for missing in [true, false] {
            if !missing {
                std::fs::create_dir(cloud.program.path("src/ckpt")).unwrap();
            }
            let ended = shell(&cloud, command).unwrap();
            assert_eq!(ended.code, Some(1), "{command} {at} {ended:?}");
            assert!(ended.err.contains("is not mounted now, so nothing was deleted: mount it"), "{ended:?}");
            assert_eq!(files(&cloud), before, "{command} {at}");
        }
        let planned = shell(&cloud, "pos3 plan src s3://data/v --delete -o plan; pos3 apply plan").unwrap();
        assert_eq!(files(&cloud), before, "{planned:?}");
        let mounted = shell(&cloud, &format!("mount --bind disk {at}; {write}; rm src/ckpt/2; {command}")).unwrap();
        assert_eq!(mounted.code, Some(0), "{mounted:?}");
        assert_eq!(files(&cloud), ["v/a", "v/b", "v/c", "v/ckpt/1"], "{at}");
        let forget = if at == "src" { "--all" } else { "ckpt" };
        let ended = shell(&cloud, &format!("pos3 manifest forget src s3://data/v {forget}; {command}")).unwrap();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(files(&cloud), ["v/a", "v/b", "v/c"], "{at}");
    }
}

#[test]
fn a_disk_of_a_first_run_that_was_refused_deletes_nothing_when_it_is_not_mounted() {
    let objects = [("v/a", "1"), ("v/ckpt/1", "1"), ("v/ckpt/2", "1"), ("v/extra", "1")];
    let cloud = Cloud::new(&[("src/ckpt/", ""), ("src/a", "1")]).with_objects(&objects);
    let script =
        format!("mount -t tmpfs tmpfs src/ckpt; echo 1 > src/ckpt/1; echo 1 > src/ckpt/2; {UP} --max-delete 0");
    let Some(ended) = shell(&cloud, &script) else { return };
    assert_eq!((ended.code, files(&cloud).len()), (Some(4), 4), "{ended:?}");
    let ended = shell(&cloud, &format!("{UP} --max-delete 100%")).unwrap();
    assert!(ended.err.contains("is not mounted now, so nothing was deleted: mount it"), "{ended:?}");
    assert_eq!((ended.code, files(&cloud).len()), (Some(1), 4), "{ended:?}");
}

#[test]
fn a_disk_that_is_new_at_the_next_run_withholds_the_deletes_below_it_once() {
    let files_here = [("src/ckpt/1", "1"), ("src/ckpt/2", "1"), ("src/a", "1"), ("src/b", "1"), ("src/c", "1")];
    let cloud = Cloud::new(&[&files_here[..], &[("disk/3", "1")]].concat());
    let Some(ended) = shell(&cloud, UP) else { return };
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (command, code, left) in [("pos3 sync src s3://data/v", 0, 6), (UP, 1, 6), (UP, 0, 4)] {
        let script = format!("mount --bind disk src/ckpt; {command}");
        let ended = shell(&cloud, &script).unwrap();
        assert_eq!(ended.code, Some(code), "{command} {ended:?}");
        assert_eq!(ended.err.contains("a file system was mounted over 'ckpt/'"), code == 1, "{ended:?}");
        assert_eq!(files(&cloud).len(), left, "{command}");
    }
}

#[test]
fn a_disk_that_a_download_wrote_to_deletes_nothing_when_it_is_not_mounted() {
    let objects = [("v/a", "1"), ("v/b", "1"), ("v/c", "1"), ("v/m/1", "1"), ("v/m/2", "1")];
    for (down, at) in [
        ("pos3 sync s3://data/v src", "src/m"),
        ("pos3 sync s3://data/v src", "src"),
        ("pos3 download s3://data/v --local src", "src/m"),
    ] {
        let cloud = Cloud::new(&[("src/m/", "")]).with_objects(&objects);
        let Some(ended) = shell(&cloud, &format!("mount -t tmpfs tmpfs {at}; {down}; test -f src/m/2")) else { return };
        assert_eq!(ended.code, Some(0), "{down} {ended:?}");
        let write = "for i in a b c; do echo 1 > src/$i; done";
        for up in [UP, "pos3 upload s3://data/v --local src --delete"] {
            let ended = shell(&cloud, &format!("{write}; {up}")).unwrap();
            assert_eq!(ended.code, Some(1), "{down} {at} {up} {ended:?}");
            assert!(ended.err.contains("is not mounted now, so nothing was deleted: mount it"), "{ended:?}");
            assert_eq!(files(&cloud).len(), objects.len(), "{down} {at} {up}");
        }
        let forget = if at == "src" { "--all" } else { "m" };
        let ended = shell(&cloud, &format!("pos3 manifest forget s3://data/v src {forget}; {UP}")).unwrap();
        assert_eq!((ended.code, files(&cloud).len()), (Some(0), 3), "forgotten in either direction: {ended:?}");
    }
}

#[test]
fn another_disk_at_a_known_mount_point_withholds_the_deletes_below_it_once() {
    let one = "mount --bind one src/ckpt";
    for other in ["mount --bind other src/ckpt", "mount -t tmpfs tmpfs src/ckpt"] {
        let cloud = Cloud::new(&[("one/1", "1"), ("one/2", "1"), ("other/", ""), ("src/a", "1"), ("src/ckpt/", "")]);
        let Some(ended) = shell(&cloud, &format!("{one}; {UP}")) else { return };
        assert_eq!((ended.code, files(&cloud).len()), (Some(0), 3), "{ended:?}");
        let up = format!("{UP} --max-delete 100%");
        let script = format!("{other}; {up} && exit 9; pos3 sync src s3://data/v; {up}");
        let ended = shell(&cloud, &script).unwrap();
        let warning = "another file system than before is at 'ckpt/', so nothing was deleted";
        assert!(ended.err.contains(warning), "{other} {ended:?}");
        assert_eq!((ended.code, files(&cloud)), (Some(0), vec!["v/a".to_owned()]), "the second run {ended:?}");
        let ended =
            shell(&cloud, &format!("{other}; echo 1 > src/ckpt/3; {up}; umount src/ckpt; {one}; {up}")).unwrap();
        assert_eq!(ended.code, Some(1), "the first disk is another one now: {ended:?}");
        assert!(files(&cloud).contains(&"v/ckpt/3".to_owned()), "{other} {ended:?}");
    }
}

/// Runs `before` and then pos3, which is killed some time after it has sent a request that is never answered.
fn killed(cloud: &Cloud, before: &str, arguments: &str, stalled: Operation, after: Duration) -> Option<Ended> {
    let stall = Answer::Delay(Duration::from_secs(600));
    cloud.server.fault(Fault::on(stalled).key("v/z").always().answer(stall));
    let script = format!(
        "{before}; {} {arguments} & p=$!; until test -e go; do sleep .02; done; kill -9 $p; wait $p || true; rm go",
        env!("CARGO_BIN_EXE_pos3-cli")
    );
    let (has_ended, go) = (AtomicBool::new(false), cloud.program.path("go"));
    let ended = thread::scope(|scope| {
        scope.spawn(|| {
            let is_stalled =
                || cloud.server.log().iter().any(|target| target.operation == stalled && target.key == "v/z");
            while !is_stalled() && !has_ended.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(after);
            std::fs::write(go, "").unwrap();
        });
        let ended = shell(cloud, &script);
        has_ended.store(true, Ordering::Release);
        ended
    });
    cloud.server.clear_faults();
    ended
}

/// Shorter and longer than the time after which the first rows are stored.
const TIMES: [Duration; 2] = [Duration::ZERO, Duration::from_millis(1500)];

#[test]
fn a_disk_of_a_run_that_was_killed_deletes_nothing_when_it_is_not_mounted() {
    let objects = [("v/a", "1"), ("v/b", "1"), ("v/m/1", "1"), ("v/m/2", "1"), ("v/z", "1")];
    let upload = "pos3 upload s3://data/v --local src --delete";
    let write = "for i in a b m/1 m/2 z; do echo 2 > src/$i; done";
    for (arguments, write, stalled, again) in [
        ("sync src s3://data/v --delete", write, Operation::PutObject, UP),
        ("upload s3://data/v --local src", write, Operation::PutObject, upload),
        ("sync s3://data/v src", "true", Operation::GetObject, UP),
        ("download s3://data/v --local src", "true", Operation::GetObject, upload),
    ] {
        for (at, after) in [("src/m", TIMES[0]), ("src/m", TIMES[1]), ("src", TIMES[1])] {
            let cloud = Cloud::new(&[("src/m/", "")]).with_objects(&objects);
            let before = format!("mount -t tmpfs tmpfs {at}; mkdir -p src/m; {write}");
            let Some(ended) = killed(&cloud, &before, arguments, stalled, after) else { return };
            let script = format!("for i in a b; do echo 3 > src/$i; done; {again} --max-delete 100%");
            let next = shell(&cloud, &script).unwrap();
            let warning = "is not mounted now, so nothing was deleted: mount it";
            assert!(next.err.contains(warning), "{arguments} {at} {after:?} {ended:?} {next:?}");
            assert_eq!((next.code, files(&cloud).len()), (Some(1), 5), "{arguments} {at} {after:?} {next:?}");
        }
    }
}

#[test]
fn a_disk_that_is_new_after_a_run_that_was_killed_withholds_the_deletes_below_it() {
    for after in TIMES {
        let cloud = Cloud::new(&[("src/m/1", "1"), ("src/m/2", "1"), ("src/z", "1"), ("disk/3", "1")]);
        let arguments = "sync src s3://data/v -j1";
        let Some(ended) = killed(&cloud, "true", arguments, Operation::PutObject, after) else { return };
        assert_eq!(files(&cloud), ["v/m/1", "v/m/2"], "{ended:?}");
        let next = shell(&cloud, &format!("mount --bind disk src/m; {UP} --max-delete 100%")).unwrap();
        assert!(next.err.contains("a file system was mounted over 'm/', so nothing was deleted"), "{next:?}");
        assert_eq!((next.code, files(&cloud).len()), (Some(1), 4), "{next:?}");
    }
}
