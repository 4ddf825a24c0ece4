//! `cleanup` lists and aborts unfinished uploads.

use std::fs;
use std::thread;
use std::time::Duration;

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

#[test]
fn an_upload_at_exactly_the_key_is_found_and_a_slash_excludes_it() {
    let cloud = Cloud::new(&[]);
    for key in ["d", "d/one", "d-2", "data"] {
        cloud.server.create_upload(BUCKET, key);
    }
    for (location, expected) in
        [("s3://data/d", &["d", "d/one"][..]), ("s3://data/d/", &["d/one"]), ("s3://data/data", &["data"])]
    {
        let shown = cloud.run(&["cleanup", location, "--older-than", "0s"]);
        let keys: Vec<&str> = shown.out.lines().filter_map(|line| line.split_whitespace().rev().nth(1)).collect();
        assert_eq!((shown.code, keys), (Some(0), expected.to_vec()), "{shown:?}");
    }
    let aborted = cloud.run(&["cleanup", "s3://data/d", "--older-than", "0s", "--abort"]);
    assert_eq!(aborted.code, Some(0), "{aborted:?}");
    assert_eq!(cloud.server.open_uploads(BUCKET), ["d-2", "data"]);
}

#[test]
fn each_unfinished_file_is_named_once() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    let names = [".pos3-new.1f-18ab4c2d9e0f1234.0", ".pos3-partial.resume.0123456789abcdef"];
    for name in names {
        fs::write(cloud.program.path("d").join(name), "left").unwrap();
    }
    let shown = cloud.run(&["cleanup", "d", "--older-than", "0s"]);
    assert!(names.iter().all(|name| shown.out.matches(name).count() == 1), "{shown:?}");
}

/// A download that was killed between the move of a file and its delete, in a directory that is now the source.
#[test]
fn a_moved_file_that_withholds_the_deletes_of_its_source_gets_its_name_back() {
    let moved = ".pos3-moved.0123456700000000000000000123456789abcdef.gone";
    let cloud = Cloud::new(&[("d/k", "1")]).with_objects(&[("d/k", "1"), ("d/extra", "2")]);
    fs::write(cloud.program.path("d").join(moved), "gone").unwrap();
    // A file that was moved a moment ago may still have its process.
    thread::sleep(Duration::from_millis(1100));
    let withheld = cloud.run(&["sync", "d", "s3://data/d", "--delete"]);
    assert_eq!(withheld.code, Some(1), "{withheld:?}");
    assert!(withheld.err.contains("cleanup --abort"), "{}", withheld.err);
    assert_eq!(cloud.server.keys(BUCKET), ["d/extra", "d/k"]);

    let shown = cloud.run(&["cleanup", "d"]);
    assert_eq!((shown.code, shown.out.trim()), (Some(0), "moved gone"), "{shown:?}");
    assert!(shown.err.contains("1 moved file; restore their names with --abort"), "{}", shown.err);
    assert!(cloud.program.path("d").join(moved).exists(), "looking changes nothing");
    let (code, told) = cloud.json(&["cleanup", "d", "--abort"]);
    assert_eq!((code, &told["moved"][0]["restored"]), (0, &true.into()), "{told}");
    assert_eq!(fs::read_to_string(cloud.program.path("d/gone")).unwrap(), "gone");

    let synced = cloud.run(&["sync", "d", "s3://data/d", "--delete"]);
    assert_eq!(synced.code, Some(0), "{synced:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["d/gone", "d/k"]);
}

/// A download that was killed between the deletes of `m/...` and the rename of the new content to `m`.
#[test]
fn a_repeated_download_places_the_content_that_a_killed_one_left_and_the_upload_loses_nothing() {
    let staged = ".pos3-new.1f-18ab4c2d9e0f1234.0";
    let cloud = Cloud::new(&[("d/k", "1")]).with_objects(&[("d/k", "1"), ("d/m", "content of m")]);
    fs::write(cloud.program.path("d").join(staged), "content of m").unwrap();
    thread::sleep(Duration::from_millis(1100));
    let withheld = cloud.run(&["sync", "d", "s3://data/d", "--delete", "--max-delete", "100%"]);
    assert_eq!(withheld.code, Some(1), "{withheld:?}");
    assert!(withheld.err.contains("repeat that run") && withheld.err.contains(staged), "{}", withheld.err);
    assert_eq!(cloud.server.keys(BUCKET), ["d/k", "d/m"]);

    let repeated = cloud.run(&["sync", "s3://data/d", "d", "--delete"]);
    assert_eq!(repeated.code, Some(0), "{repeated:?}");
    assert_eq!(cloud.program.files("d").len(), 2, "{:?}", cloud.program.files("d"));
    let synced = cloud.run(&["sync", "d", "s3://data/d", "--delete"]);
    assert_eq!(
        (synced.code, cloud.server.keys(BUCKET)),
        (Some(0), ["d/k", "d/m"].map(str::to_owned).to_vec()),
        "{synced:?}"
    );

    // Without the repeated download, the file can be removed.
    fs::write(cloud.program.path("d").join(staged), "no longer needed").unwrap();
    let removed = cloud.run(&["cleanup", "d", "--older-than", "0s", "--abort"]);
    assert_eq!((removed.code, cloud.program.files("d").len()), (Some(0), 2), "{removed:?}");
}
