//! Checks that the tests that the documents name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of every Rust file below a directory.
fn sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text
}

/// The text of all code that can hold a test.
fn code() -> String {
    sources(&root().join("crates")) + &sources(&root().join("tests"))
}

/// Checks the tests that a text names between backquotes.
fn assert_tests_exist(code: &str, place: &str, text: &str) {
    let names: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
    assert!(!names.is_empty(), "'{place}' names no test");
    for name in names {
        assert!(code.contains(&format!("fn {name}(")), "'{place}' names the test {name}, which does not exist");
    }
}

#[test]
fn every_heading_of_semantics_names_tests_that_exist() {
    let code = code();
    let semantics = fs::read_to_string(root().join("docs/SEMANTICS.md")).unwrap();
    for section in semantics.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        let (_, named) = section.split_once("Tested by").unwrap_or_else(|| panic!("'{heading}' names no test"));
        assert!(!named.contains("Tested by"), "'{heading}' has more than one list of tests");
        assert_tests_exist(&code, heading, named);
    }
}

#[test]
fn every_known_fault_names_tests_that_exist() {
    let code = code();
    let faults = fs::read_to_string(root().join("docs/FAULTS.md")).unwrap();
    let rows: Vec<&str> = faults.lines().filter(|line| line.starts_with("| W")).collect();
    for (row, number) in rows.iter().zip(1..) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!((cells.len(), cells[0]), (3, format!("W{number}").as_str()), "{row}");
        assert_tests_exist(&code, cells[0], cells[2]);
    }
    assert_eq!(rows.len(), 33);
    let (_, besides) = faults.split_once("Besides").unwrap();
    let besides = besides.split("\n## ").next().unwrap();
    assert_tests_exist(&code, "besides", besides);
}

#[test]
fn every_difference_from_the_workspaces_of_others_names_tests_that_exist() {
    let code = code();
    let faults = fs::read_to_string(root().join("docs/FAULTS.md")).unwrap();
    let (_, table) = faults.split_once("| there | in pos3 |").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with("| ")).collect();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [there, _here, tests] = cells[..] else { panic!("{row}") };
        assert_tests_exist(&code, there, tests);
    }
    assert!(rows.len() >= 6, "{}", rows.len());
}

#[test]
fn every_report_about_others_names_tests_that_exist() {
    let code = code();
    let faults = fs::read_to_string(root().join("docs/FAULTS.md")).unwrap();
    let (_, table) = faults.split_once("| report |").unwrap();
    let mut reports = BTreeSet::new();
    for row in table.lines().skip(2).take_while(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [report, what, tests] = cells[..] else { panic!("{row}") };
        let (repository, number) = report.split_once('#').unwrap_or_else(|| panic!("{row}"));
        assert!(repository.split('/').count() == 2 && number.parse::<u32>().is_ok() && !what.is_empty(), "{row}");
        assert!(reports.insert(report), "{report} is there twice");
        assert_tests_exist(&code, report, tests);
    }
    assert!(reports.len() >= 80, "{}", reports.len());
}
