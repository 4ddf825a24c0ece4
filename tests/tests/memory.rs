//! The memory of a run does not grow with the trees.

use std::process::Command;

/// Runs a program with a number as its argument and returns its peak memory in KiB. Checks that the program prints the
/// same number for each of `counted`.
fn peak(program: &str, number: u64, counted: &[&str]) -> u64 {
    let output = Command::new(program).arg(number.to_string()).output().unwrap();
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<&str> = line.split_whitespace().collect();
    let value = |name: &str| words[words.iter().position(|word| *word == name).unwrap() + 1].parse::<f64>().unwrap();
    counted.iter().for_each(|name| assert_eq!(value(name), number as f64, "{name} in {line} {output:?}"));
    value("peak_kib") as u64
}

#[test]
fn merging_a_million_entries_takes_no_more_memory_than_merging_a_few() {
    let merge = |entries| peak(env!("CARGO_BIN_EXE_merge-memory"), entries, &["unchanged"]);
    let (few, million) = (merge(10_000), merge(1_000_000));
    assert!(million < 64 * 1024, "{million} KiB");
    assert!(million < few + 4 * 1024, "{few} KiB for ten thousand, {million} KiB for a million");
}

#[test]
fn many_differences_take_no_more_memory_than_some() {
    let plan = |differences| peak(env!("CARGO_BIN_EXE_plan-memory"), differences, &["planned", "deleted", "reported"]);
    let (some, many) = (plan(20_000), plan(150_000));
    assert!(many < 64 * 1024, "{many} KiB");
    assert!(many < some + 16 * 1024, "{some} KiB for 20,000, {many} KiB for 150,000");
}
