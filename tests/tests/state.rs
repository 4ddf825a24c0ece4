//! The sync state survives the death of the process, and the memory that it needs does not grow with the number of
//! rows.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_state-rows");

/// Returns the numbers and words on the last line of a run, by name.
fn run(arguments: &[&str], directory: &Path) -> HashMap<String, String> {
    let mut command = Command::new(PROGRAM);
    command.arg(arguments[0]).arg(directory).args(&arguments[1..]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.lines().last().unwrap().trim_start_matches("end ").split_whitespace().collect();
    words.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

fn number(told: &HashMap<String, String>, name: &str) -> u64 {
    told[name].parse().unwrap()
}

#[test]
fn rows_that_were_written_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    for kill_after in [1, 2, 3, 5, 8, 13, 21, 34] {
        let mut child = Command::new(PROGRAM)
            .args(["write", directory.path().to_str().unwrap(), "100000000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = String::new();
        for _ in 0..kill_after {
            told = lines.next().unwrap().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let written: u64 = told.strip_prefix("written ").unwrap().parse().unwrap();

        let found = run(&["read"], directory.path());
        assert_eq!(found["file"], "good", "killed after {told}: {found:?}");
        let rows = number(&found, "rows");
        assert!(rows >= written, "killed after {told}: {found:?}");
        assert_eq!(rows % 4096, 0, "all or nothing of a batch: {found:?}");
        let note = number(&found, "note");
        assert!(note >= written, "killed after {told}: {found:?}");
    }
}

#[test]
fn a_million_rows_are_written_and_read_in_flat_memory() {
    let directory = tempfile::tempdir().unwrap();
    run(&["write", "100000"], directory.path());
    let few = run(&["read"], directory.path());
    let written = run(&["write", "1000000"], directory.path());
    let million = run(&["read"], directory.path());
    assert_eq!((number(&few, "rows"), number(&million, "rows")), (100_000, 1_000_000));

    let (few, million) = (number(&few, "peak_kib"), number(&million, "peak_kib"));
    assert!(million < few + 8 * 1024, "{few} KiB for a hundred thousand, {million} KiB for a million");
    assert!(million < 48 * 1024, "{million} KiB");
    assert!(number(&written, "peak_kib") < 64 * 1024, "{written:?}");
}
