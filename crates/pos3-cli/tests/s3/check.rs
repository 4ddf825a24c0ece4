//! `check` compares, and changes nothing.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use pos3_tests::server::{Checksums, Etags, Operation, StoredObject};

use super::{BUCKET, Cloud, requests};
use crate::program::Ended;

#[test]
fn a_check_says_what_differs_in_the_lines_of_rclone() {
    let cloud =
        Cloud::new(&[("d/same", "1"), ("d/size", "22"), ("d/content", "33"), ("d/here", "4"), ("d/x.log", "5")])
            .with_objects(&[("d/same", "1"), ("d/size", "2"), ("d/content", "34"), ("d/there", "4")]);
    cloud.server.reset_requests();
    let ended = cloud.run(&["check", "d", "s3://data/d", "--exclude", "*.log"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(ended.out, "* content\n+ here\n* size\n- there\n");
    assert!(ended.err.starts_with("1 equal, 2 differ, 1 only in the source, 1 only in the target\n"), "{}", ended.err);
    let counted = cloud.server.requests();
    assert_eq!(counted.to_string(), "HeadObject: 1, ListObjectsV2: 1", "only the doubtful key is looked up");
    assert_eq!(cloud.server.keys(BUCKET), ["d/content", "d/same", "d/size", "d/there"]);
    let all = cloud.run(&["check", "d", "s3://data/d", "--exclude", "*.log", "--all", "-q"]);
    assert_eq!((all.out.lines().next(), all.err.as_str()), (Some("= same"), ""), "{all:?}");

    let (code, told) = cloud.json(&["check", "d", "s3://data/d"]);
    assert_eq!((code, &told["equal"], &told["source_only"]), (3, &1.into(), &2.into()));
    assert_eq!(told["differences"][0], serde_json::json!({"path": "content", "sign": "*"}));
    let same = cloud.run(&["check", "d", "s3://data/d", "--exclude", "*", "--include", "same"]);
    assert_eq!((same.code, same.out.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn differences_that_could_not_be_written_are_a_failure() {
    let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/b", "1")]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let child = cloud.command(&["check", "d", "s3://data/d"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.err.contains("No space left on device"), "{}", ended.err);
}

#[test]
fn times_and_memory_prove_nothing_to_a_check() {
    let cloud = Cloud::new(&[("d/a", "one")]);
    assert_eq!(cloud.run(&["sync", "d", "s3://data/d"]).code, Some(0));
    let time = fs::metadata(cloud.program.path("d/a")).unwrap().modified().unwrap();
    fs::write(cloud.program.path("d/a"), "two").unwrap();
    fs::File::options().write(true).open(cloud.program.path("d/a")).unwrap().set_modified(time).unwrap();
    cloud.server.set_modified(BUCKET, "d/a", time);
    let ended = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(3), "* a\n"));
}

#[test]
fn what_no_digest_tells_is_told_by_reading_both_sides() {
    // Two ways to cut the same bytes have two ETags.
    let cloud = Cloud::new(&[("big", &"x".repeat(17 << 20)), ("d/x", "1")]);
    fs::create_dir(cloud.program.path("one")).unwrap();
    fs::rename(cloud.program.path("big"), cloud.program.path("one/big")).unwrap();
    assert_eq!(cloud.run(&["sync", "one", "s3://data/one"]).code, Some(0));
    cloud.server.put(BUCKET, "two/big", "x".repeat(17 << 20));
    let ended = cloud.run(&["check", "s3://data/one", "s3://data/two"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        ended.out,
        "! big (no digest on both sides that can be compared; use --download to compare the content)\n"
    );
    cloud.server.reset_requests();
    let (code, told) = cloud.json(&["check", "s3://data/one", "s3://data/two", "--download"]);
    assert_eq!((code, &told["equal"]), (0, &1.into()));
    assert_eq!(
        cloud.requests_as_told(&told),
        requests(&[("GetObject", told["requests"]["GetObject"].as_u64().unwrap()), ("ListObjectsV2", 2)])
    );
    let mut other = "x".repeat(17 << 20);
    other.replace_range(9 << 20..(9 << 20) + 1, "y");
    cloud.server.put(BUCKET, "two/big", other);
    let ended = cloud.run(&["check", "s3://data/one", "s3://data/two", "--download"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(3), "* big\n"), "{ended:?}");
    assert_eq!(cloud.server.requests().of(Operation::PutObject), 0);
}

#[test]
fn a_check_that_cannot_be_made_is_no_difference() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    for arguments in [["check", "missing", "s3://data/d"], ["check", "d", "s3://no-such-bucket/d"]] {
        let ended = cloud.run(&arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(ended.err.starts_with("error: "), "{}", ended.err);
    }
}

#[test]
fn where_etags_are_no_digests_the_stored_checksums_decide() {
    let cloud = Cloud::new(&[("d/a", "one"), ("d/b", "two"), ("d/big", &"x".repeat(17 << 20))]);
    cloud.server.configure(|settings| settings.etags = Etags::Kms);
    assert_eq!(cloud.run(&["sync", "d", "s3://data/d"]).code, Some(0));
    let checked = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!((checked.code, checked.out.as_str()), (Some(0), ""), "{checked:?}");
    assert_eq!(cloud.run(&["sync", "s3://data/d", "s3://data/copy"]).code, Some(0));
    let checked = cloud.run(&["check", "s3://data/d", "s3://data/copy"]);
    assert_eq!((checked.code, checked.out.as_str()), (Some(0), ""), "{checked:?}");

    // Plan, explanation and run agree without a memory, too.
    cloud.server.reset_requests();
    for (source, target) in [("d", "s3://data/d"), ("s3://data/d", "s3://data/copy")] {
        for memory in [&[][..], &["--no-manifest"]] {
            let _there_is_none = fs::remove_dir_all(cloud.program.state());
            let (_, explained) = cloud.json(&[&["explain", source, target, "a"], memory].concat());
            assert_eq!(explained["would"], "nothing", "{explained}");
            let (code, ran) = cloud.json(&[&["sync", source, target], memory].concat());
            assert_eq!((code, &ran["copied"]["files"]), (0, &0.into()), "{ran}");
        }
    }
    assert_eq!(cloud.server.requests().of(Operation::PutObject), 0);
    fs::write(cloud.program.path("d/a"), "eno").unwrap();
    let checked = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!((checked.code, checked.out.as_str()), (Some(3), "* a\n"), "{checked:?}");
}

#[test]
fn what_nothing_tells_is_unknown_and_no_difference() {
    let cloud = Cloud::new(&[("d/a", "one")]);
    cloud.server.configure(|settings| {
        settings.etags = Etags::Kms;
        settings.checksums = Checksums::Ignored;
    });
    assert_eq!(cloud.run(&["sync", "d", "s3://data/d"]).code, Some(0));
    let checked = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.out.starts_with("! a ("), "{checked:?}");
}

#[test]
fn a_side_that_does_not_exist_is_no_empty_side() {
    let cloud = Cloud::new(&[("empty/", ""), ("full/a", "1")]).with_objects(&[("d/a", "1")]);
    for (from, to) in [("empty", "missing"), ("full", "missing"), ("s3://data/d", "missing"), ("missing", "empty")] {
        let ended = cloud.run(&["check", from, to]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{from} {to} {ended:?}");
        assert!(ended.err.contains("missing"), "{ended:?}");
    }
    assert_eq!(cloud.run(&["check", "empty", "empty2", "--allow-empty"]).code, Some(0));
}

#[test]
fn a_target_prefix_without_a_key_is_an_error_of_check() {
    let cloud = Cloud::new(&[("empty/", ""), ("full/a", "1")]).with_objects(&[("d/a", "1"), ("marked/", "")]);
    cloud.server.create_bucket("nothing");
    for (from, to) in [("empty", "s3://data/none"), ("full", "s3://data/none"), ("s3://data/d", "s3://data/none/x")] {
        let ended = cloud.run(&["check", from, to]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{from} {to} {ended:?}");
        assert!(ended.err.contains(&format!("there is nothing at the target '{to}'\nhint: ")), "{}", ended.err);
    }
    let ended = cloud.run(&["check", "empty", "s3://data/d/a"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("the target 's3://data/d/a' is a file, not a directory"), "{}", ended.err);
    for to in ["s3://nothing", "s3://data/marked"] {
        assert_eq!(cloud.run(&["check", "empty", to]).code, Some(0), "{to}");
    }
    assert_eq!(cloud.run(&["check", "empty", "s3://data/none", "--allow-empty"]).code, Some(0));
}

#[test]
fn parts_of_any_size_are_compared_with_the_help_of_the_server() {
    let content = "x".repeat(21_500_000);
    let cloud = Cloud::new(&[("d/big", &content)]);
    let object = StoredObject::in_parts(content.clone().into(), 7_000_000);
    cloud.server.put_object(BUCKET, "d/big", object.clone());
    cloud.server.configure(|settings| settings.checksums = Checksums::Ignored);
    let checked = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!((checked.code, checked.out.as_str()), (Some(0), ""), "{checked:?}");
    let (_, explained) = cloud.json(&["explain", "d", "s3://data/d", "big", "--no-manifest"]);
    assert_eq!(explained["would"], "nothing", "{explained}");
    let (code, ran) = cloud.json(&["sync", "d", "s3://data/d", "--no-manifest"]);
    assert_eq!((code, &ran["copied"]["files"]), (0, &0.into()), "{ran}");

    fs::write(cloud.program.path("d/big"), content.replacen('x', "y", 1)).unwrap();
    let checked = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!((checked.code, checked.out.as_str()), (Some(3), "* big\n"), "{checked:?}");

    // Without the help, nothing shows whether the parts or the contents differ.
    cloud.server.put_object(BUCKET, "d/big", StoredObject { part_sizes: Vec::new(), ..object });
    let checked = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.out.starts_with("! big ("), "{checked:?}");
}

#[test]
fn what_a_link_hides_on_one_side_is_not_called_equal_in_either_direction() {
    let cloud = Cloud::new(&[("d/x", "1"), ("real/inside", "2")]).with_objects(&[
        ("d/x", "1"),
        ("d/l", "different"),
        ("d/ld/other", "different"),
        ("d/ld/sub/deep", "different"),
    ]);
    let in_source = |name: &str| cloud.program.path("d").join(name);
    symlink("x", in_source("l")).unwrap();
    symlink("../real", in_source("ld")).unwrap();
    symlink("nowhere", in_source("alone")).unwrap();

    let ended = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let expected = "! l (the target has it, but the source has 'l', and it is a symbolic link)\n\
                    ! ld/other (the target has it, but the source has 'ld/', and it is a symbolic link)\n\
                    ! ld/sub/deep (the target has it, but the source has 'ld/', and it is a symbolic link)\n";
    assert_eq!(ended.out, expected, "{ended:?}");
    assert!(ended.err.starts_with("1 equal, 3 could not be compared, 2 left out\n"), "{}", ended.err);
    let back = cloud.run(&["check", "s3://data/d", "d"]);
    let paths =
        |out: &str| out.lines().map(|line| line.split(" (").next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    assert_eq!((back.code, paths(&back.out)), (Some(1), paths(&ended.out)), "{back:?}");

    let (code, told) = cloud.json(&["check", "d", "s3://data/d"]);
    assert_eq!((code, &told["unknown"], &told["left_out"]), (1, &3.into(), &2.into()), "{told}");
    let left_out = |key| serde_json::json!({"key": key, "reason": "it is a symbolic link", "by_policy": true});
    assert_eq!(told["skipped"], serde_json::json!([left_out("alone"), left_out("ld")]), "{told}");

    // What the filter excludes is on neither side.
    let ended = cloud.run(&["check", "d", "s3://data/d", "--exclude", "l", "--exclude", "ld/**"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{ended:?}");
}

#[test]
fn links_that_hide_nothing_are_left_out_and_no_failure() {
    let cloud = Cloud::new(&[("a/x", "1"), ("b/x", "1")]).with_objects(&[("d/x", "1")]);
    for side in ["a", "b"] {
        symlink("x", cloud.program.path(side).join("l")).unwrap();
        symlink(".", cloud.program.path(side).join("ld")).unwrap();
    }
    for (from, to, left_out) in [("a", "s3://data/d", 2), ("s3://data/d", "a", 0)] {
        let (code, told) = cloud.json(&["check", from, to]);
        assert_eq!((code, &told["left_out"]), (0, &left_out.into()), "{told}");
    }
    let ended = cloud.run(&["check", "a", "b"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "a link on both sides: {ended:?}");
    fs::remove_file(cloud.program.path("b/ld")).unwrap();
    fs::create_dir(cloud.program.path("b/ld")).unwrap();
    fs::write(cloud.program.path("b/ld/y"), "2").unwrap();
    for (from, to) in [("a", "b"), ("b", "a")] {
        let ended = cloud.run(&["check", from, to, "-q"]);
        assert_eq!((ended.code, ended.out.contains("! ld/y (")), (Some(1), true), "{from} {to} {ended:?}");
    }
}

#[test]
fn what_any_entry_that_is_not_read_hides_is_not_called_equal() {
    let cloud = Cloud::new(&[("d/x", "1"), ("d/locked/in", "2")]).with_objects(&[
        ("d/x", "1"),
        ("d/fifo", "1"),
        ("d/locked/in", "3"),
    ]);
    let fifo = cloud.program.path("d/fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    fs::write(cloud.program.path("d").join(std::ffi::OsStr::from_bytes(b"n\xff")), "1").unwrap();
    for (from, to) in [("d", "s3://data/d"), ("s3://data/d", "d")] {
        let ended = cloud.run(&["check", from, to]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.out.contains("! fifo ("), "{ended:?}");
    }
}
