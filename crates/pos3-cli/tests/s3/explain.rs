//! `explain` shows the decision about one path and its evidence.

use std::fs;

use super::{BUCKET, Cloud};

fn answer(cloud: &Cloud, path: &str, options: &[&str]) -> (String, String) {
    let (code, told) = cloud.json(&[&["explain", "d", "s3://data/d", path], options].concat());
    assert_eq!(code, 0, "{told}");
    let text = |field: &str| told[field].as_str().unwrap().to_owned();
    (text("would"), text("reason"))
}

#[test]
fn one_path_is_explained() {
    let cloud = Cloud::new(&[("d/new", "1"), ("d/same", "2"), ("d/changed", "3"), ("d/x.log", "4")]).with_objects(&[
        ("d/same", "2"),
        ("d/changed", "33"),
        ("d/old", "5"),
    ]);
    for (path, options, would, reason) in [
        ("new", &[][..], "upload: d/new to s3://data/d/new", "the target does not have it"),
        ("./same", &[], "nothing", "digests are equal"),
        ("changed", &[], "upload: d/changed to s3://data/d/changed", "size differs"),
        ("changed", &["--delete"], "upload: d/changed to s3://data/d/changed", "size differs"),
        ("same", &["--size-only"], "nothing", "sizes are equal"),
        ("old", &[], "nothing", "only the target has it; it would be deleted with --delete"),
        (
            "old",
            &["--delete"],
            "delete: s3://data/d/old",
            "only the target has it; --delete deletes it after everything else",
        ),
        (
            "x.log",
            &["--exclude", "*.log"],
            "nothing",
            "excluded by --exclude '*.log'; it is neither copied nor deleted",
        ),
        ("nowhere", &[], "nothing", "it exists on neither side"),
    ] {
        let (found, because) = answer(&cloud, path, options);
        assert_eq!(found, would, "{path} {options:?}");
        assert!(because.starts_with(reason), "{path} {options:?}: {because}");
    }
    assert_eq!(cloud.server.keys(BUCKET), ["d/changed", "d/old", "d/same"], "nothing was touched");
}

#[test]
fn the_deciding_line_of_a_file_is_named() {
    let cloud = Cloud::new(&[("d/build/out", "1"), ("ignore", "# these are made\n\nbuild/\n*.tmp\n")]);
    let ended = cloud.run(&["explain", "d", "s3://data/d", "build/out", "--exclude-from", "ignore"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("filter      excluded by line 3 of 'ignore': build/\n"), "{}", ended.out);
    let (_, told) = cloud.json(&["explain", "d", "s3://data/d", "build/out", "--exclude-from", "ignore"]);
    assert_eq!(
        told["rule"],
        serde_json::json!({"effect": "exclude", "pattern": "build/", "file": "ignore", "line": 3})
    );
}

#[test]
fn what_is_remembered_is_part_of_the_answer() {
    let cloud = Cloud::new(&[("d/a", "one")]);
    assert_eq!(cloud.run(&["sync", "d", "s3://data/d"]).code, Some(0));
    let (would, reason) = answer(&cloud, "a", &[]);
    assert_eq!((would.as_str(), reason.as_str()), ("nothing", "neither side changed since they were equal"));
    let (_, reason) = answer(&cloud, "a", &["--no-manifest"]);
    assert_ne!(reason, "neither side changed since they were equal");
    fs::write(cloud.program.path("d/a"), "two").unwrap();
    let ended = cloud.run(&["explain", "d", "s3://data/d", "a"]);
    assert!(ended.out.contains("sync state  both sides were equal; the source changed since\n"), "{}", ended.out);
    assert!(ended.out.contains("because     content differs\n"), "{}", ended.out);
}

#[test]
fn an_explanation_costs_a_few_requests_however_large_the_trees_are() {
    let cloud = Cloud::new(&[("d/a/b/c", "1")]);
    for number in 0..2_500 {
        cloud.server.put(BUCKET, &format!("d/other/{number:04}"), "x");
    }
    cloud.server.reset_requests();
    answer(&cloud, "a/b/c", &["--delete"]);
    let up = cloud.server.requests().total();
    cloud.server.reset_requests();
    let (code, _) = cloud.json(&["explain", "s3://data/d", "d", "a/b/c"]);
    let down = cloud.server.requests().total();
    assert_eq!(code, 0);
    // If the source does not have the path, one more request shows whether the source exists.
    assert!(up <= 3 && down <= 6, "{up} up, {down} down");
}

#[test]
fn a_clash_and_what_makes_room_for_it() {
    let cloud = Cloud::new(&[("d/name", "a file")]).with_objects(&[("d/name/inside", "1")]);
    let download = |options: &[&str]| {
        let (_, told) = cloud.json(&[&["explain", "s3://data/d", "d", "name/inside"], options].concat());
        (told["outcome"].as_str().unwrap().to_owned(), told["reason"].as_str().unwrap().to_owned())
    };
    let (outcome, reason) = download(&[]);
    assert_eq!(outcome, "skip");
    assert!(reason.contains("'name' exists") && reason.ends_with("--delete may free the path"), "{reason}");
    let (outcome, reason) = download(&["--delete"]);
    assert_eq!((outcome.as_str(), reason.contains("'name' has the same path")), ("replace", true), "{reason}");
}

#[cfg(unix)]
#[test]
fn what_the_source_may_have_below_a_link_is_said_to_be_protected() {
    let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/link/in/side", "2"), ("d/linked", "3")]);
    std::os::unix::fs::symlink("elsewhere", cloud.program.path("d/link")).unwrap();
    for options in [&[][..], &["--delete"]] {
        let (would, reason) = answer(&cloud, "link/in/side", options);
        let expected =
            "in the source it would be below 'link', and it is a symbolic link; so it is not treated as absent";
        assert_eq!((would.as_str(), reason.as_str()), ("nothing", expected), "{options:?}");
    }
    let (would, _) = answer(&cloud, "linked", &["--delete"]);
    assert_eq!(would, "delete: s3://data/d/linked", "a name that only begins so is not below it");
}

#[test]
fn a_side_that_a_sync_cannot_list_is_the_verdict_of_an_explanation_too() {
    let cloud = Cloud::new(&[("d/a", "1"), ("file", "2")]).with_objects(&[("d/a", "1")]);
    for pair in [
        ["d", "s3://nowhere/d"],
        ["s3://nowhere/d", "d"],
        ["s3://nowhere", "s3://data/d"],
        ["s3://data/d", "s3://nowhere/d"],
        ["missing", "s3://data/d"],
        ["s3://data/none", "d"],
        ["d", "d/sub"],
        ["file", "d"],
        ["d", "file"],
    ] {
        for options in [&[][..], &["--delete"]] {
            let sync = cloud.run(&[&["sync", pair[0], pair[1], "-n"], options].concat());
            let explained = cloud.run(&[&["explain", pair[0], pair[1], "a"], options].concat());
            assert_eq!(explained.code, sync.code, "{pair:?} {explained:?} {sync:?}");
            assert_ne!(explained.code, Some(0), "{pair:?}");
            assert_eq!(explained.err.lines().next(), sync.err.lines().next(), "{pair:?}");
            assert_eq!(explained.out, "", "{pair:?}");
        }
    }
}

#[test]
fn a_path_is_understood_however_it_is_typed() {
    let cloud = Cloud::new(&[("d/sub/f1", "1"), ("d/f1", "2"), ("e/d/f1", "3")]).with_objects(&[("d/old/x", "4")]);
    let absolute = format!("{}/sub/f1", fs::canonicalize(cloud.program.path("d")).unwrap().display());
    let key = |path: &str| {
        let (code, told) = cloud.json(&["explain", "d", "s3://data/d", path]);
        assert_eq!(code, 0, "{path} {told}");
        (told["key"].as_str().unwrap().to_owned(), told["reason"].as_str().unwrap().to_owned())
    };
    for (path, expected) in [
        ("f1", "f1"),
        ("./f1", "f1"),
        ("d/f1", "f1"),
        ("d/sub/f1", "sub/f1"),
        (absolute.as_str(), "sub/f1"),
        ("s3://data/d/f1", "f1"),
        ("s3://data/d/old/x", "old/x"),
        ("sub", "sub/"),
        ("d/sub", "sub/"),
        ("old", "old/"),
        ("nowhere", "nowhere"),
    ] {
        assert_eq!(key(path).0, expected, "{path}");
    }
    for (path, inside) in [("sub", "such as 'sub/f1'"), ("old", "such as 'old/x'")] {
        let reason = key(path).1;
        assert!(reason.contains(inside), "{path}: {reason}");
    }
    let nowhere = cloud.run(&["explain", "d", "s3://data/d", "nowhere"]);
    assert!(nowhere.err.contains("hint: PATH is relative to both locations"), "{}", nowhere.err);
    for path in ["s3://other/d/f1", "s3://data/e/f1", "/etc/hostname", "s3://data/d", "."] {
        let ended = cloud.run(&["explain", "d", "s3://data/d", path]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{path} {ended:?}");
        assert!(ended.err.contains("below"), "{path}: {}", ended.err);
    }
}
