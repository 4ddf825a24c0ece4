use std::process::Stdio;

use crate::program::Program;

/// Returns the object with what differs from run to run taken out.
fn stable(out: &str) -> serde_json::Value {
    let mut object: serde_json::Value = serde_json::from_str(out).unwrap();
    if let Some(elapsed) = object.get_mut("elapsed_seconds") {
        assert!(elapsed.is_f64());
        *elapsed = serde_json::Value::Null;
    }
    object
}

#[test]
fn json_is_one_object_with_everything() {
    let program = Program::new().with(&[("from/a", "one"), ("to/old", "x")]);
    let ended = program.run(&["sync", "from", "to", "--json"]);
    assert_eq!(ended.code, Some(0));
    let expected = serde_json::json!({
        "version": 1, "command": "sync", "source": "from", "target": "to", "dry_run": false, "exit_code": 0,
        "error": null, "source_entries": 1, "target_files": 1, "unchanged": 0, "copied": {"files": 1, "bytes": 3},
        "unverified": 0, "deleted": 0, "withheld_deletes": 0, "extra": 1, "skipped": [], "failed": [], "warnings": [],
        "elapsed_seconds": null, "requests": {},
    });
    assert_eq!(stable(&ended.out), expected);
}

#[test]
fn json_of_a_dry_run_has_the_plan() {
    let program = Program::new().with(&[("from/a", "one"), ("to/old", "x")]);
    std::os::unix::fs::symlink("a", program.path("from/link")).unwrap();
    let ended = program.run(&["sync", "from", "to", "--json", "-n", "--delete"]);
    let object = stable(&ended.out);
    assert_eq!(ended.code, Some(0));
    assert_eq!(object["dry_run"], true);
    assert_eq!(
        object["plan"],
        serde_json::json!([
            {"action": "copy", "key": "a", "bytes": 3, "reason": "new"},
            {"action": "skip", "key": "link", "reason": "it is a symbolic link"},
            {"action": "delete", "key": "old"},
        ])
    );
    assert_eq!(
        object["skipped"],
        serde_json::json!([{"key": "link", "reason": "it is a symbolic link", "by_policy": true}])
    );
}

#[test]
fn json_says_why_nothing_was_begun() {
    let program = Program::new().with(&[("empty/", ""), ("to/x", "")]);
    let missing = program.run(&["sync", "missing", "to", "--json"]);
    assert_eq!(missing.code, Some(1));
    let object = stable(&missing.out);
    assert_eq!((&object["exit_code"], &object["version"]), (&1.into(), &1.into()));
    assert_eq!(object["error"]["message"], "the source 'missing' does not exist");

    let refused = stable(&program.run(&["sync", "empty", "to", "--json", "--delete"]).out);
    assert_eq!(refused["exit_code"], 4);
    assert_eq!(refused["error"]["hint"], "if the source is meant to be empty, add --allow-empty");
    assert_eq!(refused["deleted"], 0);
}

#[test]
fn quiet_says_nothing_unless_something_is_wrong() {
    let program = Program::new().with(&[("from/a", "1")]);
    let good = program.run(&["sync", "from", "to", "-q"]);
    assert_eq!((good.code, good.out.as_str(), good.err.as_str()), (Some(0), "", ""));
    let bad = program.run(&["sync", "missing", "to", "-q"]);
    assert!(bad.err.starts_with("error: the source 'missing' does not exist\n"), "{}", bad.err);
}

#[test]
fn a_closed_stdout_is_no_panic() {
    let program = Program::new();
    for index in 0..3000 {
        let path = program.path(&format!("from/{index}-{}", "x".repeat(60)));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    for arguments in
        [&["sync", "from", "to", "-n"][..], &["ls", "from"], &["sync", "from", "to", "-n", "--json"], &["--help"]]
    {
        let mut child = program.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = crate::program::Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{arguments:?} {ended:?}");
        assert!(!ended.err.contains("panicked"), "{arguments:?} {}", ended.err);
    }
}

#[test]
fn the_text_of_an_error_in_json_is_the_line_on_stderr() {
    let program = Program::new();
    for name in ["two\nlines\u{1b}[2K", "It's \\ \"this\"", "plain"] {
        let ended = program.run(&["sync", name, "to", "--json"]);
        let object: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        let message = object["error"]["message"].as_str().unwrap();
        assert!(ended.err.starts_with(&format!("error: {message}\n")), "{message}: {}", ended.err);
        assert_eq!(object["source"], *name, "what is no text for people is exact");
    }
}
