//! Memory does not grow with the trees.

use std::process::Command;

/// Returns the peak memory in KiB of merging `entries` with as many equal ones, in a process of its own.
fn peak(entries: u64) -> u64 {
    let output = Command::new(env!("CARGO_BIN_EXE_merge-memory")).arg(entries.to_string()).output().unwrap();
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..2], ["unchanged", entries.to_string().as_str()], "{line} {output:?}");
    words[5].parse().unwrap()
}

#[test]
fn merging_a_million_entries_takes_no_more_memory_than_merging_a_few() {
    let (few, million) = (peak(10_000), peak(1_000_000));
    assert!(million < 64 * 1024, "{million} KiB");
    assert!(million < few + 4 * 1024, "{few} KiB for ten thousand, {million} KiB for a million");
}
