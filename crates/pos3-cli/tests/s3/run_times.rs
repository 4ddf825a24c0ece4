//! `run`, `upload` and `download` on a server whose objects can only be compared by size and time.

use std::fs;

use pos3_tests::server::{Checksums, Etags};

use super::run::{run, sh, stored};
use super::{BUCKET, Cloud};

/// Changes a file and keeps its size and its time.
const CHANGE: &str = r#"f="$POS3_PATH_C/f"; touch -r "$f" time; echo ours > "$f"; touch -r time "$f""#;

/// A server without checksums, whose ETags are no digests of what is uploaded.
fn incomparable(files: &[(&str, &str)]) -> Cloud {
    let cloud = Cloud::new(files);
    cloud.server.configure(|settings| {
        settings.etags = Etags::Kms;
        settings.checksums = Checksums::Ignored;
    });
    cloud
}

/// Downloads a file. The sync state is lost.
fn downloaded() -> Cloud {
    let cloud = incomparable(&[]);
    cloud.server.put(BUCKET, "c/f", "old.\n");
    assert_eq!(run(&cloud, &["download", "s3://data/c", "-q"]).code, Some(0));
    fs::remove_dir_all(cloud.program.state()).unwrap();
    cloud
}

fn here(cloud: &Cloud) -> String {
    fs::read_to_string(cloud.program.path("cache/_/data/c/f")).unwrap()
}

fn marks(cloud: &Cloud) -> usize {
    fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).map_or(0, Iterator::count)
}

const OLD: Option<&str> = Some("old.\n");
const OURS: Option<&str> = Some("ours\n");

#[test]
fn a_change_of_the_program_that_keeps_size_and_time_is_uploaded() {
    for kind in ["--upload", "--sync"] {
        for more in [&[][..], &["--no-manifest"], &["--interval", "0.1"]] {
            let cloud = downloaded();
            let line = [&[kind, "c=s3://data/c"][..], more].concat();
            let ended = run(&cloud, &sh(&line, &format!("{CHANGE}; sleep 0.5")));
            assert_eq!((ended.code, stored(&cloud, "c/f").as_deref()), (Some(0), OURS), "{line:?} {ended:?}");
            assert_eq!((here(&cloud).as_str(), marks(&cloud)), ("ours\n", 0), "{line:?} {ended:?}");
        }
    }
}

#[test]
fn a_conflict_claims_a_difference_only_if_it_is_known() {
    let told = ["both exist, no digest or checksum shows whether they differ, ", "both exist and differ, "];
    // All of them have another time than the object.
    for (content, is_known) in [("ours\n", false), ("old.\n", false), ("longer\n", true)] {
        let cloud = incomparable(&[("up/f", "old.\n"), ("cache/_/data/c/f", content)]);
        assert_eq!(run(&cloud, &["upload", "s3://data/c", "--local", "up", "-q"]).code, Some(0));
        let ended = run(&cloud, &sh(&["--sync", "c=s3://data/c"], "true"));
        assert_eq!((ended.code, stored(&cloud, "c/f").as_deref()), (Some(1), OLD), "{ended:?}");
        let found = told.map(|told| ended.err.contains(told));
        assert_eq!(found, [!is_known, is_known], "{content:?} {}", ended.err);
    }
}

#[test]
fn output_with_the_size_and_the_time_of_the_object_stays_marked_until_it_is_stored() {
    for (line, code, expected) in [
        (&["upload", "s3://data/c"][..], 0, OURS),
        (&["run", "--upload", "c=s3://data/c", "--", "true"], 1, OLD),
        (&["run", "--sync", "c=s3://data/c", "--", "true"], 1, OLD),
        (&["run", "--download", "c=s3://data/c", "--", "true"], 1, OLD),
        (&["download", "s3://data/c"], 1, OLD),
    ] {
        for is_lost in [true, false] {
            let cloud = downloaded();
            let failed = run(&cloud, &sh(&["--upload", "c=s3://data/c"], &format!("{CHANGE}; exit 7")));
            assert_eq!((failed.code, marks(&cloud)), (Some(7), 1), "{failed:?}");
            let mut line = line.to_vec();
            match is_lost {
                true => fs::remove_dir_all(cloud.program.state()).unwrap(),
                false => line.insert(1, "--no-manifest"),
            }
            let ended = run(&cloud, &line);
            assert_eq!(ended.code, Some(code), "{line:?} {ended:?}");
            assert_eq!((stored(&cloud, "c/f").as_deref(), here(&cloud).as_str()), (expected, "ours\n"), "{line:?}");
            assert_eq!(marks(&cloud) == 0, code == 0, "{line:?} {ended:?}");
        }
    }
}

#[test]
fn equal_times_are_evidence_for_a_file_that_did_not_change() {
    for kind in ["--upload", "--sync", "--download"] {
        let cloud = downloaded();
        let etag = || cloud.server.object(BUCKET, "c/f").unwrap().etag.clone();
        let before = etag();
        let ended = run(&cloud, &sh(&[kind, "c=s3://data/c"], "true"));
        assert_eq!((ended.code, etag()), (Some(0), before), "{kind} {ended:?}");
        assert_eq!(marks(&cloud), 0, "{kind} {ended:?}");
    }
}
