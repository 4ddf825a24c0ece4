//! `--backup-dir` and `--verify`.

use std::fs;

use pos3_tests::server::{Answer, Checksums, Etags, Fault, Operation};

use super::{BUCKET, Cloud};

#[test]
fn what_would_be_lost_is_kept_first() {
    let cloud = Cloud::new(&[("d/changed", "new"), ("d/same", "1")]).with_objects(&[
        ("d/changed", "old one"),
        ("d/same", "1"),
        ("d/gone", "last words"),
    ]);
    cloud.server.reset_requests();
    let (code, told) = cloud.json(&["sync", "d", "s3://data/d", "--delete", "--backup-dir", "s3://data/kept"]);
    assert_eq!(code, 0, "{told}");
    assert_eq!(cloud.server.keys(BUCKET), ["d/changed", "d/same", "kept/changed", "kept/gone"]);
    assert_eq!(cloud.server.object(BUCKET, "kept/changed").unwrap().bytes, "old one");
    assert_eq!(cloud.server.object(BUCKET, "kept/gone").unwrap().bytes, "last words");
    let spent = cloud.requests_as_told(&told);
    assert!(spent.contains(&("CopyObject".to_owned(), 2)), "the server copies, and it is told: {spent:?}");

    fs::create_dir(cloud.program.path("down")).unwrap();
    fs::write(cloud.program.path("down/same"), "mine, precious").unwrap();
    let down = cloud.run(&["sync", "s3://data/d", "down", "--backup-dir", "mine"]);
    assert_eq!(down.code, Some(0), "{down:?}");
    assert_eq!(fs::read_to_string(cloud.program.path("mine/same")).unwrap(), "mine, precious");
}

#[test]
fn a_backup_directory_that_is_a_file_is_refused_as_such() {
    let cloud = Cloud::new(&[("d/a", "new"), ("bfile", "1")]).with_objects(&[("d/a", "old")]);
    let ended = cloud.run(&["sync", "d", "s3://data/d", "--backup-dir", "bfile"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let said = "the backup directory 'bfile' is a file\n";
    assert!(ended.err.contains(said) && ended.err.contains("--backup-dir"), "{}", ended.err);
    assert_eq!(cloud.server.object(BUCKET, "d/a").unwrap().bytes, "old");
}

#[test]
fn without_its_backup_nothing_is_lost() {
    let cloud = Cloud::new(&[("d/changed", "new")]).with_objects(&[("d/changed", "old"), ("d/gone", "1")]);
    cloud.server.fault(Fault::on_any().key_contains("kept/").always().answer(Answer::access_denied()));
    let ended = cloud.run(&["sync", "d", "s3://data/d", "--delete", "--backup-dir", "s3://data/kept"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("it could not be backed up to 's3://data/kept/'"), "{}", ended.err);
    assert_eq!(cloud.server.object(BUCKET, "d/changed").unwrap().bytes, "old");
    assert!(cloud.server.object(BUCKET, "d/gone").is_some());
}

#[test]
fn a_backup_bucket_that_does_not_exist_is_found_before_the_first_change() {
    let cloud =
        Cloud::new(&[("d/changed", "new"), ("d/new", "1")]).with_objects(&[("d/changed", "old"), ("d/gone", "1")]);
    assert_eq!(cloud.run(&["plan", "d", "s3://data/d", "--delete", "-o", "plan"]).code, Some(0));
    for command in [
        &["sync", "d", "s3://data/d"][..],
        &["sync", "d", "s3://data/d", "--delete"],
        &["sync", "d", "s3://data/d", "-n"],
        &["apply", "plan"],
    ] {
        let ended = cloud.run(&[command, &["--backup-dir", "s3://nobucket/old"]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{command:?} {ended:?}");
        assert!(ended.err.contains("'s3://nobucket/old' cannot be opened"), "{}", ended.err);
        assert!(
            ended.err.contains("NoSuchBucket") && ended.err.contains("hint: check the bucket's name"),
            "{}",
            ended.err
        );
    }
    assert_eq!(cloud.server.keys(BUCKET), ["d/changed", "d/gone"]);
}

#[test]
fn a_backup_that_no_lookup_and_no_listing_shows_permits_no_change() {
    let page = |status: u16| Answer::Page { status: status.try_into().unwrap(), body: "" };
    for (lookup, listing) in [
        (Some(page(403)), None),
        (Some(page(405)), None),
        (None, Some(Answer::WebPage)),
        (None, Some(Answer::access_denied())),
    ] {
        let cloud = Cloud::new(&[("d/keep", "k"), ("out/keep", "k"), ("out/gone", "the only copy")]);
        let stored = Answer::Foreign { status: 200.try_into().unwrap(), media_type: "", body: "", performs: false };
        let on = |operation| Fault::on(operation).key("kept/gone").always();
        cloud.server.fault(on(Operation::PutObject).answer(stored));
        let case = format!("{lookup:?} {listing:?}");
        lookup.into_iter().for_each(|answer| cloud.server.fault(on(Operation::HeadObject).answer(answer)));
        listing.into_iter().for_each(|answer| cloud.server.fault(on(Operation::ListObjectsV2).answer(answer)));
        let ended = cloud.run(&["sync", "d", "out", "--delete", "--backup-dir", "s3://data/kept"]);
        assert_eq!(ended.code, Some(1), "{case}: {ended:?}");
        assert!(ended.err.contains("it could not be backed up"), "{case}: {}", ended.err);
        assert_eq!(fs::read_to_string(cloud.program.path("out/gone")).unwrap(), "the only copy", "{case}");
    }
}

#[test]
fn a_server_without_checksums_and_digests_keeps_backups() {
    let cloud = Cloud::new(&[("d/keep", "k"), ("out/keep", "k"), ("out/gone", "the only copy")]);
    cloud.server.configure(|settings| {
        settings.checksums = Checksums::Ignored;
        settings.etags = Etags::Kms;
    });
    let ended = cloud.run(&["sync", "d", "out", "--delete", "--backup-dir", "s3://data/kept"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.server.object(BUCKET, "kept/gone").unwrap().bytes, "the only copy");
    assert!(!cloud.program.path("out/gone").exists());
}

#[test]
fn a_backup_location_that_may_only_be_written_is_used() {
    let cloud = Cloud::new(&[("d/changed", "new")]).with_objects(&[("d/changed", "old")]);
    cloud.server.create_bucket("kept");
    cloud.server.fault(Fault::on(Operation::ListObjectsV2).answer(Answer::access_denied()));
    let ended = cloud.run(&["sync", "d", "s3://data/d", "--backup-dir", "s3://kept"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.server.keys("kept"), ["changed"]);
}

#[test]
fn a_backup_inside_of_what_is_synced_is_refused() {
    let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/a", "old")]);
    for backup in ["s3://data/d", "s3://data/d/kept", "s3://data", "d/kept", "d", "."] {
        let ended = cloud.run(&["sync", "d", "s3://data/d", "--backup-dir", backup]);
        assert_eq!(ended.code, Some(4), "{backup}: {ended:?}");
        assert!(ended.err.contains("overlaps") && ended.err.contains("hint: "), "{}", ended.err);
    }
    assert_eq!(cloud.server.object(BUCKET, "d/a").unwrap().bytes, "old");
    let left_out = ["sync", "d", "s3://data/d", "--delete", "--backup-dir", "s3://data/d/kept", "--exclude", "kept/*"];
    assert_eq!(cloud.run(&left_out).code, Some(0));
    assert_eq!(cloud.run(&left_out).code, Some(0), "and is not deleted by the next run");
    assert_eq!(cloud.server.keys(BUCKET), ["d/a", "d/kept/a"]);
}

#[test]
fn what_no_checksum_covers_is_a_failure_where_that_was_asked_for() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    assert_eq!(cloud.run(&["sync", "d", "s3://data/d", "--verify"]).code, Some(0));
    // As of an object that is encrypted with a key of the service's: the ETag is no digest, and there is no checksum.
    let mut object = cloud.server.object(BUCKET, "d/a").unwrap();
    object.etag = "not-a-digest".into();
    object.checksums.clear();
    cloud.server.put_object(BUCKET, "opaque/a", object);
    let (code, told) = cloud.json(&["sync", "s3://data/opaque", "usual"]);
    assert_eq!((code, &told["unverified"]), (0, &1.into()), "{told}");
    let (code, told) = cloud.json(&["sync", "s3://data/opaque", "out", "--verify"]);
    assert_eq!((code, &told["failed"][0]["kind"]), (1, &"unverified".into()), "{told}");
}

/// Returns the paths and contents of the files below a directory, in the order of the paths.
fn files(below: &std::path::Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![below.to_owned()];
    while let Some(directory) = open.pop() {
        for path in fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => open.push(path),
                false => {
                    let name = path.strip_prefix(below).unwrap().display().to_string();
                    found.push((name, fs::read_to_string(path).unwrap()));
                }
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_file_and_a_directory_of_one_name_are_both_backed_up() {
    let cloud = Cloud::new(&[("s/k", "k"), ("t/d", "a file"), ("t/e/x", "in a directory")]);
    let path = |name: &str| cloud.program.path(name);
    let sync = || cloud.run(&["sync", "s", "t", "--delete", "--max-delete", "100%", "--backup-dir", "b"]);
    let ended = sync();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for content in ["one", "two"] {
        fs::create_dir_all(path("t/d/sub")).unwrap();
        fs::write(path("t/d/x"), content).unwrap();
        fs::write(path("t/d/sub/y"), content).unwrap();
        fs::write(path("t/e"), content).unwrap();
        let ended = sync();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    assert_eq!(files(&path("t")), [("k".to_owned(), "k".to_owned())]);
    let kept = files(&path("b"));
    let contents = |is_wanted: &dyn Fn(&str) -> bool| {
        let wanted = kept.iter().filter(|(name, _)| is_wanted(name));
        let mut contents: Vec<_> = wanted.map(|(_, content)| content.as_str()).collect();
        contents.sort_unstable();
        contents
    };
    assert_eq!(contents(&|name| name == "d"), ["a file"], "{kept:?}");
    assert_eq!(contents(&|name| name.starts_with("d.~2") && name.ends_with("~/x")), ["one", "two"], "{kept:?}");
    assert_eq!(contents(&|name| name.starts_with("d.~2") && name.ends_with("~/sub/y")), ["one", "two"], "{kept:?}");
    assert_eq!(contents(&|name| name == "e/x"), ["in a directory"], "{kept:?}");
    assert_eq!(contents(&|name| name.starts_with("e.~2")), ["one", "two"], "{kept:?}");
}

#[test]
fn a_backup_of_a_name_that_is_as_long_as_can_be_gets_a_shorter_one() {
    let long = ["a", "b"].map(|last| format!("{}{last}", "x".repeat(254)));
    let cloud = Cloud::new(&[("s/k", "k")]);
    fs::create_dir(cloud.program.path("t")).unwrap();
    for content in ["one", "two", "three"] {
        for name in &long {
            fs::write(cloud.program.path("t").join(name), format!("{content} {}", &name[254..])).unwrap();
        }
        let ended = cloud.run(&["sync", "s", "t", "--delete", "--max-delete", "100%", "--backup-dir", "b"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let mut kept: Vec<_> = files(&cloud.program.path("b")).into_iter().map(|(_, content)| content).collect();
    kept.sort();
    assert_eq!(kept, ["one a", "one b", "three a", "three b", "two a", "two b"]);
}

#[test]
fn a_backup_that_fails_for_another_reason_than_an_older_one_says_so() {
    let cloud = Cloud::new(&[("s/k", "k"), ("t/d/x", "1"), ("b/other", "1"), ("elsewhere/y", "1")]);
    std::os::unix::fs::symlink("../elsewhere", cloud.program.path("b/d")).unwrap();
    let ended = cloud.run(&["sync", "s", "t", "--delete", "--max-delete", "100%", "--backup-dir", "b"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("'d' is a symbolic link"), "{}", ended.err);
    assert!(!ended.err.contains("100 backups"), "{}", ended.err);
    assert_eq!(fs::read_to_string(cloud.program.path("t/d/x")).unwrap(), "1");
}
