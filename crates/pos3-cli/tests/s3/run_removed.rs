//! Files that the program of a session that has not ended removes: no download of another session writes them again, so the
//! session can delete their objects when it ends.

use std::fs;
use std::process::Child;

use super::run::{run, sh, start, stored, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

const FILE: &str = "cache/_/data/p/sub/f";
const REASON: &str =
    "it was removed from the target since both sides were equal, and the session whose output is there";

fn cloud() -> Cloud {
    Cloud::new(&[]).with_objects(&[("p/sub/f", "1"), ("p/sub/g", "1"), ("p/h", "1")])
}

/// Starts a run whose program removes the file, and ends when the file `go` exists.
fn remover(cloud: &Cloud, options: &[&str]) -> Child {
    let script = format!("rm {FILE}; echo removed; until [ -e go ]; do sleep .02; done");
    let mut child = start(cloud, &sh(options, &script));
    let _out = wait_for(&mut child, "removed");
    child
}

fn go(cloud: &Cloud) {
    fs::write(cloud.program.path("go"), "").unwrap();
}

fn assert_not_fetched(cloud: &Cloud, line: &[&str]) {
    let ended = run(cloud, line);
    assert_eq!(ended.code, Some(1), "{line:?}: {ended:?}");
    assert!(ended.err.contains(REASON), "{line:?}: {}", ended.err);
    let has_hint = ended.err.contains("\nhint: repeat the command once that session has ended, or");
    assert!(has_hint || line.contains(&"--dry-run"), "{line:?}: {}", ended.err);
    assert!(!cloud.program.path(FILE).exists(), "{line:?}: {ended:?}");
}

#[test]
fn a_download_does_not_undo_what_the_program_of_a_running_session_removed() {
    for output in ["p", "p/sub"] {
        let cloud = cloud();
        let remover = remover(&cloud, &["--sync", &format!("o=s3://data/{output}"), "--delete-remote"]);
        cloud.server.put(BUCKET, "p/sub/new", "new");
        // The same location, one above and below it, and the file itself.
        for url in ["s3://data/p/sub", "s3://data/p", "s3://data", "s3://data/p/sub/f"] {
            assert_not_fetched(&cloud, &["download", url, "--dry-run"]);
            assert_not_fetched(&cloud, &["download", url]);
            assert_not_fetched(&cloud, &["download", url, "--delete"]);
            assert_not_fetched(&cloud, &["run", "--download", &format!("d={url}"), "--", "true"]);
            assert_eq!(fs::read_to_string(cloud.program.path("cache/_/data/p/sub/new")).unwrap(), "new", "{url}");
        }
        for url in ["p", "p/sub"] {
            let ended = run(&cloud, &sh(&["--sync", &format!("d=s3://data/{url}")], "true"));
            assert_eq!(ended.code, Some(0), "{output} {url}: {ended:?}");
            let told = "; 1 file not fetched, because another session removed it here\n";
            assert!(ended.err.contains(told) && !cloud.program.path(FILE).exists(), "{output} {url}: {ended:?}");
        }
        go(&cloud);
        let ended: Ended = remover.wait_with_output().unwrap().into();
        assert_eq!((ended.code, stored(&cloud, "p/sub/f")), (Some(0), None), "{output}: {ended:?}");
        assert_eq!(cloud.server.keys(BUCKET), ["p/h", "p/sub/g", "p/sub/new"]);
    }
}

#[test]
fn a_download_does_not_undo_the_removal_of_a_file_that_the_running_session_has_uploaded() {
    let cloud = Cloud::new(&[]);
    let script = r#"cd "$POS3_PATH_O"; echo 1 > f; echo 1 > k; until [ -e k2 ]; do sleep .02; done; rm f; echo removed;
                    until [ -e k3 ]; do sleep .02; done"#;
    let options = ["--upload", "o=s3://data/p/sub", "--delete-remote", "--interval", ".2"];
    let mut child = start(&cloud, &sh(&options, script));
    wait_until("it is uploaded", || stored(&cloud, "p/sub/f").is_some() && stored(&cloud, "p/sub/k").is_some());
    fs::write(cloud.program.path("cache/_/data/p/sub/k2"), "").unwrap();
    let _out = wait_for(&mut child, "removed");
    assert_not_fetched(&cloud, &["download", "s3://data/p/sub"]);
    assert_not_fetched(&cloud, &["download", "s3://data/p"]);
    fs::write(cloud.program.path("cache/_/data/p/sub/k3"), "").unwrap();
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!((ended.code, stored(&cloud, "p/sub/f")), (Some(0), None), "{ended:?}");
}

/// Users can delete local files to download them again.
#[test]
fn a_file_that_is_missing_after_the_end_of_a_session_is_fetched_again() {
    for url in ["s3://data/p/sub", "s3://data/p", "s3://data/p/sub/f"] {
        let cloud = cloud();
        let ended = run(&cloud, &sh(&["--sync", "o=s3://data/p/sub"], r#"rm "$POS3_PATH_O/f"; exit 7"#));
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert_eq!(run(&cloud, &["download", url, "-q"]).code, Some(0), "{url}");
        assert_eq!(fs::read_to_string(cloud.program.path(FILE)).unwrap(), "1", "{url}");
    }
}

/// A program that was killed may have removed the file only to write it again, and the next run starts it again.
#[test]
fn a_run_that_starts_a_killed_program_again_fetches_what_it_had_removed() {
    let cloud = cloud();
    let script = r#"trap "" TERM; rm "$POS3_PATH_O/f"; echo removed; until [ -e go ]; do sleep .02; done; touch gone"#;
    let mut child = start(&cloud, &sh(&["--sync", "o=s3://data/p/sub"], script));
    let _out = wait_for(&mut child, "removed");
    kill("-KILL", &child);
    child.wait().unwrap();
    assert_not_fetched(&cloud, &["download", "s3://data/p/sub"]);
    let ended = run(&cloud, &sh(&["--sync", "o=s3://data/p/sub"], r#"cat "$POS3_PATH_O/f""#));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "1"), "{ended:?}");
    go(&cloud);
    wait_until("the killed program ends", || cloud.program.path("gone").exists());
}
