//! Complete listings with wrong contents: no command deletes because of them, and pos3 repairs what it can.

use std::fs;
use std::time::{Duration, Instant};

use pos3_tests::server::{ListingFault, Operation};

use super::{BUCKET, Cloud};
use crate::program::{Ended, expected};

/// Returns three equal files on both sides, listed two a page.
fn equal_trees() -> Cloud {
    let files = [("d/a", "1"), ("d/b", "2"), ("d/c/x", "3")];
    let cloud = Cloud::new(&files).with_objects(&files.map(|(key, content)| (key, content)));
    cloud.server.configure(|settings| settings.page_size = 2);
    cloud
}

fn misbehave(cloud: &Cloud, fault: ListingFault) {
    cloud.server.configure(|settings| {
        settings.listing_faults = [(Operation::ListObjectsV2, fault)].into();
    });
}

/// Both sides have what they had.
#[track_caller]
fn assert_nothing_deleted(cloud: &Cloud, context: &str) {
    assert_eq!(cloud.server.keys(BUCKET), ["d/a", "d/b", "d/c/x"], "{context}");
    assert_eq!(cloud.program.files("d"), expected(&[("a", "1"), ("b", "2"), ("c/x", "3")]), "{context}");
    assert_eq!(cloud.server.requests().of(Operation::DeleteObjects), 0, "{context}");
}

/// Every command that may delete or that compares, in either direction.
const COMMANDS: [&[&str]; 5] = [
    &["sync", "d", "s3://data/d", "--delete"],
    &["sync", "s3://data/d", "d", "--delete"],
    &["upload", "s3://data/d", "--local", "d", "--delete"],
    &["download", "s3://data/d", "--local", "d", "--delete"],
    &["check", "d", "s3://data/d"],
];

fn warnings(ended: &Ended) -> usize {
    ended.err.lines().filter(|line| line.contains("more than once")).count()
}

#[test]
fn a_key_that_is_listed_twice_counts_once_in_every_command() {
    for fault in [ListingFault::DoubledKeys, ListingFault::Overlap(1), ListingFault::Overlap(2)] {
        for command in COMMANDS {
            let cloud = equal_trees();
            misbehave(&cloud, fault);
            let ended = cloud.run(command);
            assert_eq!(ended.code, Some(0), "{fault:?} {command:?} {ended:?}");
            assert_nothing_deleted(&cloud, &format!("{fault:?} {command:?}"));
            assert_eq!(warnings(&ended), 1, "{fault:?} {command:?} {ended:?}");
        }
    }
}

#[test]
fn a_key_that_is_listed_twice_is_deleted_and_counted_once() {
    let cloud = equal_trees();
    fs::remove_file(cloud.program.path("d/a")).unwrap();
    misbehave(&cloud, ListingFault::DoubledKeys);
    let checked = cloud.run(&["check", "d", "s3://data/d"]);
    assert_eq!((checked.code, checked.out.as_str()), (Some(3), "- a\n"), "{checked:?}");
    let (code, told) = cloud.json(&["sync", "d", "s3://data/d", "--delete", "--max-delete", "1"]);
    assert_eq!((code, &told["deleted"]), (0, &1.into()), "{told}");
    assert_eq!(cloud.server.keys(BUCKET), ["d/b", "d/c/x"]);
}

#[test]
fn the_share_that_may_be_deleted_is_one_of_keys_and_not_of_lines() {
    let cloud = Cloud::new(&[("d/00", "x")]);
    (0..19).for_each(|number| cloud.server.put(BUCKET, &format!("d/{number:02}"), "x"));
    misbehave(&cloud, ListingFault::DoubledKeys);
    let ended = cloud.run(&["sync", "d", "s3://data/d", "--delete"]);
    assert_eq!(ended.code, Some(0), "19 files are below the share, 38 would not be: {ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["d/00"]);
}

#[test]
fn a_plan_from_a_doubled_listing_is_that_of_an_honest_one() {
    let cloud = equal_trees();
    cloud.server.put(BUCKET, "d/old", "4");
    misbehave(&cloud, ListingFault::DoubledKeys);
    assert_eq!(cloud.run(&["plan", "d", "s3://data/d", "--delete", "-o", "doubled"]).code, Some(0));
    let ended = cloud.run(&["apply", "doubled"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["d/a", "d/b", "d/c/x"]);
}

#[test]
fn a_key_that_is_listed_with_two_contents_is_left_alone_and_nothing_is_deleted() {
    for command in COMMANDS {
        let cloud = equal_trees();
        fs::remove_file(cloud.program.path("d/a")).unwrap();
        cloud.server.put(BUCKET, "d/old", "4");
        fs::write(cloud.program.path("d/extra"), "5").unwrap();
        misbehave(&cloud, ListingFault::ChangedOverlap);
        let ended = cloud.run(command);
        assert_ne!(ended.code, Some(0), "{command:?} {ended:?}");
        assert!(ended.err.contains("more than once, with different contents"), "{command:?} {}", ended.err);
        let keys = cloud.server.keys(BUCKET);
        for key in ["d/a", "d/b", "d/c/x", "d/old"] {
            assert!(keys.contains(&key.to_owned()), "{command:?} {keys:?}");
        }
        assert!(cloud.program.path("d/extra").exists(), "{command:?}");
    }
}

#[test]
fn a_plan_that_would_delete_by_an_unreliable_listing_is_not_written() {
    for fault in [ListingFault::ChangedOverlap, ListingFault::IgnoredPrefix] {
        let cloud = equal_trees();
        fs::remove_file(cloud.program.path("d/a")).unwrap();
        cloud.server.put(BUCKET, "d00/x", "5");
        misbehave(&cloud, fault);
        let ended = cloud.run(&["plan", "d", "s3://data/d", "--delete", "-o", "plan"]);
        assert_eq!(ended.code, Some(4), "{fault:?} {ended:?}");
        assert!(!cloud.program.path("plan").exists(), "{fault:?}");
    }
}

#[test]
fn keys_from_outside_the_prefix_are_ignored_and_nothing_is_deleted_by_their_listing() {
    let outside = [("b/g", "other"), ("1", "short"), ("d0/x", "behind"), ("d/", ""), ("\u{e9}", "umlaut")];
    for command in COMMANDS {
        let cloud = equal_trees().with_objects(&outside);
        misbehave(&cloud, ListingFault::IgnoredPrefix);
        let ended = cloud.run(command);
        assert_eq!(ended.code, Some(0), "{command:?} {ended:?}");
        assert!(ended.err.contains("4 keys, such as '1', although they lie outside"), "{command:?} {}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET).len(), 8, "{command:?}");
        assert_eq!(cloud.program.files("d").len(), 3, "{command:?}");

        // There would be something to delete now, on either side.
        cloud.server.put(BUCKET, "d/g", "6");
        fs::write(cloud.program.path("d/h"), "7").unwrap();
        let ended = cloud.run(command);
        if command.contains(&"--delete") {
            assert_eq!(ended.code, Some(4), "{command:?} {ended:?}");
            assert!(ended.err.contains("cannot be trusted with deletes"), "{command:?} {}", ended.err);
        }
        assert!(cloud.server.keys(BUCKET).contains(&"d/g".to_owned()), "{command:?}");
        assert!(cloud.program.path("d/h").exists(), "{command:?}");
    }
}

/// What SeaweedFS did: the keys of `d/` come when `//d/` is asked for, and those of `100/` for `1/`.
#[test]
fn a_foreign_key_is_no_panic_at_any_boundary_of_its_characters() {
    for (asked, there) in
        [("s3://data//d/", "d/\u{e9}"), ("s3://data/1/", "100/x"), ("s3://data/abc/", "ab\u{e9}\u{e9}")]
    {
        let cloud = Cloud::new(&[("local/keep", "1")]).with_objects(&[(there, "x")]);
        misbehave(&cloud, ListingFault::IgnoredPrefix);
        for command in [
            &["sync", asked, "local", "--delete"][..],
            &["sync", "local", asked, "-n"],
            &["explain", asked, "local", "x"],
            &["ls", "--recursive", asked],
            &["ls", asked],
            &["check", "local", asked],
        ] {
            let ended = cloud.run(command);
            assert!(
                ended.code.is_some_and(|code| code < 100) && !ended.err.contains("panicked"),
                "{command:?} {ended:?}"
            );
            assert!(!ended.out.contains("100/x") && !ended.out.contains('\u{e9}'), "{command:?} {ended:?}");
        }
        assert_eq!(cloud.program.files("local"), expected(&[("keep", "1")]), "{asked}");
        assert_eq!(cloud.server.keys(BUCKET), [there]);
    }
}

#[test]
fn an_explanation_takes_nothing_from_outside_for_what_lies_in_a_directory() {
    let cloud = Cloud::new(&[("local/x", "1")]).with_objects(&[("a/x/other", "2"), ("d/x", "1"), ("e/x/behind", "3")]);
    misbehave(&cloud, ListingFault::IgnoredPrefix);
    let ended = cloud.run(&["explain", "s3://data/d", "local", "x"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.out.contains("directory at once"), "{}", ended.out);
}

#[test]
fn what_contradicts_the_request_or_itself_ends_every_command_and_deletes_nothing() {
    for (fault, contradiction) in [
        (ListingFault::UnaskedPrefixes, "the listing contains common prefixes that were not requested"),
        (ListingFault::OtherPrefix("e/"), "the response has the prefix 'e/' instead of"),
        (ListingFault::OtherPrefix(""), "the response has the prefix '' instead of"),
        (ListingFault::OtherBucket("another"), "the response has the bucket 'another' instead of"),
        (ListingFault::KeyCount(1000), "the page states 1000 keys"),
        (ListingFault::KeyCount(0), "the page states 0 keys"),
        (ListingFault::TokenAtEnd, "the last page of the listing has a next token"),
    ] {
        let cloud = equal_trees();
        misbehave(&cloud, fault);
        for command in COMMANDS {
            let ended = cloud.run(command);
            assert_eq!(ended.code, Some(1), "{fault:?} {command:?} {ended:?}");
            assert!(ended.err.contains(contradiction), "{fault:?} {command:?} {}", ended.err);
            assert_nothing_deleted(&cloud, &format!("{fault:?} {command:?}"));
        }
        let listed = cloud.run(&["ls", "--recursive", "s3://data/d"]);
        assert_eq!(listed.code, Some(1), "{fault:?} {listed:?}");
    }
}

#[test]
fn a_level_that_is_listed_too_deep_is_an_error() {
    let cloud = equal_trees();
    misbehave(&cloud, ListingFault::IgnoredDelimiter);
    let ended = cloud.run(&["ls", "s3://data/d/"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("although only one level was requested"), "{}", ended.err);
}

#[test]
fn a_listing_that_never_ends_is_an_error_after_few_requests() {
    for (fault, most) in [(ListingFault::Circle, 20), (ListingFault::SamePage, 40), (ListingFault::EmptyPages, 2100)] {
        for command in COMMANDS.iter().copied().chain([&["ls", "s3://data/d/"][..], &["ls", "-r", "s3://data/d"]]) {
            let cloud = equal_trees();
            misbehave(&cloud, fault);
            let begin = Instant::now();
            let ended = cloud.run(command);
            assert_eq!(ended.code, Some(1), "{fault:?} {command:?} {ended:?}");
            assert!(ended.err.contains("does not end"), "{fault:?} {command:?} {}", ended.err);
            let requests = cloud.server.requests().of(Operation::ListObjectsV2);
            assert!(requests <= most, "{fault:?} {command:?}: {requests} requests");
            assert!(begin.elapsed() < Duration::from_secs(60), "{fault:?} {command:?}");
            assert_nothing_deleted(&cloud, &format!("{fault:?} {command:?}"));
        }
    }
}

/// The server of a cluster to which the second request goes does not know the token of the first one.
#[test]
fn keys_after_a_lost_token_are_found_and_nothing_is_deleted() {
    for size in [1, 2] {
        for command in COMMANDS {
            let cloud = equal_trees();
            cloud.server.configure(|settings| settings.page_size = size);
            misbehave(&cloud, ListingFault::LostTokens);
            let ended = cloud.run(command);
            assert_eq!(ended.code, Some(0), "{command:?} {ended:?}");
            assert_nothing_deleted(&cloud, &format!("{command:?}"));
        }
    }
}

#[test]
fn a_lost_position_that_cannot_be_found_again_permits_no_delete() {
    for command in &COMMANDS[1..4] {
        let cloud = equal_trees();
        fs::write(cloud.program.path("d/extra"), "5").unwrap();
        cloud.server.put(BUCKET, "d/extra-too", "6");
        misbehave(&cloud, ListingFault::LostPositions);
        let ended = cloud.run(command);
        // An upload deletes nothing, because the listing lacks the objects. They are not overwritten either.
        let code = if command.contains(&"upload") { 1 } else { 4 };
        assert_eq!(ended.code, Some(code), "{command:?} {ended:?}");
        assert!(ended.err.contains("its last page is empty"), "{command:?} {}", ended.err);
        assert!(cloud.program.path("d/extra").exists(), "{command:?}");
        assert!(cloud.server.object(BUCKET, "d/extra-too").is_some(), "{command:?}");
    }
}

#[test]
fn an_empty_last_page_costs_one_request_and_permits_deletes() {
    let cloud = equal_trees();
    fs::write(cloud.program.path("d/extra"), "5").unwrap();
    misbehave(&cloud, ListingFault::EmptyLastPage);
    let ended = cloud.run(&["download", "s3://data/d/", "--local", "d", "--delete"]);
    assert_eq!((ended.code, ended.err.contains("warning")), (Some(0), false), "{ended:?}");
    assert_nothing_deleted(&cloud, "only the extra file is deleted");
    assert_eq!(cloud.server.requests().of(Operation::ListObjectsV2), 4);
}

#[test]
fn a_session_deletes_nothing_by_an_unreliable_listing_and_uploads_what_was_made() {
    let cloud = Cloud::new(&[]).with_objects(&[("elsewhere", "1")]);
    let run = |script: &str, more: &[&str]| {
        let arguments = [&["run", "--upload", "o=s3://data/o"], more, &["--", "sh", "-c", script]].concat();
        cloud.run(&arguments)
    };
    assert_eq!(run("echo 1 > $POS3_PATH_O/a; echo 2 > $POS3_PATH_O/b", &[]).code, Some(0));
    misbehave(&cloud, ListingFault::IgnoredPrefix);
    let ended = run("rm $POS3_PATH_O/a; echo 3 > $POS3_PATH_O/c", &["--delete-remote"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("cannot be trusted with deletes"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["elsewhere", "o/a", "o/b", "o/c"]);
}

#[test]
fn a_listing_of_one_level_shows_each_key_once() {
    let cloud = Cloud::new(&[]).with_objects(&[("d/a", "1"), ("d/b/1", "2"), ("d/b/2", "3"), ("d/c", "4")]);
    cloud.server.configure(|settings| settings.page_size = 2);
    misbehave(&cloud, ListingFault::DoubledKeys);
    for (arguments, lines) in [(&["ls", "s3://data/d/"][..], 3), (&["ls", "-r", "s3://data/d/"], 5)] {
        let ended = cloud.run(arguments);
        assert_eq!((ended.code, ended.out.lines().count()), (Some(0), lines), "{ended:?}");
        assert_eq!(warnings(&ended), 1, "{ended:?}");
        let (code, told) = cloud.json(arguments);
        assert_eq!((code, told["warnings"].as_array().map(Vec::len)), (0, Some(1)), "{told}");
    }
}

#[test]
fn unfinished_uploads_from_elsewhere_are_left_alone_and_an_endless_list_is_an_error() {
    let fault = |cloud: &Cloud, fault| {
        cloud.server.configure(|settings| {
            settings.listing_faults = [(Operation::ListMultipartUploads, fault)].into();
        });
    };
    let cleanup = ["cleanup", "s3://data/d/", "--older-than", "0s", "--abort"];
    let cloud = Cloud::new(&[]);
    ["a", "d/one", "e/\u{e9}"].iter().for_each(|key| cloud.server.create_upload(BUCKET, key));
    for endless in [ListingFault::SamePage, ListingFault::EmptyPages, ListingFault::OtherBucket("another")] {
        fault(&cloud, endless);
        let ended = cloud.run(&cleanup);
        assert_eq!(ended.code, Some(1), "{endless:?} {ended:?}");
        assert_eq!(cloud.server.open_uploads(BUCKET).len(), 3, "{endless:?}");
    }
    fault(&cloud, ListingFault::DoubledKeys);
    let shown = cloud.run(&cleanup[..4]);
    assert_eq!((shown.code, shown.out.lines().count()), (Some(0), 1), "{shown:?}");
    fault(&cloud, ListingFault::IgnoredPrefix);
    let ended = cloud.run(&cleanup);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("2 of 3 unfinished uploads from outside"), "{}", ended.err);
    assert_eq!(cloud.server.open_uploads(BUCKET), ["a", "e/\u{e9}"]);
}
