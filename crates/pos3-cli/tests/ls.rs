use std::time::{Duration, SystemTime};

use crate::program::Program;

fn tree() -> Program {
    let program = Program::new().with(&[("d/a b", "one"), ("d/e/x", &"y".repeat(2048)), ("d/empty/", "")]);
    for name in ["d/a b", "d/e/x"] {
        let file = std::fs::File::options().write(true).open(program.path(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
    }
    program
}

#[test]
fn a_directory_is_listed_in_the_lines_of_aws() {
    let ended = tree().run(&["ls", "d"]);
    assert_eq!(
        (ended.code, ended.out.as_str(), ended.err.as_str()),
        (
            Some(0),
            "\
2023-11-14 22:13:20          3 a b
                           PRE e/
                           PRE empty/
",
            ""
        )
    );
}

#[test]
fn everything_below_is_listed_and_summed_up() {
    let ended = tree().run(&["ls", "d/", "--recursive", "--human-readable", "--summarize", "--exclude", "x"]);
    assert_eq!(ended.code, Some(2), "ls has no filters");
    let ended = tree().run(&["ls", "d/", "--recursive", "--human-readable", "--summarize"]);
    assert!(ended.out.contains("2023-11-14 22:13:20    2.0 KiB e/x\n"), "{}", ended.out);
    assert!(ended.out.ends_with("\nTotal Objects: 3\n   Total Size: 2.0 KiB\n"), "{}", ended.out);
}

#[test]
fn a_file_shows_itself() {
    let ended = tree().run(&["ls", "d/e/x"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "2023-11-14 22:13:20       2048 x\n"));
}

#[test]
fn nothing_found_is_code_one() {
    let missing = tree().run(&["ls", "missing"]);
    assert_eq!((missing.code, missing.out.as_str()), (Some(1), ""));
    assert!(missing.err.starts_with("error: 'missing' does not exist\n"), "{}", missing.err);
    let empty = tree().run(&["ls", "memory://m/x"]);
    assert_eq!((empty.code, empty.err.as_str()), (Some(1), "nothing was found at 'memory://m/x'\n"));
}

#[test]
fn json_is_one_object() {
    let ended = tree().run(&["ls", "d", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(ended.code, Some(0));
    assert_eq!((&object["version"], &object["command"]), (&1.into(), &"ls".into()));
    assert_eq!(
        object["entries"][0],
        serde_json::json!({"key": "a b", "kind": "file", "size": 3, "modified": "2023-11-14T22:13:20Z"})
    );
    assert_eq!(object["entries"][1]["kind"], "directory");
    let missing: serde_json::Value = serde_json::from_str(&tree().run(&["ls", "missing", "--json"]).out).unwrap();
    assert_eq!(missing["exit_code"], 1);
    assert_eq!(missing["error"]["message"], "'missing' does not exist");
}
