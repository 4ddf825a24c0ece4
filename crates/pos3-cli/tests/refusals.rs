use std::fs;

use crate::program::{Program, expected};

#[test]
fn what_is_dangerous_is_refused_before_anything_is_touched() {
    let program = Program::new().with(&[("from/a", "1"), ("to/x", "2"), ("empty/", ""), ("file", "3")]);
    let table: &[(&[&str], &str)] = &[
        (&["sync", "file", "to", "--delete"], "the source 'file' is a single file, not a directory"),
        (&["sync", "/dev/null", "to", "--delete"], "the source '/dev/null' is neither a directory nor a regular file"),
        (&["sync", "from", "file"], "the target 'file' is a file, not a directory"),
        (&["sync", "from", "from"], "the source 'from' and the target 'from' overlap"),
        (&["sync", "from", "from/sub"], "the source 'from' and the target 'from/sub' overlap"),
        (&["sync", "from", "."], "the source 'from' and the target '.' overlap"),
        (&["sync", "empty", "to", "--delete"], "the source is empty"),
        (&["sync", "from", "to", "--delete", "--max-delete", "0"], "1 of 1 file in the target would be deleted"),
    ];
    for (arguments, expected_text) in table {
        for dry_run in [&[][..], &["-n"][..]] {
            let arguments: Vec<&str> = arguments.iter().chain(dry_run).copied().collect();
            let ended = program.run(&arguments);
            assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{arguments:?} {ended:?}");
            assert!(ended.err.contains(expected_text), "{arguments:?}: {}", ended.err);
            assert!(ended.err.contains("hint: "), "{arguments:?}: {}", ended.err);
            assert_eq!(program.files("to"), expected(&[("x", "2")]), "{arguments:?}");
            assert_eq!(program.files("from"), expected(&[("a", "1")]), "{arguments:?}");
        }
    }
}

#[test]
fn a_source_directory_that_does_not_exist_is_code_one_in_every_command() {
    let program = Program::new().with(&[("to/x", "2")]);
    for arguments in [
        &["sync", "missing", "to", "--delete"][..],
        &["sync", "missing", "to", "-n"],
        &["plan", "missing", "to"],
        &["check", "missing", "to"],
        &["explain", "missing", "to", "x"],
        &["ls", "missing"],
        &["cleanup", "missing"],
    ] {
        let ended = program.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{arguments:?} {ended:?}");
        assert!(ended.err.contains("'missing' does not exist\nhint: "), "{arguments:?}: {}", ended.err);
    }
    assert_eq!(program.files("to"), expected(&[("x", "2")]));
}

#[test]
fn a_pattern_that_matches_a_directory_and_no_key_deletes_nothing_in_it() {
    let program = Program::new().with(&[("from/a", "1"), ("to/logs/x", "2"), ("to/e/old/y", "3"), ("to/gone", "4")]);
    for (pattern, key) in [("logs", "logs/x"), ("./logs", "logs/x"), ("*/old", "e/old/y")] {
        for command in [&["sync"][..], &["sync", "-n"], &["plan"]] {
            let ended = program.run(&[command, &["from", "to", "--delete", "--exclude", pattern]].concat());
            assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{command:?} {pattern} {ended:?}");
            let why = format!(
                "the exclude pattern '{pattern}' matches a directory and no key, and '{key}' in it would be deleted"
            );
            assert!(ended.err.contains(&why), "{}", ended.err);
            assert!(
                ended.err.contains(&format!(
                    "hint: to exclude the contents of the directory, write --exclude '{pattern}/*'; "
                )),
                "{}",
                ended.err
            );
            assert_eq!(program.files("to").len(), 3, "nothing was deleted, and nothing copied");
        }
    }
    let check = program.run(&["check", "from", "to", "--exclude", "logs"]);
    assert_eq!(check.code, Some(3), "a comparison deletes nothing: {check:?}");
    let done = program.run(&["sync", "from", "to", "--delete", "--exclude", "logs/*", "--exclude", "*/old/*"]);
    assert_eq!((done.code, done.err.contains("warning")), (Some(0), false), "{done:?}");
    assert_eq!(program.files("to"), expected(&[("a", "1"), ("e/old/y", "3"), ("logs/x", "2")]));
}

#[test]
fn a_pattern_that_matches_nothing_is_a_warning_where_something_may_be_deleted() {
    let program = Program::new().with(&[("from/a", "1"), ("from/logs/x", "2"), ("to/logs/x", "2")]);
    let sync = ["sync", "from", "to", "--exclude", "logs", "--exclude", "*.tmp", "--exclude", "a", "-n"];
    let told = program.run(&[&sync[..], &["--delete"]].concat());
    assert_eq!(told.code, Some(0), "nothing in the directory would be deleted: {told:?}");
    let warnings: Vec<&str> = told.err.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: the exclude pattern 'logs' matches a directory and no key: write 'logs/*' for its contents",
            "warning: the exclude pattern '*.tmp' matches nothing on either side",
        ]
    );
    assert!(!program.run(&sync).err.contains("warning"), "without --delete it is as with the AWS tools");
}

#[test]
fn a_line_that_decides_about_no_key_is_a_warning_where_something_may_be_deleted() {
    let program = Program::new().with(&[("from/a", "1"), ("to/a", "1"), ("list", "# kept\n*.tmp\na\nfloder/\n")]);
    let warning = "warning: lines of 'list' have no effect, because no key on either side matches them or other rules \
                   decide: line 2 ('*.tmp'), line 4 ('floder/')\n";
    for arguments in [
        &["sync", "from", "to", "--delete"][..],
        &["sync", "from", "to", "--delete", "-n"],
        &["plan", "from", "to", "--delete", "-o", "plan"],
        &["check", "from", "to"],
    ] {
        let ended = program.run(&[arguments, &["--exclude-from", "list"]].concat());
        assert_eq!(ended.code, Some(0), "{arguments:?} {ended:?}");
        assert_eq!(ended.err.matches(warning).count(), 1, "{arguments:?} {}", ended.err);
    }
    let without = program.run(&["sync", "from", "to", "--exclude-from", "list"]);
    assert!(!without.err.contains("have no effect"), "{}", without.err);
}

#[test]
fn a_line_that_names_a_directory_excludes_what_is_in_it() {
    for line in ["kept", "kept/", "/kept", "/kept/", "kept/*", "kept/**"] {
        let program = Program::new().with(&[("from/a", "1"), ("to/kept/x", "2"), ("list", line)]);
        let ended = program.run(&["sync", "from", "to", "--delete", "--exclude-from", "list"]);
        assert_eq!(ended.code, Some(0), "{line} {ended:?}");
        assert_eq!(program.files("to"), expected(&[("a", "1"), ("kept/x", "2")]), "{line}");
        assert!(!ended.err.contains("warning"), "{line} {}", ended.err);
    }
}

#[test]
fn a_link_does_not_hide_an_overlap() {
    let program = Program::new().with(&[("from/a", "1")]);
    std::os::unix::fs::symlink(program.path("from"), program.path("link")).unwrap();
    let ended = program.run(&["sync", "from", "link/inside"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_eq!(program.files("from"), expected(&[("a", "1")]));
}

#[test]
fn what_was_refused_can_be_allowed() {
    let program = Program::new().with(&[("empty/", ""), ("to/x", "2")]);
    let ended = program.run(&["sync", "empty", "to", "--delete", "--allow-empty"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(program.files("to"), expected(&[]));
}

#[test]
fn half_of_a_target_is_not_deleted_by_default() {
    let program = Program::new().with(&[("from/keep", "")]);
    for index in 0..20 {
        let path = program.path(&format!("to/old{index}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let refused = program.run(&["sync", "from", "to", "--delete"]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.err.contains("run it with --max-delete 20"), "{}", refused.err);
    assert_eq!(program.files("to").len(), 20);
    let allowed = program.run(&["sync", "from", "to", "--delete", "--max-delete", "20"]);
    assert_eq!(allowed.code, Some(0), "{allowed:?}");
    assert_eq!(program.files("to"), expected(&[("keep", "")]));
}

#[test]
fn missing_credentials_are_said_with_where_they_are_looked_for() {
    let program = Program::new().with(&[("from/a", "1")]);
    let ended = program.run(&["sync", "from", "s3://bucket/a"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    let places = "error: no S3 credentials found; looked at the environment (AWS_ACCESS_KEY_ID is not set), the AWS \
                  profile 'default' (nothing for it in ~/.aws: there is no home directory), a web identity (";
    assert!(ended.err.starts_with(places), "{}", ended.err);
    for place in ["a container (", "the instance's metadata (", "AWS_EC2_METADATA_DISABLED"] {
        assert!(ended.err.contains(place), "{place}: {}", ended.err);
    }
    assert!(
        ended.err.contains("\nhint: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"),
        "{}",
        ended.err
    );
}

#[test]
fn what_the_environment_says_of_s3_matters_only_to_s3() {
    let program = Program::new().with(&[("from/a", "1")]);
    let run = |to: &str| {
        let mut command = program.command(&["sync", "from", to]);
        crate::program::Ended::from(command.env("AWS_ACCESS_KEY_ID", "id").output().unwrap())
    };
    assert_eq!(run("to").code, Some(0));
    let half = run("s3://bucket");
    assert_eq!(half.code, Some(2));
    assert!(
        half.err.starts_with("error: AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not\nhint: set both"),
        "{}",
        half.err
    );
}
