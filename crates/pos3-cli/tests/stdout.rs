//! Data that cannot be written to stdout, in every command.

use std::fs::File;
use std::process::Stdio;

use crate::program::{Ended, Program};

/// Commands that write something to stdout, and the code that they end with where it can be written.
const WRITING: [(&[&str], i32); 18] = [
    (&["sync", "from", "to", "-n"], 0),
    (&["sync", "from", "to", "-n", "--json"], 0),
    (&["sync", "from", "same", "--json"], 0),
    (&["sync", "missing", "to", "--json"], 1),
    (&["plan", "from", "to"], 0),
    (&["plan", "from", "to", "-o", "other", "--json"], 0),
    (&["apply", "plan", "-n"], 0),
    (&["check", "from", "to"], 3),
    (&["check", "from", "same", "--all"], 0),
    (&["check", "from", "same", "--json"], 0),
    (&["explain", "from", "to", "a"], 0),
    (&["explain", "from", "to", "a", "--json"], 0),
    (&["ls", "from"], 0),
    (&["ls", "from", "--json"], 0),
    (&["cleanup", "from", "--json"], 0),
    (&["manifest", "show", "from", "same"], 0),
    (&["manifest", "show", "from", "same", "--json"], 0),
    (&["--help"], 0),
];

fn program() -> Program {
    let program = Program::new().with(&[("from/a", "1"), ("same/a", "1"), ("to/b", "2")]);
    for prepared in [&["sync", "from", "same"][..], &["plan", "from", "to", "-o", "plan"]] {
        assert_eq!(program.run(prepared).code, Some(0), "{prepared:?}");
    }
    program
}

#[test]
fn data_that_cannot_be_written_is_an_error_of_its_own_in_every_command() {
    let program = program();
    for (command, code) in WRITING {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended: Ended = program.command(command).stdout(full).output().unwrap().into();
        let expected = if matches!(code, 0 | 3) { 5 } else { code };
        assert_eq!(ended.code, Some(expected), "{command:?} {ended:?}");
        let error = "error: cannot write to stdout: No space left on device";
        assert_eq!(ended.err.matches(error).count(), 1, "{command:?} {}", ended.err);
        assert!(!ended.err.contains("there is nothing"), "{command:?} {}", ended.err);
    }
}

#[test]
fn a_reader_that_is_gone_is_no_error_of_any_command() {
    let program = program();
    for (command, code) in WRITING {
        let mut child = program.command(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(code), "{command:?} {ended:?}");
        assert!(!ended.err.contains("stdout"), "{command:?} {}", ended.err);
    }
}
