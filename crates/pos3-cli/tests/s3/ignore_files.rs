//! `--ignore-file`: what an ignore file of either side ignores is left alone on both.

use std::fs;

use pos3_tests::server::Operation;

use super::{BUCKET, Cloud};
use crate::program::expected;

/// The local files and the objects before each test.
fn cloud(local: &[(&str, &str)], remote: &[(&str, &'static str)]) -> Cloud {
    let local: Vec<_> = local.iter().map(|(name, text)| (format!("work/{name}"), *text)).collect();
    let remote: Vec<_> = remote.iter().map(|(key, text)| (format!("p/{key}"), *text)).collect();
    let local: Vec<_> = local.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let remote: Vec<_> = remote.iter().map(|(key, text)| (key.as_str(), *text)).collect();
    Cloud::new(&local).with_objects(&remote)
}

/// The commands that make one side like the other, each with deletes.
const BOTH_WAYS: [[&[&str]; 2]; 2] = [
    [&["sync", "s3://data/p", "work"], &["download", "s3://data/p", "--local", "work"]],
    [&["sync", "work", "s3://data/p"], &["upload", "s3://data/p", "--local", "work"]],
];

fn with_options<'a>(command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let options: &[&str] = &["--delete", "--max-delete", "100%", "-q", "--ignore-file", ".syncignore"];
    [command, options, more].concat()
}

#[test]
fn a_pattern_of_either_side_deletes_nothing_on_the_other() {
    for commands in BOTH_WAYS {
        for command in commands {
            for is_local in [true, false] {
                let mut local = vec![("a", "1"), ("mine.tmp", "l"), ("d/mine.tmp", "l"), ("d/b", "2")];
                let mut remote = vec![("a", "1"), ("theirs.tmp", "r"), ("d/theirs.tmp", "r"), ("d/b", "2")];
                let rules = ("d/.syncignore", "*.tmp\n");
                let top = (".syncignore", "/mine.tmp\n/theirs.tmp\n");
                let side = if is_local { &mut local } else { &mut remote };
                side.extend([rules, top]);
                let cloud = cloud(&local, &remote);
                let ended = cloud.run(&with_options(command, &[]));
                assert_eq!(ended.code, Some(0), "{command:?} {}", ended.err);
                for kept in ["mine.tmp", "d/mine.tmp", "d/b"] {
                    assert!(cloud.program.path("work").join(kept).exists(), "{command:?} {is_local} {kept}");
                }
                for stays in ["theirs.tmp", "d/theirs.tmp", "d/b"] {
                    let object = cloud.server.object(BUCKET, &format!("p/{stays}"));
                    assert!(object.is_some(), "{command:?} {is_local} {stays}");
                }
                assert!(!cloud.program.path("work/theirs.tmp").exists());
                assert!(cloud.server.object(BUCKET, "p/mine.tmp").is_none());
            }
        }
    }
}

#[test]
fn the_remote_file_is_honoured_before_the_first_download_and_costs_no_second_listing() {
    for command in BOTH_WAYS[0] {
        let cloud = cloud(&[], &[("a", "1"), ("x.log", "2"), ("out/y", "3"), (".syncignore", "*.log\nout/\n")]);
        let ended = cloud.run(&with_options(command, &[]));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_eq!(cloud.program.files("work"), expected(&[(".syncignore", "*.log\nout/\n"), ("a", "1")]));
        let requests = cloud.server.requests();
        assert_eq!(requests.of(Operation::ListObjectsV2), 1, "{command:?}");
        // The ignore file is fetched once for its rules, and once as a file.
        assert_eq!(requests.of(Operation::GetObject), 3, "{command:?}");
        cloud.server.reset_requests();
        assert_eq!(cloud.run(&with_options(command, &[])).code, Some(0));
        let requests = cloud.server.requests();
        assert_eq!((requests.of(Operation::ListObjectsV2), requests.of(Operation::GetObject)), (1, 0), "{command:?}");
    }
}

#[test]
fn a_bad_line_of_either_side_transfers_nothing_and_is_named() {
    for (local, remote, file) in [
        (vec![("d/.syncignore", "ok\n./bad\n"), ("new", "1")], vec![("a", "1")], "work/d/.syncignore'"),
        (vec![("new", "1")], vec![("d/.syncignore", "ok\n./bad\n"), ("a", "1")], "s3://data/p/d/.syncignore'"),
    ] {
        for command in BOTH_WAYS.concat() {
            let cloud = cloud(&local, &remote);
            let before = cloud.program.files("work");
            let ended = cloud.run(&with_options(command, &[]));
            assert_ne!(ended.code, Some(0), "{command:?}");
            assert!(ended.err.contains(file) && ended.err.contains("line 2"), "{command:?} {}", ended.err);
            assert_eq!(cloud.program.files("work"), before, "{command:?}");
            assert!(cloud.server.object(BUCKET, "p/new").is_none(), "{command:?}");
        }
    }
}

#[test]
fn an_ignore_file_that_only_the_target_has_still_protects_it_in_the_next_run() {
    let cloud = cloud(&[(".syncignore", "secret/\n"), ("secret/x", "1")], &[("a", "1")]);
    for _ in 0..2 {
        assert_eq!(cloud.run(&with_options(BOTH_WAYS[0][0], &[])).code, Some(0));
        assert!(cloud.program.path("work/secret/x").exists() && cloud.program.path("work/.syncignore").exists());
    }
}

#[test]
fn a_plan_records_the_rules_that_it_was_made_with() {
    let cloud = cloud(&[(".syncignore", "*.log\n"), ("a", "1"), ("x.log", "2")], &[]);
    let plan = ["plan", "work", "s3://data/p", "-q", "--ignore-file", ".syncignore", "-o", "plan.jsonl"];
    assert_eq!(cloud.run(&plan).code, Some(0));
    let written = fs::read_to_string(cloud.program.path("plan.jsonl")).unwrap();
    assert!(written.contains("ignore_set") && !written.contains("\"x.log\""), "{written}");
    let ended = cloud.run(&["apply", "plan.jsonl", "-q"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(cloud.server.object(BUCKET, "p/a").is_some() && cloud.server.object(BUCKET, "p/x.log").is_none());
    let check = ["check", "work", "s3://data/p", "-q", "--ignore-file", ".syncignore"];
    assert_eq!(cloud.run(&check).code, Some(0));
    assert_eq!(cloud.run(&["check", "work", "s3://data/p", "-q"]).code, Some(3));
    let explain = ["explain", "work", "s3://data/p", "work/x.log", "--ignore-file", ".syncignore"];
    let explained = cloud.run(&explain);
    assert!(explained.out.contains("*.log"), "{} {}", explained.out, explained.err);
}

#[test]
fn run_reads_the_local_ignore_files_again_for_each_upload() {
    let cloud = cloud(&[], &[(".syncignore", "*.tmp\n"), ("a", "1")]);
    let script =
        "cd \"$POS3_PATH_MODEL\" && echo x > x.tmp && echo y > y.log && echo z > z && echo '*.log' >> .syncignore";
    let run = ["run", "--sync", "model=s3://data/p", "-q", "--ignore-file", ".syncignore", "--", "sh", "-c", script];
    let ended = cloud.run(&run);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(cloud.server.object(BUCKET, "p/z").is_some());
    for ignored in ["p/x.tmp", "p/y.log"] {
        assert!(cloud.server.object(BUCKET, ignored).is_none(), "{ignored}");
    }
}

#[test]
fn a_name_with_a_slash_is_refused_with_a_hint() {
    let cloud = cloud(&[("a", "1")], &[]);
    for command in BOTH_WAYS.concat() {
        let ended = cloud.run(&[command, &["--ignore-file", "d/.syncignore"]].concat());
        assert_eq!(ended.code, Some(2), "{command:?}");
        assert!(ended.err.contains("--exclude-from"), "{}", ended.err);
    }
}
