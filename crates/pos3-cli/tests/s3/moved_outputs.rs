//! Outputs whose path leads to other files at the end of a run: pos3 does not report them as complete.

use std::time::Duration;

use pos3_tests::server::{Answer, Fault, Operation};

use super::Cloud;
use super::mounts::{files, shell};
use super::run::stored;
use crate::program::Ended;

const OUT: &str = "cache/_/data/v";

/// The ways to upload an output.
const WAYS: [&str; 4] = [
    "--upload o=s3://data/v --interval none",
    "--upload o=s3://data/v --interval .2",
    "--sync o=s3://data/v --interval none",
    "--upload o=s3://data/v --interval none --delete-remote",
];

/// Returns the number of marks of unsaved output.
fn marks(cloud: &Cloud, cache_root: &str) -> usize {
    std::fs::read_dir(cloud.program.path(cache_root).join(".pos3-unsaved")).map_or(0, Iterator::count)
}

fn assert_incomplete(ended: &Ended, cloud: &Cloud, change: &str) {
    let report = std::fs::read_to_string(cloud.program.path("report")).unwrap();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains(change), "{change}: {ended:?}");
    assert!(report.contains(r#""complete":false"#), "{report}");
}

#[test]
fn an_output_whose_disk_is_unmounted_during_a_run_is_not_complete() {
    for way in WAYS {
        for (at, below) in [(OUT, ""), ("cache/_/data/v/sub", ""), ("cache", ""), ("cache", OUT)] {
            let cloud = Cloud::new(&[("disk/", ""), (&format!("{at}/"), "")]);
            if !below.is_empty() {
                std::fs::create_dir_all(cloud.program.path(below)).unwrap();
            }
            let script = format!(
                "mount --bind disk {at}; pos3 run {way} --json-report report -- sh -c 'mkdir -p $POS3_PATH_O/sub; \
                 echo 1 > $POS3_PATH_O/sub/r; sleep .5; echo 2 > $POS3_PATH_O/sub/last; umount -l {at}'"
            );
            let Some(ended) = shell(&cloud, &script) else { return };
            let change = format!("/{at}' was unmounted since the start");
            assert_incomplete(&ended, &cloud, &change);
            assert!(!files(&cloud).contains(&"v/sub/last".to_owned()), "{way} {at}");
            let cache_root = if at == "cache" { "disk" } else { "cache" };
            assert_eq!(marks(&cloud, cache_root), 1, "{way} {at} {ended:?}");
        }
    }
}

#[test]
fn an_output_over_which_a_disk_is_mounted_during_a_run_is_not_complete() {
    for way in WAYS {
        for (at, on_disk) in [(OUT, "disk"), ("cache/_/data/v/sub", "disk"), ("cache", "disk/_/data/v")] {
            let file = format!("{on_disk}/hello");
            let cloud = Cloud::new(&[(&file, "1")]);
            let script = format!(
                "pos3 run {way} --json-report report -- sh -c 'mkdir -p $POS3_PATH_O/sub; \
                 echo 1 > $POS3_PATH_O/sub/r; sleep .5; echo 2 > $POS3_PATH_O/sub/last; mount --bind disk {at}'"
            );
            let Some(ended) = shell(&cloud, &script) else { return };
            let change = format!("a file system was mounted over '{}/{at}' since the start", here(&cloud));
            assert_incomplete(&ended, &cloud, &change);
            let keys = files(&cloud);
            assert!(!keys.contains(&"v/sub/last".to_owned()), "{way} {at} {keys:?}");
            assert_eq!(keys.iter().any(|key| key.ends_with("hello")), at != "cache", "{way} {at} {keys:?}");
            assert_eq!(marks(&cloud, "cache"), 1, "{way} {at} {ended:?}");
        }
    }
}

#[test]
fn a_disk_that_is_mounted_over_an_output_and_unmounted_before_the_end_is_not_a_change() {
    let cloud = Cloud::new(&[("disk/", ""), ("cache/_/data/v/", "")]);
    let script = format!(
        "mount --bind disk {OUT}; pos3 run {} -- sh -c 'echo 1 > $POS3_PATH_O/r; mkdir t; mount -t tmpfs tmpfs t; \
         mount -t tmpfs tmpfs $POS3_PATH_O; umount $POS3_PATH_O'",
        WAYS[0]
    );
    let Some(ended) = shell(&cloud, &script) else { return };
    assert_eq!((ended.code, files(&cloud)), (Some(0), vec!["v/r".to_owned()]), "{ended:?}");
}

#[test]
fn an_older_copy_above_an_output_replaces_and_deletes_nothing() {
    for way in WAYS {
        for (place, swap) in [
            ("cache", "mv cache keep; mv old cache"),
            ("cache/_", "mv cache/_ keep; mv old/_ cache/_"),
            ("cache/_/data", "mv cache/_/data keep; mv old/_/data cache/_/data"),
            ("cache", "mount --bind old cache"),
            ("cache/_", "mount --bind old/_ cache/_"),
        ] {
            let cloud = Cloud::new(&[]);
            let script = format!(
                "pos3 run --upload o=s3://data/v -- sh -c 'cd $POS3_PATH_O; for i in 1 2 3 old; do echo old > $i; done'; \
                 cp -a cache old; pos3 run --sync o=s3://data/v --delete-remote -- \
                 sh -c 'cd $POS3_PATH_O; for i in 1 2 3 4 5; do echo new > $i; done; rm old'; \
                 pos3 run {way} --json-report report -- sh -c 'sleep .3; {swap}'"
            );
            let Some(ended) = shell(&cloud, &script) else { return };
            let change = format!("'{}/{place}'", here(&cloud));
            assert_incomplete(&ended, &cloud, &change);
            assert!(ended.err.contains("so nothing was uploaded"), "{ended:?}");
            assert_eq!(files(&cloud), ["v/1", "v/2", "v/3", "v/4", "v/5"], "{way} {swap} {ended:?}");
            for key in files(&cloud) {
                assert_eq!(stored(&cloud, &key).as_deref(), Some("new\n"), "{way} {swap} {key}");
            }
            let cache_root = if swap.starts_with("mv cache keep") { "keep" } else { "cache" };
            assert_eq!(marks(&cloud, cache_root), 1, "{way} {swap} {ended:?}");
        }
    }
}

#[test]
fn an_older_copy_that_appears_during_an_upload_is_an_error_and_is_not_listed() {
    let cloud = Cloud::new(&[]);
    let third = Fault::on(Operation::PutObject).key("v/1").nth(3);
    cloud.server.fault(third.answer(Answer::Delay(Duration::from_secs(2))));
    let script = "pos3 run --upload o=s3://data/v -- sh -c 'cd $POS3_PATH_O; for i in 1 2 3 old; do echo old > $i; done'; \
                  cp -a cache old; pos3 run --sync o=s3://data/v --delete-remote -- \
                  sh -c 'cd $POS3_PATH_O; for i in 1 2 3 4 5; do echo new > $i; done; rm old'; \
                  pos3 run --sync o=s3://data/v -j1 --interval .2 --json-report report -- \
                  sh -c '(cd $POS3_PATH_O; for i in 1 2 3 4 5; do echo newer > $i; done); sleep 1; \
                  mv cache keep; mv old cache; sleep 2'";
    let Some(ended) = shell(&cloud, script) else { return };
    assert_incomplete(&ended, &cloud, &format!("another directory than at the start is at '{}/cache'", here(&cloud)));
    assert_eq!(files(&cloud), ["v/1", "v/2", "v/3", "v/4", "v/5"], "{ended:?}");
    for key in files(&cloud) {
        assert_ne!(stored(&cloud, &key).as_deref(), Some("old\n"), "{key} {ended:?}");
    }
}

#[test]
fn an_older_copy_that_is_mounted_over_an_output_replaces_nothing() {
    for way in WAYS {
        let cloud = Cloud::new(&[("disk/f", "old")]).with_objects(&[("v/f", "theirs")]);
        let script =
            format!("pos3 run {way} --json-report report -- sh -c 'rm -f $POS3_PATH_O/f; mount --bind disk {OUT}'");
        let Some(ended) = shell(&cloud, &script) else { return };
        assert_incomplete(&ended, &cloud, &format!("a file system was mounted over '{}/{OUT}'", here(&cloud)));
        assert_eq!(stored(&cloud, "v/f").as_deref(), Some("theirs"), "{way} {ended:?}");
    }
}

fn here(cloud: &Cloud) -> String {
    std::fs::canonicalize(cloud.program.path("")).unwrap().display().to_string()
}
