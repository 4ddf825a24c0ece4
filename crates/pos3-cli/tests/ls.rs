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

/// Returns names of the working directory as absolute paths, one a line.
fn paths(program: &Program, names: &[&str]) -> String {
    let root = std::fs::canonicalize(program.path(".")).unwrap();
    names.iter().map(|name| format!("{}/{name}\n", root.display())).collect()
}

#[test]
fn a_directory_is_listed_as_absolute_paths() {
    let program = tree();
    for (line, names) in [
        (&["ls", "d"][..], &["d/a b", "d/e/", "d/empty/"][..]),
        (&["ls", "d/", "-r"], &["d/a b", "d/e/", "d/e/x", "d/empty/"]),
        (&["ls", "./d/e/../e"], &["d/e/x"]),
        (&["ls", "d/e/x"], &["d/e/x"]),
        (&["ls", "d/empty"], &[]),
    ] {
        let ended = program.run(line);
        assert_eq!((ended.code, ended.out, ended.err.as_str()), (Some(0), paths(&program, names), ""), "{line:?}");
    }
    // Each line is a location: what it names is found again.
    for line in program.run(&["ls", "d", "--recursive"]).out.lines() {
        assert_eq!(program.run(&["ls", line]).code, Some(0), "{line}");
    }
}

#[test]
fn a_long_listing_has_the_lines_of_aws() {
    for long in ["-l", "--long"] {
        let ended = tree().run(&["ls", "d", long]);
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
    let one = tree().run(&["ls", "d/e/x", "-l"]);
    assert_eq!((one.code, one.out.as_str()), (Some(0), "2023-11-14 22:13:20       2048 x\n"));
}

#[test]
fn everything_below_is_listed_and_summed_up() {
    let ended = tree().run(&["ls", "d/", "--recursive", "--human-readable", "--summarize", "--exclude", "x"]);
    assert_eq!(ended.code, Some(2), "ls has no filters");
    let ended = tree().run(&["ls", "d/", "--recursive", "--human-readable", "--summarize"]);
    assert!(ended.out.contains("2023-11-14 22:13:20    2.0 KiB e/x\n"), "{}", ended.out);
    assert!(ended.out.ends_with("\nTotal Objects: 3\n   Total Size: 2.0 KiB\n"), "{}", ended.out);
    let program = tree();
    let ended = program.run(&["ls", "d", "--summarize"]);
    let listed = paths(&program, &["d/a b", "d/e/", "d/empty/"]);
    assert_eq!(ended.out, format!("{listed}\nTotal Objects: 1\n   Total Size: 3\n"));
}

#[test]
fn what_is_not_there_is_code_one_and_a_line_on_stderr() {
    for line in [&["ls", "missing"][..], &["ls", "missing", "-rl", "--summarize"]] {
        let ended = tree().run(line);
        let said = "pos3-cli ls: 'missing' does not exist\nhint: check the spelling, and that the disk is mounted\n";
        assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(1), "", said), "{line:?}");
    }
    for line in [&["ls", "memory://m/x"][..], &["ls", "memory://m/x/", "--summarize"]] {
        let ended = tree().run(line);
        let said = format!("pos3-cli ls: there is nothing at '{}'\n", line[1]);
        assert_eq!((ended.code, ended.out.as_str(), ended.err), (Some(1), "", said), "{line:?}");
    }
    assert_eq!(tree().run(&["ls", "memory://m"]).code, Some(0), "what is empty is there");
}

#[test]
fn a_line_is_one_item_whatever_its_name() {
    let program = Program::new().with(&[("d/two\nlines", "1")]);
    let ended = program.run(&["ls", "d"]);
    assert_eq!((ended.code, ended.out), (Some(0), paths(&program, &["d/two\\nlines"])));
    let object: serde_json::Value = serde_json::from_str(&program.run(&["ls", "d", "--json"]).out).unwrap();
    let exact = object["entries"][0]["location"].as_str().unwrap();
    assert_eq!(format!("{exact}\n"), paths(&program, &["d/two\nlines"]));
    assert_eq!(program.run(&["ls", exact]).code, Some(0));
}

#[test]
fn json_is_one_object() {
    let program = tree();
    let ended = program.run(&["ls", "d", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(ended.code, Some(0));
    assert_eq!((&object["version"], &object["command"]), (&1.into(), &"ls".into()));
    assert_eq!(
        object["entries"][0],
        serde_json::json!({
            "key": "a b",
            "location": paths(&program, &["d/a b"]).trim(),
            "kind": "file",
            "size": 3,
            "modified": "2023-11-14T22:13:20Z"
        })
    );
    assert_eq!(object["entries"][1]["kind"], "directory");
    let missing: serde_json::Value = serde_json::from_str(&tree().run(&["ls", "missing", "--json"]).out).unwrap();
    assert_eq!(missing["exit_code"], 1);
    assert_eq!(missing["error"]["message"], "'missing' does not exist");
    let nothing: serde_json::Value = serde_json::from_str(&tree().run(&["ls", "memory://m/x", "--json"]).out).unwrap();
    assert_eq!(nothing["error"]["message"], "there is nothing at 'memory://m/x'");
}
