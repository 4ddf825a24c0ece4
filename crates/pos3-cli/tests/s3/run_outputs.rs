//! `run`: outputs that changed their shape, that are missing, or that could not be uploaded.

use std::fs;

use serde_json::{Value, json};

use pos3_tests::server::{Answer, Fault, Operation};

use super::run::{run, sh, start, stored, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::signals::kill;

const REPORT: [&str; 2] = ["--json-report", "report"];

fn report(cloud: &Cloud) -> Value {
    serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap()
}

#[test]
fn an_output_that_becomes_a_file_or_a_directory_hides_nothing() {
    let to_file = r#"rm -r "$POS3_PATH_V"; echo x > "$POS3_PATH_V""#;
    let to_directory = r#"rm "$POS3_PATH_V"; mkdir "$POS3_PATH_V"; echo x > "$POS3_PATH_V/a""#;
    for (kind, object, script, said) in [
        ("--sync", "v/a", to_file, "was a directory and is a file now"),
        ("--upload", "v/a", to_file, "was a directory and is a file now"),
        ("--sync", "v", to_directory, "was a file and is a directory now"),
    ] {
        let cloud = Cloud::new(&[]).with_objects(&[(object, "1")]);
        let line = [&[kind, "v=s3://data/v", "--delete-remote"][..], &REPORT].concat();
        let ended = run(&cloud, &sh(&line, script));
        assert_eq!(ended.code, Some(1), "{kind} {object}: {ended:?}");
        assert!(ended.err.contains(said), "{}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET), [object], "{kind}");
        assert_eq!(report(&cloud)["uploads"][0]["uploaded"], json!(false), "{kind}");
    }
    // Where nothing is there remotely, nothing can be hidden.
    let cloud = Cloud::new(&[]);
    assert_eq!(run(&cloud, &sh(&["--sync", "v=s3://data/v"], to_file)).code, Some(0));
    assert_eq!(cloud.server.keys(BUCKET), ["v"]);
}

const FILE_TO_DIRECTORY: &str = r#"rm -f "$POS3_PATH_O/m"; mkdir -p "$POS3_PATH_O/m"; echo 2 > "$POS3_PATH_O/m/w""#;
const DIRECTORY_TO_FILE: &str = r#"rm -rf "$POS3_PATH_O/m"; echo 2 > "$POS3_PATH_O/m""#;

#[test]
fn an_output_that_cannot_be_downloaded_as_a_whole_is_not_complete() {
    for (option, old, script, new) in [
        ("--upload", "o/m", FILE_TO_DIRECTORY, "o/m/w"),
        ("--sync", "o/m", FILE_TO_DIRECTORY, "o/m/w"),
        ("--upload", "o/m/w", DIRECTORY_TO_FILE, "o/m"),
        ("--sync", "o/m/w", DIRECTORY_TO_FILE, "o/m"),
    ] {
        let cloud = Cloud::new(&[]).with_objects(&[(old, "1\n")]);
        let line = [&[option, "o=s3://data/o", "--interval", "1"][..], &REPORT].concat();
        // The second run begins with both objects. The state at the end decides.
        let runs = if option == "--upload" { 2 } else { 1 };
        for _ in 0..runs {
            let ended = run(&cloud, &sh(&line, script));
            assert_eq!(ended.code, Some(1), "{option} {old}: {ended:?}");
            let (old, new) = (old.strip_prefix("o/").unwrap(), new.strip_prefix("o/").unwrap());
            let said = format!(
                "'{old}' because only the target has it, and a download will fail because a disk cannot hold \
                                both it and '{new}'\n"
            );
            assert!(ended.err.contains(&said), "{}", ended.err);
            assert!(ended.err.contains("hint: the new files are uploaded; delete the old objects"), "{}", ended.err);
            assert!(!ended.err.contains("missing:"), "{}", ended.err);
            assert_eq!(report(&cloud)["complete"], json!(false));
        }
        assert_eq!(stored(&cloud, new).as_deref(), Some("2\n"));
        // A machine that has neither cannot get both, and learns what to do.
        fs::remove_dir_all(cloud.program.path("cache")).unwrap();
        let ended = run(&cloud, &sh(&["--download", "o=s3://data/o"], "echo started"));
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert!(
            ended.err.contains("delete one of the two in the bucket, or leave one out with --exclude"),
            "{}",
            ended.err
        );
    }
}

#[test]
fn an_object_of_the_other_shape_that_this_run_deletes_is_not_reported() {
    for (old, script, new) in [("o/m", FILE_TO_DIRECTORY, "o/m/w"), ("o/m/w", DIRECTORY_TO_FILE, "o/m")] {
        let cloud = Cloud::new(&[]).with_objects(&[(old, "1\n"), ("o/k", "1")]);
        let line = [&["--sync", "o=s3://data/o", "--delete-remote"][..], &REPORT].concat();
        let ended = run(&cloud, &sh(&line, script));
        assert_eq!((ended.code, &report(&cloud)["complete"]), (Some(0), &json!(true)), "{ended:?}");
        assert_eq!(cloud.server.keys(BUCKET), ["o/k", new]);
    }
}

#[test]
fn a_single_upload_or_sync_reports_an_object_of_the_other_shape_too() {
    for (old, file) in [("o/m", "out/m/w"), ("o/m/w", "out/m")] {
        for command in [&["sync", "out", "s3://data/o"][..], &["upload", "s3://data/o", "--local", "out"]] {
            let cloud = Cloud::new(&[(file, "2")]).with_objects(&[(old, "1")]);
            let ended = cloud.run(command);
            assert_eq!(ended.code, Some(1), "{command:?}: {ended:?}");
            assert!(ended.err.contains("a download will fail because a disk cannot hold both"), "{}", ended.err);
            assert!(ended.err.contains("hint: all copies were made; delete the old objects"), "{}", ended.err);
            assert_eq!(cloud.server.keys(BUCKET), ["o/m", "o/m/w"]);
            let ended = cloud.run(&[command, &["--delete", "--max-delete", "1"]].concat());
            assert_eq!((ended.code, cloud.server.keys(BUCKET).len()), (Some(0), 1), "{ended:?}");
        }
    }
}

#[test]
fn the_upload_of_one_file_reports_an_object_of_the_other_shape_too() {
    for (old, location) in [("sh/d/x", "s3://data/sh/d"), ("w1/a", "s3://data/w1/a/b"), ("w1", "s3://data/w1/a/b")] {
        let cloud = Cloud::new(&[("file", "2")]).with_objects(&[(old, "1")]);
        let ended = cloud.run(&["upload", location, "--local", "file"]);
        assert_eq!(ended.code, Some(1), "{location}: {ended:?}");
        let told = "a download will fail because a disk cannot hold both";
        let is_refused = ended.err.contains("a directory") && cloud.server.keys(BUCKET) == [old];
        assert!(ended.err.contains(told) || is_refused, "{location}: {}", ended.err);
    }
    // Names that only begin alike are no clash.
    let cloud = Cloud::new(&[("file", "2")]).with_objects(&[("sh/d0", "1"), ("sh/d.x/y", "1"), ("s", "1")]);
    let ended = cloud.run(&["upload", "s3://data/sh/d", "--local", "file"]);
    assert_eq!((ended.code, cloud.server.keys(BUCKET).len()), (Some(0), 4), "{ended:?}");
}

#[test]
fn a_file_that_was_announced_and_not_made_is_an_error() {
    for option in ["--upload-file", "--sync-file"] {
        let cloud = Cloud::new(&[]);
        let line = [&[option, "m=s3://data/m", "--sync-on-error"][..], &REPORT].concat();
        let ended = run(&cloud, &sh(&line, "true"));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("so nothing was uploaded to 's3://data/m'"), "{}", ended.err);
        let report = report(&cloud);
        let found = (&report["complete"], &report["uploads"][0]["uploaded"], &report["exit_code"]);
        assert_eq!(found, (&json!(false), &json!(false), &json!(1)), "{report}");
        // A program that failed need not have made it.
        let ended = run(&cloud, &sh(&line, "exit 7"));
        assert_eq!(ended.code, Some(7), "{ended:?}");
        assert!(ended.err.contains("m: nothing was uploaded to s3://data/m at the end: there is no "), "{}", ended.err);
    }
}

#[test]
fn a_local_output_of_one_file_that_was_not_made_is_an_error_too() {
    for option in ["--upload-file", "--sync-file"] {
        let cloud = Cloud::new(&[]);
        let line = [&[option, "m=out/m"][..], &REPORT].concat();
        let missing = || report(&cloud)["local"][0]["missing"].clone();
        for script in ["true", r#"mkdir "$POS3_PATH_M""#] {
            let ended = run(&cloud, &sh(&line, script));
            assert_eq!(ended.code, Some(1), "{script}: {ended:?}");
            let said = format!("m: there is no file {}\n", cloud.program.path("out/m").display());
            assert!(ended.err.contains(&said), "{}", ended.err);
            assert!(ended.err.contains("the program succeeded, but it did not create every output\n"), "{}", ended.err);
            let found = (report(&cloud)["complete"].clone(), missing(), report(&cloud)["exit_code"].clone());
            assert_eq!(found, (json!(false), json!(true), json!(1)), "{script}");
        }
        // A program that failed need not have made it.
        let ended = run(&cloud, &sh(&line, "exit 7"));
        assert_eq!((ended.code, missing()), (Some(7), json!(false)), "{ended:?}");
        assert!(!ended.err.contains("there is no file"), "{}", ended.err);
        let ended = run(&cloud, &sh(&line, r#"echo 1 > "$POS3_PATH_M""#));
        assert_eq!((ended.code, missing()), (Some(0), json!(false)), "{ended:?}");
    }
}

#[test]
fn a_directory_that_is_gone_is_not_complete_and_what_is_not_deleted_is_counted() {
    let cloud = Cloud::new(&[]);
    let ended =
        run(&cloud, &sh(&[&["--upload", "out=s3://data/out"][..], &REPORT].concat(), r#"rmdir "$POS3_PATH_OUT""#));
    let found = (ended.code, &report(&cloud)["uploads"][0]["uploaded"]);
    assert_eq!(found, (Some(1), &json!(false)), "also where it was always empty: {ended:?}");
    for more in [&[][..], &["--allow-empty"]] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/a", "x"), ("out/b", "x")]);
        let line = [&["--sync", "out=s3://data/out", "--delete-remote"][..], more, &REPORT].concat();
        let ended = run(&cloud, &sh(&line, r#"rm -r "$POS3_PATH_OUT""#));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains(" is gone; 2 files not deleted because of that\n"), "{}", ended.err);
        let report = report(&cloud);
        let upload = &report["uploads"][0];
        let found = (&report["complete"], &upload["uploaded"], &upload["withheld"]);
        assert_eq!(found, (&json!(false), &json!(false), &json!(2)), "{report}");
        assert_eq!(cloud.server.keys(BUCKET), ["out/a", "out/b"]);
    }
}

#[test]
fn a_later_run_deletes_nothing_for_a_directory_that_an_earlier_one_emptied() {
    let cloud = Cloud::new(&[]);
    let line = ["--upload", "out=s3://data/out", "--delete-remote"];
    let made = run(&cloud, &sh(&line, r#"echo 1 > "$POS3_PATH_OUT/a""#));
    assert_eq!(made.code, Some(0), "{made:?}");
    let emptied = run(&cloud, &sh(&line, r#"rm "$POS3_PATH_OUT/a""#));
    let said = "1 file not deleted because the directory has no file (only the run that empties it deletes them, with \
                --allow-empty)\n";
    assert!(emptied.err.contains(said), "{}", emptied.err);
    for script in ["true", r#"echo 2 > "$POS3_PATH_OUT/b""#] {
        let later = run(&cloud, &sh(&[&line[..], &["--allow-empty"]].concat(), script));
        assert_eq!(later.code, Some(0), "{later:?}");
        assert!(stored(&cloud, "out/a").is_some(), "{script}");
    }
}

#[test]
fn what_was_uploaded_beside_a_failure_is_counted() {
    let cloud = Cloud::new(&[]);
    cloud.server.fault(Fault::on(Operation::PutObject).key("out/bad").always().answer(Answer::access_denied()));
    let script = r#"echo 1 > "$POS3_PATH_OUT/bad"; echo 1 > "$POS3_PATH_OUT/good""#;
    let line = [&["--upload", "out=s3://data/out"][..], &REPORT].concat();
    let ended = run(&cloud, &sh(&line, script));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let upload = &report(&cloud)["uploads"][0];
    assert_eq!((&upload["files"], &upload["bytes"]), (&json!(1), &json!(2)), "{upload}");
    assert!(ended.err.contains("\n  1 file there; 1 upload (2 B), 1 at the end\n"), "{}", ended.err);
}

#[test]
fn what_was_uploaded_in_the_background_is_counted_and_deletes_wait_for_a_clean_end() {
    let script = |end: &str| {
        format!(
            r#"echo 1 > "$POS3_PATH_OUT/a"; echo 1 > "$POS3_PATH_OUT/b"; echo made; while [ ! -f "$PWD/go" ]; do sleep 0.02; done
            rm "$POS3_PATH_OUT/a"; while [ ! -f "$PWD/end" ]; do sleep 0.02; done; {end}"#
        )
    };
    let line = [&["--upload", "out=s3://data/out", "--interval", "0.2", "--delete-remote"][..], &REPORT].concat();
    for (end, at_end) in [("true", 0), (r#"echo 1 > "$POS3_PATH_OUT/c""#, 1), ("exit 7", 0)] {
        let cloud = Cloud::new(&[]);
        let mut child = start(&cloud, &sh(&line, &script(end)));
        let _out = wait_for(&mut child, "made");
        wait_until("it is not uploaded", || stored(&cloud, "out/a").is_some() && stored(&cloud, "out/b").is_some());
        fs::write(cloud.program.path("go"), "").unwrap();
        cloud.server.reset_requests();
        wait_until("nothing is listed", || cloud.server.requests().of(Operation::ListObjectsV2) > 3);
        assert!(stored(&cloud, "out/a").is_some(), "nothing is deleted in the background");
        fs::write(cloud.program.path("end"), "").unwrap();
        let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
        let upload = &report(&cloud)["uploads"][0];
        let counts =
            ["files", "bytes", "files_at_end", "bytes_at_end", "deleted"].map(|name| upload[name].as_u64().unwrap());
        let deleted = u64::from(end != "exit 7");
        assert_eq!(counts, [2 + at_end, 2 * (2 + at_end), at_end, 2 * at_end, deleted], "{end} {upload}");
        assert_eq!(stored(&cloud, "out/a").is_none(), deleted == 1, "{end}");
        let said = if end == "exit 7" { "; 2 uploads before; " } else { "; 1 file deleted\n" };
        assert!(ended.err.contains(said), "{end} {}", ended.err);
    }
}

#[test]
fn output_that_was_not_uploaded_is_not_overwritten_by_a_download() {
    const SYNC: [&str; 2] = ["--sync", "c=s3://data/c"];
    type Fail = fn(&Cloud);
    let failed: Fail = |cloud| {
        assert_eq!(run(cloud, &sh(&SYNC, r#"echo ours > "$POS3_PATH_C/f"; exit 7"#)).code, Some(7));
    };
    let killed: Fail = |cloud| {
        let mut child = start(cloud, &sh(&SYNC, r#"echo ours > "$POS3_PATH_C/f"; echo written; exec sleep 3"#));
        wait_for(&mut child, "written");
        kill("-KILL", &child);
        child.wait().unwrap();
    };
    for fail in [failed, killed] {
        for theirs in [None, Some("theirs\n")] {
            let cloud = Cloud::new(&[]).with_objects(&[("c/f", "old\n")]);
            fail(&cloud);
            theirs.into_iter().for_each(|theirs| cloud.server.put(BUCKET, "c/f", theirs));
            let file = cloud.program.path("cache/_/data/c/f");
            let download = ["download", "s3://data/c"];
            let program = sh(&["--download", "c=s3://data/c"], "echo started");
            for line in [&download[..], &["download", "s3://data/c", "--delete"], &program] {
                let ended = run(&cloud, line);
                assert_eq!(ended.code, Some(1), "{line:?}: {ended:?}");
                assert!(ended.err.contains("output of an earlier run, and is not known to be stored"), "{}", ended.err);
                assert!(ended.err.contains("hint: compare the two; "), "{}", ended.err);
                assert_eq!(fs::read_to_string(&file).unwrap(), "ours\n", "{line:?}");
            }
            // Once it is uploaded, a download makes the file like the object again.
            let uploaded = cloud.run(&["upload", "s3://data/c", "-q"]);
            assert_eq!((uploaded.code, stored(&cloud, "c/f").as_deref()), (Some(0), Some("ours\n")), "{uploaded:?}");
            fs::write(&file, "an edit").unwrap();
            let ended = run(&cloud, &download);
            assert_eq!((ended.code, fs::read_to_string(&file).unwrap().as_str()), (Some(0), "ours\n"), "{ended:?}");
        }
    }
}

#[test]
fn output_that_was_not_uploaded_is_named_by_a_download_that_would_delete_it() {
    let cloud = Cloud::new(&[]).with_objects(&[("c/f", "old\n")]);
    let made = sh(&["--sync", "c=s3://data/c"], r#"echo ours > "$POS3_PATH_C/new"; exit 7"#);
    assert_eq!(run(&cloud, &made).code, Some(7));
    let ended = run(&cloud, &["download", "s3://data/c", "--delete"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("output of an earlier run, and is not known to be stored"), "{}", ended.err);
    assert!(ended.err.contains("hint: compare the two; ") && !ended.err.contains("--delete removes them"), "{ended:?}");
    assert!(cloud.program.path("cache/_/data/c/new").exists());
    let uploaded = cloud.run(&["upload", "s3://data/c", "-q"]);
    assert_eq!((uploaded.code, stored(&cloud, "c/new").as_deref()), (Some(0), Some("ours\n")), "{uploaded:?}");
}
