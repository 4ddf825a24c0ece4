//! When the server of local copies is recorded: once it has answered, and only if it is certain that no output of another
//! server is there.

use std::fs;

use pos3_tests::server::S3Server;

use super::run::{run, sh, start, stored, wait_for};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

const RUNS: [&[&str]; 5] = [
    &["run", "--upload", "o=s3://data/x"],
    &["run", "--upload-file", "o=s3://data/x/f"],
    &["run", "--sync", "o=s3://data/x"],
    &["run", "--download", "o=s3://data/x"],
    &["download", "s3://data/x"],
];

/// Returns the command of a line at another endpoint.
fn at<'a>(endpoint: &'a str, line: &[&'a str]) -> Vec<&'a str> {
    let program: &[&str] = if line[0] == "run" { &["--", "sh", "-c", "echo ran"] } else { &[] };
    [line, &["--endpoint-url", endpoint], program].concat()
}

fn assert_nothing_is_recorded(cloud: &Cloud, ended: &Ended, line: &[&str]) {
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{line:?}: {ended:?}");
    assert!(!cloud.program.path("cache/.pos3-servers/_/data").exists(), "{line:?}: {ended:?}");
    assert!(!cloud.program.path("cache/_").exists(), "{line:?}: {ended:?}");
}

#[test]
fn a_mistyped_endpoint_gets_no_directory() {
    let cloud = Cloud::new(&[]).with_objects(&[("x/a", "1")]);
    let keys = (cloud.server.access_key(), cloud.server.secret_key());
    let without_bucket = S3Server::builder().bucket("other").credentials(keys.0, keys.1).start().unwrap();
    let of_others = S3Server::builder().bucket(BUCKET).credentials("other", "other secret").start().unwrap();
    let without_input = S3Server::builder().bucket(BUCKET).credentials(keys.0, keys.1).start().unwrap();
    for line in RUNS {
        for server in [&without_bucket, &of_others] {
            let ended = run(&cloud, &at(&server.endpoint(), line));
            assert_nothing_is_recorded(&cloud, &ended, line);
        }
    }
    for line in &RUNS[3..] {
        let ended = run(&cloud, &at(&without_input.endpoint(), line));
        assert_nothing_is_recorded(&cloud, &ended, line);
    }
    // Nobody listens on this port, which each of them tries several times.
    let children = RUNS.map(|line| (start(&cloud, &at("http://127.0.0.1:1", line)), line));
    for (child, line) in children {
        let ended = child.wait_with_output().unwrap().into();
        assert_nothing_is_recorded(&cloud, &ended, line);
    }
    for line in RUNS {
        let ended = run(&cloud, &at(&cloud.server.endpoint(), line));
        // The program makes no file.
        let expected = if line.contains(&"--upload-file") { 1 } else { 0 };
        assert_eq!(ended.code, Some(expected), "{line:?}: {ended:?}");
        assert!(cloud.program.path("cache/.pos3-servers/_/data").exists(), "{line:?}");
        fs::remove_dir_all(cloud.program.path("cache")).unwrap();
    }
}

/// Returns a world in which an output is not uploaded, and the record of its server is deleted.
fn without_record(how: &str) -> Cloud {
    let cloud = Cloud::new(&[]).with_objects(&[("y/a", "1")]);
    let script = r#"echo ours > "$POS3_PATH_O/f"; echo written; exec sleep 60"#;
    match how {
        "failed" => {
            let ended = run(&cloud, &sh(&["--upload", "o=s3://data/x"], r#"echo ours > "$POS3_PATH_O/f"; exit 3"#));
            assert_eq!(ended.code, Some(3), "{ended:?}");
        }
        _ => {
            let mut child = start(&cloud, &sh(&["--upload", "o=s3://data/x"], script));
            let _out = wait_for(&mut child, "written");
            kill("-KILL", &child);
            child.wait().unwrap();
        }
    }
    fs::remove_file(cloud.program.path("cache/.pos3-servers/_/data")).unwrap();
    cloud
}

#[test]
fn output_whose_record_was_deleted_is_not_used_for_any_server() {
    for how in ["failed", "killed"] {
        let cloud = without_record(how);
        let keys = (cloud.server.access_key(), cloud.server.secret_key());
        let staging = S3Server::builder().bucket(BUCKET).credentials(keys.0, keys.1).start().unwrap();
        staging.put(BUCKET, "x/f", "staging");
        let root = fs::canonicalize(cloud.program.path("cache")).unwrap();
        let mark = fs::read_dir(root.join(".pos3-unsaved")).unwrap().next().unwrap().unwrap().path();
        let told = format!(
            "cannot use its local copies in the cache, because '{1}' marks '{0}/_/data/x' as unsaved output, and \
             '{0}/.pos3-servers/_/data', which would record the server of that output, does not exist\nhint: mount its disk \
             and upload it to the server that it belongs to: pos3-cli upload URL --local '{0}/_/data/x'; if it is stored, or \
             no longer needed: rm '{1}'\n",
            root.display(),
            mark.display()
        );
        let lines = [RUNS.as_slice(), &[&["download", "s3://data/y"], &["upload", "s3://data/x"]]].concat();
        for server in [&cloud.server, &staging] {
            for line in &lines {
                let ended = run(&cloud, &at(&server.endpoint(), line));
                assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{how} {line:?}: {ended:?}");
                assert!(ended.err.contains(&told), "{how} {line:?}: {}", ended.err);
                assert!(!root.join(".pos3-servers/_/data").exists(), "{how} {line:?}");
            }
        }
        assert_eq!(staging.keys(BUCKET), ["x/f"]);
        // Other buckets are not affected.
        cloud.server.create_bucket("more");
        assert_eq!(run(&cloud, &["run", "-q", "--upload", "o=s3://more/x", "--", "true"]).code, Some(0));
        // The upload that the hint names removes the mark.
        let local = root.join("_/data/x");
        let uploaded = run(&cloud, &["upload", "s3://data/x", "--local", local.to_str().unwrap(), "-q"]);
        assert_eq!(uploaded.code, Some(0), "{uploaded:?}");
        assert_eq!(stored(&cloud, "x/f").as_deref(), Some("ours\n"));
        assert_eq!(run(&cloud, &["download", "s3://data/x", "-q"]).code, Some(0));
    }
}

#[test]
fn a_mark_that_cannot_be_read_may_be_of_output_whose_record_was_deleted() {
    let cloud = without_record("failed");
    let marks = fs::canonicalize(cloud.program.path("cache/.pos3-unsaved")).unwrap();
    let mark = fs::read_dir(&marks).unwrap().next().unwrap().unwrap().path();
    fs::write(&mark, "damaged").unwrap();
    let ended = run(&cloud, &["download", "s3://data/y"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told = format!("because '{}' marks unsaved output and cannot be read, and '", mark.display());
    let hint = format!("\nhint: once all output is stored: rm '{}'; or use another directory", mark.display());
    assert!(ended.err.contains(&told) && ended.err.contains(&hint), "{}", ended.err);
    fs::remove_file(&mark).unwrap();
    assert_eq!(run(&cloud, &["download", "s3://data/y", "-q"]).code, Some(0));
}
