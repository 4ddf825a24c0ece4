//! `run` with real programs and signals, and the objects in S3 afterwards.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pos3_tests::server::{Answer, Fault, Operation};
use serde_json::Value;

use super::{BUCKET, Cloud};
use crate::program::Ended;

pub(crate) fn sh<'a>(places: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [&["run"], places, &["--", "sh", "-c", script]].concat()
}

pub(crate) fn start(cloud: &Cloud, line: &[&str]) -> Child {
    let mut command = cloud.command(line);
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn run(cloud: &Cloud, line: &[&str]) -> Ended {
    start(cloud, line).wait_with_output().unwrap().into()
}

/// Waits for a line of the program's output.
pub(crate) fn wait_for(child: &mut Child, line: &str) -> BufReader<std::process::ChildStdout> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.trim_end() != line {
        text.clear();
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "'{line}' never came");
    }
    out
}

pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn stored(cloud: &Cloud, key: &str) -> Option<String> {
    let object = cloud.server.object(BUCKET, key)?;
    Some(String::from_utf8_lossy(&object.bytes).into_owned())
}

#[test]
fn a_program_finds_its_inputs_and_its_outputs_are_uploaded() {
    let cloud = Cloud::new(&[]).with_objects(&[("in/a", "b\na\n"), ("run/ckpt", "1"), ("out/theirs", "x")]);
    let script = r#"sort "$POS3_PATH_DATA/a" > "$POS3_PATH_OUT/sorted"; cat "$POS3_PATH_CKPT/ckpt"; echo 2 > "$POS3_PATH_CKPT/ckpt""#;
    let places = ["--download", "data=s3://data/in", "--upload", "out=s3://data/out", "--sync", "ckpt=s3://data/run"];
    let ended = run(&cloud, &sh(&places, script));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "1"), "{ended:?}");
    let told = [
        "data: 1 file (4 B) fetched from s3://data/in, 0 here already",
        "ckpt: 1 file (1 B) fetched from s3://data/run, 0 here already",
        "pos3-cli run: the program succeeded",
        "out: complete in s3://data/out: 1 file there; 1 upload (4 B), 1 at the end",
        "ckpt: complete in s3://data/run: 1 file there; 1 upload (2 B), 1 at the end",
    ];
    assert_eq!(ended.err.lines().collect::<Vec<_>>(), told);
    assert_eq!(stored(&cloud, "out/sorted").unwrap(), "a\nb\n");
    assert_eq!(stored(&cloud, "run/ckpt").unwrap(), "2\n");
    assert_eq!(cloud.server.keys(BUCKET), ["in/a", "out/sorted", "out/theirs", "run/ckpt"]);
    let quiet = run(&cloud, &sh(&["-q", "--upload", "out=s3://data/out"], "exit 0"));
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""));
}

#[test]
fn a_path_is_used_where_it_is() {
    let cloud = Cloud::new(&[("here/a", "1")]);
    let places = ["--download", "in=here", "--upload", "out=there"];
    let ended = run(&cloud, &sh(&places, r#"cp "$POS3_PATH_IN/a" "$POS3_PATH_OUT/b""#));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read_to_string(cloud.program.path("there/b")).unwrap(), "1");
    assert_eq!(cloud.server.requests().iter().count(), 0);
}

#[test]
fn a_program_that_fails_uploads_only_what_was_asked_for_and_gives_its_code() {
    let script = r#"echo new > "$POS3_PATH_OUT/new"; rm "$POS3_PATH_OUT/old"; exit 7"#;
    for on_error in [false, true] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/old", "x")]);
        let mut places = vec!["--sync", "out=s3://data/out", "--delete-remote", "--json-report", "report.json"];
        places.extend(on_error.then_some("--sync-on-error"));
        let ended = run(&cloud, &sh(&places, script));
        assert_eq!((ended.code, ended.out.as_str()), (Some(7), ""), "{ended:?}");
        let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report.json")).unwrap()).unwrap();
        assert_eq!((&report["exit_code"], &report["program"]["code"]), (&7.into(), &7.into()), "{report}");
        assert_eq!((&report["version"], &report["complete"]), (&1.into(), &on_error.into()), "{report}");
        if on_error {
            assert_eq!(cloud.server.keys(BUCKET), ["out/new", "out/old"], "nothing is deleted then");
        } else {
            assert_eq!(cloud.server.keys(BUCKET), ["out/old"]);
            assert!(
                ended.err.contains("out: not uploaded to s3://data/out at the end (--sync-on-error was not given)")
            );
        }
    }
}

#[test]
fn a_program_that_succeeds_deletes_what_it_removed_only_when_asked() {
    for (more, left) in [(None, &["out/kept", "out/old"][..]), (Some("--delete-remote"), &["out/kept"])] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/kept", "x"), ("out/old", "x")]);
        let mut places = vec!["--sync", "out=s3://data/out"];
        places.extend(more);
        let ended = run(&cloud, &sh(&places, r#"rm "$POS3_PATH_OUT/old""#));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(cloud.server.keys(BUCKET), left, "{more:?}");
    }
}

#[test]
fn a_program_that_is_killed_gives_128_and_the_signal() {
    let cloud = Cloud::new(&[]);
    let ended = run(&cloud, &sh(&["--upload", "out=s3://data/out"], "kill -KILL $$"));
    assert_eq!(ended.code, Some(137), "{ended:?}");
    assert!(ended.err.starts_with("pos3-cli run: the program was ended by signal 9\n"), "{}", ended.err);
}

#[test]
fn what_cannot_be_run_is_127_or_126_before_anything_is_fetched_or_uploaded() {
    let cloud = Cloud::new(&[("no-program", "x"), ("cache/_/data/out/left", "x")]).with_objects(&[("in/a", "1")]);
    let places = ["--download", "in=s3://data/in", "--upload", "out=s3://data/out", "--sync-on-error"];
    for (program, code, said) in [
        ("no-such-program-anywhere", 127, "there is no program 'no-such-program-anywhere'"),
        ("./missing", 127, "there is no program './missing'"),
        ("", 127, "no program is named: its name is empty"),
        ("./no-program", 126, "'./no-program' cannot be executed: permission denied"),
    ] {
        let ended = run(&cloud, &[&["run"], &places[..], &["--", program]].concat());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(ended.err, format!("pos3-cli run: {said}\n"));
    }
    for (line, said) in [
        ("#!/nonexistent/py -u\n", "its interpreter is '/nonexistent/py', which does not exist"),
        ("#! /nonexistent/py", "its interpreter is '/nonexistent/py', which does not exist"),
        ("#!/bin/sh\r\n", "its interpreter is '/bin/sh', followed by a carriage return, and there is no such file"),
    ] {
        let script = cloud.program.path("script");
        fs::write(&script, line).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let ended = run(&cloud, &[&["run"], &places[..], &["--", "./script"]].concat());
        assert_eq!(ended.code, Some(127), "{ended:?}");
        assert_eq!(ended.err, format!("pos3-cli run: './script' cannot be executed: {said}\n"));
    }
    assert_eq!(cloud.server.requests().iter().count(), 0);
}

#[test]
fn an_input_that_is_missing_starts_nothing_and_uploads_nothing() {
    let cloud = Cloud::new(&[("cache/_/data/out/left", "from before")]);
    let places = ["--download", "in=s3://data/typo", "--upload", "out=s3://data/out", "--sync-on-error"];
    let ended = run(&cloud, &sh(&places, "echo started"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.starts_with("pos3-cli run: there is nothing at 's3://data/typo'\nhint: "), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), [""; 0]);
}

#[test]
fn places_that_make_no_sense_are_code_two() {
    let cloud = Cloud::new(&[]);
    for (places, said) in [
        (&["--download", "data"][..], "write NAME=URL"),
        (&["--download", "a-b=s3://data/x"], "must consist of letters, digits and '_'"),
        (
            &["--download", "a=s3://data/x", "--upload", "A=s3://data/y"],
            "'a' and 'A' would have the same variable: POS3_PATH_A",
        ),
        (&["--download", "a=s3://data/x", "--upload", "a=s3://data/y"], "two places are named 'a'"),
        (&["--upload", "a=s3://data/x", "--upload", "b=s3://data/x/y"], "overlaps with"),
        (&["--upload", "a=s3://data/x", "--interval", "0"], "must be greater than zero"),
    ] {
        let ended = run(&cloud, &sh(places, "echo started"));
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    let ended = run(&cloud, &["run", "--upload", "a=s3://data/x"]);
    assert_eq!(ended.code, Some(2), "no program: {ended:?}");
}

#[test]
fn a_program_that_succeeds_while_its_upload_fails_is_code_one() {
    let cloud = Cloud::new(&[]);
    let denied = Answer::access_denied();
    cloud.server.fault(Fault::on(Operation::PutObject).key("out/bad").always().answer(denied));
    let script = r#"echo 1 > "$POS3_PATH_OUT/bad"; echo 1 > "$POS3_PATH_OUT/good""#;
    let ended = run(&cloud, &sh(&["--upload", "out=s3://data/out", "--json-report", "report", "-q"], script));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("out: NOT EVERYTHING was uploaded to s3://data/out: "), "{}", ended.err);
    assert!(ended.err.contains("\n  missing: s3://data/out/bad\n  the files are in "), "{}", ended.err);
    assert!(ended.err.contains("the program succeeded, but not everything was uploaded\n"), "{}", ended.err);
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert_eq!(report["uploads"][0]["missing"], serde_json::json!(["bad"]));
    assert_eq!(cloud.server.keys(BUCKET), ["out/good"]);
}

#[test]
fn a_directory_that_the_program_emptied_deletes_nothing_and_is_no_failure() {
    for (more, said, left) in [
        (
            None,
            "2 files not deleted because the directory has no file (only the run that empties it deletes them, with --allow-empty)\n",
            &["out/a", "out/b"][..],
        ),
        (Some("--allow-empty"), "2 files deleted\n", &[]),
    ] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/a", "x"), ("out/b", "x")]);
        let mut places = vec!["--sync", "out=s3://data/out", "--delete-remote", "--json-report", "report"];
        places.extend(more);
        let ended = run(&cloud, &sh(&places, r#"rm "$POS3_PATH_OUT"/*"#));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains(said), "{}", ended.err);
        assert_eq!(ended.err.contains("warning: 's3://data/out': '"), more.is_none(), "{}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET), left, "{more:?}");
        let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
        assert_eq!(report["uploads"][0]["withheld"], if more.is_none() { 2 } else { 0 });
    }
}

#[test]
fn a_directory_that_the_program_removed_is_said_to_be_gone_and_deletes_nothing() {
    let cloud = Cloud::new(&[]).with_objects(&[("out/a", "x"), ("out/b", "x")]);
    let places = ["--sync", "out=s3://data/out", "--delete-remote", "--allow-empty"];
    let ended = run(&cloud, &sh(&places, r#"rm -r "$POS3_PATH_OUT""#));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("out: nothing was uploaded to s3://data/out at the end: /"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["out/a", "out/b"]);
}

#[test]
fn a_file_that_others_replaced_while_the_program_ran_stays_theirs_and_is_told() {
    let cloud = Cloud::new(&[]).with_objects(&[("out/a", "1"), ("out/b", "1")]);
    let places = ["--sync", "out=s3://data/out"];
    assert_eq!(run(&cloud, &sh(&places, "true")).code, Some(0));
    let theirs = cloud.program.path("theirs");
    fs::write(&theirs, "theirs").unwrap();
    let cli = env!("CARGO_BIN_EXE_pos3-cli");
    let script = format!("'{cli}' upload s3://data/out/a --local '{}' -q", theirs.display());
    let ended = run(&cloud, &sh(&places, &script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let left = "1 file there\n  not uploaded, because another writer replaced it: s3://data/out/a\n";
    assert!(ended.err.contains(left), "{}", ended.err);
    assert_eq!(cloud.server.object(BUCKET, "out/a").unwrap().bytes, "theirs");
}

#[test]
fn a_file_that_changed_on_both_sides_starts_nothing_and_is_named_with_what_to_do() {
    let cloud = Cloud::new(&[]).with_objects(&[("out/a", "1")]);
    let places = ["--sync", "out=s3://data/out"];
    assert_eq!(run(&cloud, &sh(&places, "true")).code, Some(0));
    cloud.server.put(BUCKET, "out/a", "theirs");
    fs::write(cloud.program.path("cache/_/data/out/a"), "ours").unwrap();
    let ended = run(&cloud, &sh(&places, "echo started"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(
        ended.err.contains(
            "/a' and 's3://data/out/a' conflict: both sides have changed since they were equal\nhint: compare the two; "
        ),
        "{ended:?}"
    );
}

#[test]
fn deletes_that_are_denied_are_reported_as_such_and_everything_was_uploaded() {
    for files in [2, 70] {
        let cloud = Cloud::new(&[]);
        (0..files).for_each(|number| cloud.server.put(BUCKET, &format!("out/{number:02}"), "x"));
        cloud.server.fault(Fault::on(Operation::DeleteObjects).always().answer(Answer::access_denied()));
        let script = r#"rm "$POS3_PATH_OUT"/*; echo 1 > "$POS3_PATH_OUT/new""#;
        let limit = ["--max-delete", "100%", "--json-report", "report"];
        let ended =
            run(&cloud, &sh(&[&["--sync", "out=s3://data/out", "--delete-remote"], &limit[..]].concat(), script));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        for said in [
            "out: everything was uploaded to s3://data/out, but nothing was deleted: ",
            "access denied",
            &format!("; {files} files not deleted\n"),
            "hint: ask the bucket's owner for s3:DeleteObject, or omit --delete-remote; ",
            "the program succeeded, but not everything was deleted\n",
        ] {
            assert!(ended.err.contains(said), "{said}: {}", ended.err);
        }
        assert!(!ended.err.contains("NOT EVERYTHING") && !ended.err.contains("the files are in"), "{}", ended.err);
        let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
        let upload = &report["uploads"][0];
        let found = (&report["complete"], &upload["uploaded"], &upload["withheld"], &upload["deleted"]);
        assert_eq!(found, (&false.into(), &true.into(), &files.into(), &0.into()), "{report}");
        assert_eq!(cloud.server.keys(BUCKET).len(), files + 1);
        let marks = fs::read_dir(cloud.program.path("cache/.pos3-unsaved")).map_or(0, Iterator::count);
        assert_eq!(marks, 0, "no output is unsaved");
    }
}

#[test]
fn a_program_that_removes_too_much_loses_no_output() {
    let cloud = Cloud::new(&[]);
    (0..30).for_each(|number| cloud.server.put(BUCKET, &format!("out/{number:02}"), "x"));
    let script = r#"rm "$POS3_PATH_OUT"/*; echo 1 > "$POS3_PATH_OUT/new""#;
    let places = ["--sync", "out=s3://data/out", "--delete-remote", "--json-report", "report"];
    let ended = run(&cloud, &sh(&places, script));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("hint: nothing was deleted; if so many deletes are intended, add --max-delete 30\n"),
        "{ended:?}"
    );
    for said in [
        "out: everything was uploaded to s3://data/out, but nothing was deleted: ",
        "; 30 files not deleted\n",
        "the program succeeded, but not everything was deleted\n",
    ] {
        assert!(ended.err.contains(said), "{said}: {}", ended.err);
    }
    assert!(!ended.err.contains("NOT EVERYTHING"), "{}", ended.err);
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    let upload = &report["uploads"][0];
    let found = (&report["complete"], &upload["uploaded"], &upload["withheld"], &report["exit_code"]);
    assert_eq!(found, (&false.into(), &true.into(), &30.into(), &1.into()), "{report}");
    assert_eq!(cloud.server.keys(BUCKET).len(), 31);
    let ended = run(&cloud, &sh(&[&places[..], &["--max-delete", "100%"]].concat(), script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["out/new"]);
}

#[test]
fn a_command_that_waits_says_for_whom() {
    let cloud = Cloud::new(&[]).with_objects(&[("in/a", "1")]);
    let stall = Answer::Delay(Duration::from_secs(600));
    cloud.server.fault(Fault::on(Operation::GetObject).always().answer(stall));
    let mut first = start(&cloud, &["download", "s3://data/in"]);
    wait_until("the first does not begin", || cloud.server.requests().of(Operation::GetObject) == 1);
    let said = format!("waiting for another process ({}) that uses 's3://data/in'", first.id());
    let waiting =
        [sh(&["--download", "in=s3://data/in"], r#"cat "$POS3_PATH_IN/a""#), vec!["download", "s3://data/in"]];
    for line in waiting {
        let mut second = start(&cloud, &line);
        let mut told = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(told.next(), Some(said.clone()), "{line:?}");
        second.kill().unwrap();
        second.wait().unwrap();
    }
    let quiet = start(&cloud, &["download", "s3://data/in", "-q"]);
    std::thread::sleep(Duration::from_millis(1500));
    first.kill().unwrap();
    first.wait().unwrap();
    cloud.server.clear_faults();
    let ended = Ended::from(quiet.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
}
