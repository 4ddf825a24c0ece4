//! Unusual keys: pos3 syncs or refuses each one exactly, and syncs all others.

use std::fs;

use super::{BUCKET, Cloud};

/// What a disk can hold, and what it cannot.
const FINE: [&str; 9] =
    ["a%20b", "x#1", "y?z", "line\nbreak", "caf\u{e9}", "cafe\u{301}", "dir/x", "s;p=1", "tab\there"];
const REFUSED: [&str; 8] =
    ["../up", "/lead", "a//b", "c/./d", "full/", "dir", STAGED, ".pos3-partial.0123456789abcdef"];
/// The name of staged content.
const STAGED: &str = ".pos3-new.1-0123456789abcdef.0";

fn cloud() -> (Cloud, String) {
    let longest =
        format!("{}/{}/{}/{}/{}", "l".repeat(250), "o".repeat(250), "n".repeat(250), "g".repeat(250), "s".repeat(16));
    let cloud = Cloud::new(&[]);
    for key in FINE.into_iter().chain(REFUSED).chain([longest.as_str()]) {
        cloud.server.put(BUCKET, &format!("k/{key}"), key.to_owned());
    }
    cloud.server.put(BUCKET, "k/dir/", "");
    (cloud, longest)
}

#[test]
fn odd_keys_go_between_buckets_exactly() {
    let (cloud, longest) = cloud();
    cloud.server.create_bucket("other");
    let (code, told) = cloud.json(&["sync", "s3://data/k", "s3://other/k"]);
    assert_eq!((code, told["copied"]["files"].as_u64()), (0, Some(FINE.len() as u64 + REFUSED.len() as u64 + 2)));
    assert_eq!(cloud.server.keys("other"), cloud.server.keys(BUCKET));
    assert_eq!(cloud.server.object("other", &format!("k/{longest}")).unwrap().bytes, longest.as_bytes());
    let (code, told) = cloud.json(&["sync", "s3://data/k", "s3://other/k", "--delete"]);
    assert_eq!((code, told["copied"]["files"].as_u64(), told["deleted"].as_u64()), (0, Some(0), Some(0)));
}

#[test]
fn odd_keys_come_down_exactly_or_are_refused_one_by_one() {
    let (cloud, longest) = cloud();
    cloud.server.remove(BUCKET, "k/dir/");
    cloud.server.put(BUCKET, "k/marker/", "");
    let (code, told) = cloud.json(&["sync", "s3://data/k", "out/k"]);
    assert_eq!(code, 1, "{told}");
    let refused: Vec<&str> =
        told["skipped"].as_array().unwrap().iter().map(|skipped| skipped["key"].as_str().unwrap()).collect();
    assert_eq!(
        refused,
        ["../up", STAGED, ".pos3-partial.0123456789abcdef", "/lead", "a//b", "c/./d", "dir/x", "full/"],
        "'dir' is a file, so 'dir/x' is not"
    );
    for key in FINE.into_iter().filter(|key| *key != "dir/x").chain(["dir", longest.as_str()]) {
        assert_eq!(fs::read_to_string(cloud.program.path("out/k").join(key)).unwrap(), key, "{key:?}");
    }
    assert!(cloud.program.path("out/k/marker").is_dir());
    assert_eq!(fs::read_dir(cloud.program.path("out")).unwrap().count(), 1, "nothing lies outside the target");

    let (code, up) = cloud.json(&["sync", "out/k", "s3://data/z"]);
    assert_eq!(code, 0, "{up}");
    let again = cloud.server.keys(BUCKET).into_iter().filter(|key| key.starts_with("z/")).count();
    assert_eq!(again, FINE.len() - 1 + 3, "the files, 'dir', the longest key, and the marker");
}

#[test]
fn objects_that_no_directory_can_hold_are_not_taken_for_absent() {
    let long = "l".repeat(300);
    let odd = [".pos3-partial.0123456789abcdef", "b//c", "d/../e", long.as_str(), "m/"];
    for line in [
        &["sync", "l", "s3://data/k", "--delete"][..],
        &["upload", "s3://data/k", "--local", "l", "--delete"],
        &["apply", "plan"],
    ] {
        let cloud = Cloud::new(&[("l/a", "1")]).with_objects(&[("k/a", "1"), ("k/old", "1")]);
        odd.iter().for_each(|key| cloud.server.put(BUCKET, &format!("k/{key}"), "content"));
        if line[0] == "apply" {
            let planned = cloud.run(&["plan", "l", "s3://data/k", "--delete", "-o", "plan"]);
            assert_eq!(planned.code, Some(1), "{planned:?}");
            assert!(
                planned.err.contains("the source cannot have a file of this name, so pos3 keeps it"),
                "{planned:?}"
            );
        }
        let (code, told) = cloud.json(line);
        assert_eq!((code, told["deleted"].as_u64()), (1, Some(1)), "{line:?} {told}");
        let skipped: Vec<&str> =
            told["skipped"].as_array().unwrap().iter().map(|skipped| skipped["key"].as_str().unwrap()).collect();
        assert_eq!(skipped, odd, "{line:?}");
        let mut left: Vec<String> = odd.iter().copied().chain(["a"]).map(|key| format!("k/{key}")).collect();
        left.sort_unstable();
        assert_eq!(cloud.server.keys(BUCKET), left, "{line:?}");
        let explained = cloud.run(&["explain", "l", "s3://data/k", "b//c", "--delete"]);
        assert!(explained.out.contains("it has an empty path segment"), "{explained:?}");
        let kept = cloud.run(&["sync", "l", "s3://data/k"]);
        assert_eq!(kept.code, Some(0), "without --delete they are only counted: {kept:?}");
    }
}

#[test]
fn an_empty_local_directory_replaces_no_object_with_content() {
    const KEPT: &str = "has an object with content, which a directory cannot have, so pos3 keeps it";
    let sync = ["sync", "l", "s3://data/k"];
    let modes = ["--size-only", "--checksum", "--exact-timestamps", "--no-manifest", "-n", "--delete"];
    let syncs = modes.iter().map(|mode| [&sync[..], &[mode]].concat());
    let others = [
        &sync[..],
        &["upload", "s3://data/k", "--local", "l"],
        &["upload", "s3://data/k", "--local", "l", "--delete"],
        &["plan", "l", "s3://data/k", "-o", "plan"],
        &["check", "l", "s3://data/k"],
        &["run", "--upload", "o=s3://data/k", "--", "sh", "-c", r#"mkdir "$POS3_PATH_O/m"; echo 1 > "$POS3_PATH_O/a""#],
    ];
    for line in syncs.chain(others.map(<[&str]>::to_vec)) {
        // A file that a killed run has left unfinished is no content of the directory.
        for unfinished in [None, Some("l/m/.pos3-partial.0123456789abcdef")] {
            let cloud = Cloud::new(&[("l/a", "1\n")]).with_objects(&[("k/m/", "precious"), ("k/a", "0\n")]);
            fs::create_dir(cloud.program.path("l/m")).unwrap();
            unfinished.iter().for_each(|path| fs::write(cloud.program.path(path), "1").unwrap());
            let ended = cloud.run(&line);
            assert_eq!(ended.code, Some(1), "{line:?}: {ended:?}");
            assert!(format!("{}{}", ended.out, ended.err).contains(KEPT), "{line:?}: {ended:?}");
            if line[0] == "plan" {
                assert_eq!(cloud.run(&["apply", "plan"]).code, Some(1));
            }
            assert_eq!(cloud.server.object(BUCKET, "k/m/").unwrap().bytes, "precious", "{line:?}");
            let is_done = !matches!(line[0], "check") && !line.contains(&"-n") && !line.contains(&"--size-only");
            let expected = if is_done { "1\n" } else { "0\n" };
            assert_eq!(cloud.server.object(BUCKET, "k/a").unwrap().bytes, expected, "all else is done: {line:?}");
        }
    }
    let cloud = Cloud::new(&[]).with_objects(&[("k/m/", "precious"), ("empty/m/", "")]);
    fs::create_dir_all(cloud.program.path("l/m")).unwrap();
    let explained = cloud.run(&["explain", "l", "s3://data/k", "m/"]);
    assert!(explained.out.contains("/k/m/: an object with content whose key ends in '/'"), "{explained:?}");
    assert!(explained.out.contains("would       skip and report it") && explained.out.contains(KEPT), "{explained:?}");
    // Between two buckets, both are objects.
    assert_eq!(cloud.run(&["sync", "s3://data/empty", "s3://data/k"]).code, Some(0));
    assert_eq!(cloud.server.object(BUCKET, "k/m/").unwrap().bytes, "");
}

#[test]
fn an_object_with_the_name_of_staged_content_is_an_ordinary_one_in_a_bucket() {
    let cloud = Cloud::new(&[]);
    let keys = ["from/a", "from/d/", "to/a"].map(str::to_owned).into_iter();
    let keys = keys.chain(["from/", "from/d/", "to/", "to/d/"].map(|prefix| format!("{prefix}{STAGED}")));
    keys.for_each(|key| cloud.server.put(BUCKET, &key, if key.ends_with('/') { "" } else { "1" }));
    let (code, told) = cloud.json(&["sync", "s3://data/from", "s3://data/to", "--delete"]);
    assert_eq!((code, told["deleted"].as_u64()), (0, Some(0)), "{told}");
    let (code, told) = cloud.json(&["check", "s3://data/from", "s3://data/to"]);
    assert_eq!((code, told["equal"].as_u64()), (0, Some(4)), "{told}");

    cloud.server.put(BUCKET, &format!("only/{STAGED}"), "1");
    for source in ["s3://data/from", "s3://data/only"] {
        let ended = cloud.run(&["sync", source, "out"]);
        assert!(ended.err.contains("it uses a reserved file name:\n"), "{ended:?}");
    }
}
