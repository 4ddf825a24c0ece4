//! The documents say what is tested, and it is.

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

#[test]
fn every_heading_of_semantics_names_tests_that_exist() {
    let code = sources(&root().join("crates")) + &sources(&root().join("tests"));
    let semantics = fs::read_to_string(root().join("docs/SEMANTICS.md")).unwrap();
    for section in semantics.split("\n## ").skip(1) {
        let heading = section.lines().next().unwrap();
        let (_, named) = section.split_once("Tested by").unwrap_or_else(|| panic!("'{heading}' names no test"));
        let names: BTreeSet<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "'{heading}' names no test");
        for name in names {
            assert!(code.contains(&format!("fn {name}(")), "'{heading}' names the test {name}, which does not exist");
        }
    }
}
