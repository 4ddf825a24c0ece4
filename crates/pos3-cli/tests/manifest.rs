use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::program::{Ended, Program};
use crate::signals::{stuck_server, upload};

/// Returns the files of a kind in the state directory.
fn files(program: &Program, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(program.state()).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// A run that has the lock of 'from' and 's3://bucket', and will not end on its own.
fn stuck(program: &Program) -> (Child, String) {
    let (url, puts) = stuck_server();
    let child = upload(program, &url);
    puts.recv().unwrap();
    (child, url)
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_was_equal_is_shown_and_forgotten() {
    let program = Program::new().with(&[("from/a b", "1"), ("from/d/x", "2"), ("from/d/y", "3")]);
    let none = program.run(&["manifest", "show", "from", "to"]);
    assert_eq!((none.code, none.err.as_str()), (Some(0), "there is no sync state of 'from' and 'to'\n"));
    assert_eq!(files(&program, "redb"), Vec::<PathBuf>::new(), "showing makes nothing");

    assert_eq!(program.run(&["sync", "from", "to"]).code, Some(0));
    let file = files(&program, "redb").remove(0);
    let shown = program.run(&["manifest", "show", "to", "from"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let keys: Vec<&str> = shown.out.lines().map(|line| line.split_once("  ").unwrap().1.trim_start()).collect();
    assert_eq!(keys, ["a b", "d/x", "d/y"], "{}", shown.out);
    assert_eq!(shown.err, format!("3 files, 0 unfinished copies in {}\n", file.display()));

    let there: Value = serde_json::from_str(&program.run(&["manifest", "show", "from", "to", "--json"]).out).unwrap();
    let back: Value = serde_json::from_str(&program.run(&["manifest", "show", "to", "from", "--json"]).out).unwrap();
    assert_eq!(there["file"], file.to_str().unwrap());
    assert_eq!(there["rows"][0]["key"], "a b");
    assert_ne!(there["rows"][0]["source"], there["rows"][0]["target"]);
    assert_eq!(there["rows"][0]["source"], back["rows"][0]["target"]);

    let forgot = program.run(&["manifest", "forget", "from", "to", "d", "nothing"]);
    assert_eq!(forgot.err, "error: nothing is recorded of 'nothing'; forgot 2 files\n");
    assert_eq!(forgot.code, Some(1));
    assert!(program.run(&["manifest", "show", "from", "to"]).err.starts_with("1 file, "));
    assert_eq!(program.run(&["manifest", "forget", "from", "to", "--all"]).err, "forgot 1 file\n");
    assert_eq!(program.run(&["manifest", "forget", "from", "elsewhere", "--all"]).err, "forgot 0 files\n");
    let unsaid = program.run(&["manifest", "forget", "from", "to"]);
    assert_eq!(unsaid.code, Some(2), "{unsaid:?}");
}

#[test]
fn a_run_without_it_and_a_dry_run_write_nothing() {
    let program = Program::new().with(&[("from/a", "1")]);
    for arguments in [&["sync", "from", "to", "--no-manifest"][..], &["sync", "from", "to2", "-n"]] {
        assert_eq!(program.run(arguments).code, Some(0));
        assert_eq!(fs::read_dir(program.state()).unwrap().count(), 0, "{arguments:?}");
    }
    assert_eq!(program.run(&["sync", "from", "memory://m"]).code, Some(0));
    assert_eq!(fs::read_dir(program.state()).unwrap().count(), 0, "a memory that ends with the process");
}

#[test]
fn a_second_run_of_the_pair_is_told_who_has_it_and_a_dry_run_goes_without() {
    let program = Program::new().with(&[("from/a", "1")]);
    let (child, url) = stuck(&program);
    let file = files(&program, "redb").remove(0);
    let uses =
        format!("process {} uses '{}': a sync between these two locations is running", child.id(), file.display());

    let refused =
        program.run(&["sync", "s3://bucket", "from", "--endpoint-url", &url, "--no-sign-request", "--lock-wait", "0"]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.err.starts_with(&format!("error: {uses}\nhint: wait ")), "{}", refused.err);

    let planned = program.run(&["sync", "from", "s3://bucket", "-n", "--endpoint-url", &url, "--no-sign-request"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let warning = format!("warning: this run does not use the sync state: {uses}\n");
    assert!(planned.err.contains(&warning), "{}", planned.err);
    assert_eq!(planned.out, "(dryrun) upload: from/a to s3://bucket/a\n");
    end(child);
}

#[test]
fn a_second_run_of_the_pair_waits_until_the_first_is_gone() {
    let program = Program::new().with(&[("from/a", "1")]);
    let (child, url) = stuck(&program);
    let arguments = ["manifest", "show", "from", "s3://bucket", "--endpoint-url", &url, "--no-sign-request"];
    let mut waiting = program
        .command(&[&arguments[..], &["--lock-wait", "3600"]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = BufReader::new(waiting.stderr.take().unwrap());
    let mut told = String::new();
    err.read_line(&mut told).unwrap();
    assert!(told.starts_with(&format!("waiting up to 3600 s: process {} uses '", child.id())), "{told}");
    assert_eq!(waiting.try_wait().unwrap(), None);

    // Killed without a chance to tidy up: the lock goes with the process.
    end(child);
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.starts_with("0 files, "), "{rest}");
}

#[test]
fn a_signal_ends_the_wait() {
    let program = Program::new().with(&[("from/a", "1")]);
    let (child, url) = stuck(&program);
    let arguments = ["sync", "from", "s3://bucket", "--endpoint-url", &url, "--no-sign-request", "--lock-wait", "3600"];
    let mut waiting = program.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(waiting.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("waiting up to 3600 s") {
        assert_ne!(err.read_line(&mut told).unwrap(), 0, "{told}");
    }
    crate::signals::kill("-TERM", &waiting);
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(143), "{rest}");
    end(child);
}

/// Syncs a tree that has one change, and returns how that ended.
fn sync_with(spoil: impl FnOnce(&Program)) -> Ended {
    let program = Program::new().with(&[("from/a", "old"), ("from/b", "2")]);
    assert_eq!(program.run(&["sync", "from", "to"]).code, Some(0));
    fs::write(program.path("from/a"), "new").unwrap();
    spoil(&program);
    let ended = program.run(&["sync", "from", "to"]);
    assert_eq!(fs::read_to_string(program.path("to/a")).unwrap(), "new", "{ended:?}");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

#[test]
fn a_sync_is_right_without_what_was_remembered() {
    let deleted = sync_with(|program| {
        files(program, "redb")
            .into_iter()
            .chain(files(program, "lock"))
            .for_each(|path| fs::remove_file(path).unwrap());
    });
    assert!(!deleted.err.contains("warning"), "{}", deleted.err);

    let damaged = sync_with(|program| fs::write(files(program, "redb").remove(0), "no database").unwrap());
    assert!(damaged.err.contains("cannot be used and is replaced"), "{}", damaged.err);

    let in_the_way = sync_with(|program| {
        let file = files(program, "redb").remove(0);
        fs::remove_file(&file).unwrap();
        fs::create_dir(file).unwrap();
    });
    assert!(in_the_way.err.contains("does not use the sync state: cannot use '"), "{}", in_the_way.err);
}

#[test]
fn a_state_directory_that_cannot_be_made_is_a_warning() {
    let program = Program::new().with(&[("from/a", "1"), ("file", "")]);
    for (variable, value, expected) in [
        ("POS3_STATE_DIR", "file/state", "does not use the sync state: cannot use 'file/state': Not a directory"),
        ("POS3_STATE_DIR", "", "does not use the sync state: none of POS3_STATE_DIR, XDG_STATE_HOME and HOME is set"),
    ] {
        let output = program.command(&["sync", "from", "to"]).env(variable, value).output().unwrap();
        let ended = Ended::from(output);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains(expected), "{}", ended.err);
    }
}

#[test]
fn a_path_that_is_not_remembered_is_named_and_a_failure() {
    let program = Program::new().with(&[("from/a", "1"), ("from/d/b", "2"), ("from/d/c", "3")]);
    assert_eq!(program.run(&["sync", "from", "to"]).code, Some(0));
    for (path, told) in
        [("nosuch", "error: nothing is recorded of 'nosuch'\n"), ("../b/f", "error: nothing is recorded of '../b/f'\n")]
    {
        let ended = program.run(&["manifest", "forget", "from", "to", path]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(1), told), "{ended:?}");
    }
    let ended = program.run(&["manifest", "forget", "from", "to", ""]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let ended = program.run(&["manifest", "forget", "from", "to", "a", "nosuch"]);
    let told = "error: nothing is recorded of 'nosuch'; forgot 1 file\n";
    assert_eq!((ended.code, ended.err.as_str()), (Some(1), told));
    let absolute = program.path("to/d").display().to_string();
    let ended = program.run(&["manifest", "forget", "from", "to", &absolute]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), "forgot 2 files\n"), "{ended:?}");
}
