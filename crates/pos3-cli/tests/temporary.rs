//! Temporary files of large plans and reports that cannot be created or written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::program::{Ended, Program};

/// Enough of these names do not fit into the memory of a plan.
const NAMES: usize = 12_000;

fn name(number: usize) -> String {
    format!("{number:06}-{}", "x".repeat(220))
}

/// Returns a program with a target of many files that the source does not have.
fn with_many_deletes() -> Program {
    let program = Program::new().with(&[("from/kept", "1"), ("to/", "")]);
    (0..NAMES).for_each(|number| fs::write(program.path("to").join(name(number)), "").unwrap());
    program
}

fn run(program: &Program, arguments: &[&str], temporary: &Path) -> Ended {
    program.command(arguments).env("TMPDIR", temporary).output().unwrap().into()
}

fn assert_nothing_was_done(program: &Program, ended: &Ended, temporary: &Path, cause: &str) {
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let place = format!("a temporary file in '{}': {cause}", temporary.display());
    assert!(ended.err.contains(&place), "{place}: {}", ended.err);
    assert!(ended.err.contains("hint: set TMPDIR to a directory"), "{}", ended.err);
    assert_eq!(fs::read_dir(program.path("to")).unwrap().count(), NAMES, "nothing was deleted, and nothing copied");
}

#[test]
fn a_plan_without_a_place_for_its_temporary_files_does_nothing() {
    let program = with_many_deletes();
    let sync = ["sync", "from", "to", "--delete", "--max-delete", "100%"];
    let nowhere = program.path("nowhere");
    assert_nothing_was_done(&program, &run(&program, &sync, &nowhere), &nowhere, "No such file or directory");

    let planned = run(&program, &[&sync[..], &["-n"]].concat(), &nowhere);
    assert_nothing_was_done(&program, &planned, &nowhere, "No such file or directory");
    assert!(
        planned.err.contains("error: cannot make the plan: ") && !planned.err.contains("deleted"),
        "{}",
        planned.err
    );

    let small = program.path("small");
    fs::create_dir(&small).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&small).status();
    if mount.is_ok_and(|status| status.success()) {
        let ended = run(&program, &sync, &small);
        assert!(Command::new("umount").arg(&small).status().unwrap().success());
        assert_nothing_was_done(&program, &ended, &small, "No space left on device");
    } else {
        eprintln!("skipped: no small file system can be mounted here");
    }

    let ended = run(&program, &sync, program.path(".").as_path());
    assert_eq!((ended.code, fs::read_dir(program.path("to")).unwrap().count()), (Some(0), 1), "{}", ended.err);
}

#[test]
fn a_plan_file_that_finds_no_room_for_its_actions_is_not_applied() {
    let program = with_many_deletes();
    let plan = ["plan", "from", "to", "--delete", "--max-delete", "100%", "-o", "plan.jsonl"];
    assert_eq!(program.run(&plan).code, Some(0));
    let nowhere = program.path("nowhere");
    let ended = run(&program, &["apply", "plan.jsonl"], &nowhere);
    assert_nothing_was_done(&program, &ended, &nowhere, "No such file or directory");
    let applied = run(&program, &["apply", "plan.jsonl"], program.path(".").as_path());
    assert_eq!((applied.code, fs::read_dir(program.path("to")).unwrap().count()), (Some(0), 1), "{}", applied.err);
}

#[test]
fn counts_are_right_where_rows_of_a_report_cannot_be_kept() {
    let program = Program::new().with(&[("from/file", "1")]);
    (0..NAMES).for_each(|number| symlink("elsewhere", program.path("from").join(name(number))).unwrap());
    let ended = run(&program, &["sync", "from", "to"], &program.path("nowhere"));
    assert_eq!((ended.code, program.files("to").len()), (Some(0), 1), "{}", ended.err);
    assert!(ended.err.contains("\nskipped    12,000\n"), "{}", ended.err);
    assert!(
        ended.err.contains("warning: not everything can be shown: cannot create a temporary file"),
        "{}",
        ended.err
    );
}
