//! `cleanup` lists and aborts unfinished uploads.

use std::fs;

use super::{BUCKET, Cloud};

#[test]
fn unfinished_uploads_are_shown_and_aborted_only_on_request() {
    let cloud = Cloud::new(&[]);
    for key in ["d/one", "d/two", "data/other"] {
        cloud.server.create_upload(BUCKET, key);
    }
    let young = cloud.run(&["cleanup", "s3://data/d"]);
    assert_eq!((young.code, young.out.as_str()), (Some(0), ""), "{young:?}");
    assert!(young.err.contains("2 younger skipped (--older-than 0s includes all)"), "{}", young.err);

    let shown = cloud.run(&["cleanup", "s3://data/d", "--older-than", "0s"]);
    let keys: Vec<&str> = shown.out.lines().filter_map(|line| line.split_whitespace().rev().nth(1)).collect();
    assert_eq!((shown.code, keys), (Some(0), vec!["d/one", "d/two"]), "{shown:?}");
    assert!(shown.err.contains("2 unfinished uploads; abort them with --abort"), "{}", shown.err);
    assert_eq!(cloud.server.open_uploads(BUCKET).len(), 3, "looking changes nothing");

    let spared = cloud.run(&["cleanup", "s3://data/d", "--abort"]);
    assert_eq!((spared.code, cloud.server.open_uploads(BUCKET).len()), (Some(0), 3), "young ones may still run");

    let (code, told) = cloud.json(&["cleanup", "s3://data/d", "--older-than", "0s", "--abort"]);
    assert_eq!((code, &told["given_up"]), (0, &2.into()), "{told}");
    assert_eq!(cloud.server.open_uploads(BUCKET), ["data/other"], "a prefix never means its neighbour");
}

#[test]
fn a_place_that_is_not_there_is_an_error() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    for location in ["missing", "s3://no-such-bucket"] {
        let ended = cloud.run(&["cleanup", location]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    }
    let here = cloud.run(&["cleanup", "d"]);
    assert_eq!((here.code, here.out.as_str()), (Some(0), ""), "{here:?}");
}

#[test]
fn unfinished_files_of_a_directory_are_shown_and_removed_only_on_request() {
    let cloud = Cloud::new(&[("d/a", "1"), ("d/.pos3-new.txt", "mine")]);
    let names = [".pos3-new.1f-18ab4c2d9e0f1234.0", ".pos3-partial.0123456789abcdef"];
    for name in names {
        fs::write(cloud.program.path("d").join(name), "left").unwrap();
    }
    let shown = cloud.run(&["cleanup", "d", "--older-than", "0s"]);
    let keys: Vec<&str> = shown.out.lines().filter_map(|line| line.split_whitespace().next_back()).collect();
    assert_eq!((shown.code, keys), (Some(0), names.to_vec()), "{shown:?}");
    assert!(shown.err.contains("2 unfinished files; remove them with --abort"), "{}", shown.err);
    assert!(names.iter().all(|name| cloud.program.path("d").join(name).exists()), "looking changes nothing");
    let listed = cloud.run(&["ls", "d/"]).out;
    assert!(listed.contains(".pos3-new.txt") && names.iter().all(|name| !listed.contains(name)), "{listed}");

    let removed = cloud.run(&["cleanup", "d", "--older-than", "0s", "--abort"]);
    assert!(removed.code == Some(0) && removed.err.contains("2 unfinished files removed"), "{removed:?}");
    assert_eq!(cloud.program.files("d").len(), 2);
    let none = cloud.run(&["cleanup", "d"]);
    assert!(none.err.contains("no unfinished files at 'd'"), "{none:?}");
}
