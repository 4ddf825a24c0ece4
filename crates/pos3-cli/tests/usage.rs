use crate::program::Program;

#[test]
fn a_command_line_that_makes_no_sense_is_code_two_and_says_why() {
    let program = Program::new().with(&[("from/a", "1")]);
    let table: &[(&[&str], &str)] = &[
        (&[], "Usage: pos3-cli <COMMAND>"),
        (&["mirror"], "unrecognized subcommand 'mirror'"),
        (&["sync", "from"], "<TARGET>"),
        (&["sync", "from", "S3://b/k"], "schemes are lower case: write 's3://b/k'"),
        (&["sync", "from", "s3:/b/k"], "write 's3://b/k', or './s3:/b/k' if it is a path"),
        (&["sync", "from", "s3://"], "names no bucket"),
        (&["sync", "s3://@b", "to"], "names no profile before the '@'"),
        (&["sync", "from", "gs://b"], "unknown scheme 'gs'; the known schemes are file, memory, s3"),
        (&["sync", "from", "memory://p@m"], "there is no profile 'p'"),
        (&["sync", "from", "to", "--size-only", "--checksum"], "cannot be used with"),
        (&["sync", "from", "to", "-q", "-v"], "cannot be used with"),
        (&["sync", "from", "to", "--max-delete", "200%"], "a share from 0% to 100%"),
        (&["sync", "from", "to", "--exclude", "a[b"], "the pattern 'a[b' cannot be used"),
        (&["sync", "from", "to", "--exclude-from", "missing"], "cannot read 'missing'"),
        (&["sync", "from", "to", "-j", "0"], "a number from 1 to 10000"),
    ];
    for (arguments, expected) in table {
        let ended = program.run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?} {ended:?}");
        assert_eq!(ended.out, "", "{arguments:?}");
        assert!(ended.err.contains(expected), "{arguments:?}: {}", ended.err);
        assert!(!program.path("to").exists(), "{arguments:?}");
    }
}

#[test]
fn a_pattern_that_can_match_nothing_is_a_usage_error_in_every_command() {
    let program = Program::new().with(&[("from/a", "1"), ("to/a", "1"), ("to/folder/x", "2"), ("lines", "./folder\n")]);
    let commands: [&[&str]; 4] = [
        &["sync", "from", "to", "--delete"],
        &["plan", "from", "to", "--delete"],
        &["check", "from", "to"],
        &["explain", "from", "to", "folder/x", "--delete"],
    ];
    for command in commands {
        for option in ["--exclude", "--include"] {
            for (pattern, why) in
                [("", "it is empty"), ("  ", "it is blank"), ("a//b", "empty"), ("../folder/", "'..'")]
            {
                let ended = program.run(&[command, &[option, pattern]].concat());
                assert_eq!(
                    (ended.code, ended.out.as_str()),
                    (Some(2), ""),
                    "{command:?} {option} {pattern:?} {ended:?}"
                );
                assert!(ended.err.contains(why) && ended.err.contains(option), "{pattern:?}: {}", ended.err);
            }
        }
        for (file, why) in [
            ("lines", "'lines': line 1: the pattern './folder' cannot be used"),
            ("", "a value is required for '--exclude-from"),
        ] {
            let ended = program.run(&[command, &["--exclude-from", file]].concat());
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{command:?} {ended:?}");
            assert!(ended.err.contains(why), "{}", ended.err);
        }
    }
    assert_eq!(program.files("to").len(), 2);
}

#[test]
fn help_teaches_and_goes_to_stdout() {
    let program = Program::new();
    let help = program.run(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    for taught in ["pos3-cli sync ./data s3://bucket/data", "Exit codes:", "AWS_ENDPOINT_URL_S3", "refused for safety"]
    {
        assert!(help.out.contains(taught), "{taught}: {}", help.out);
    }
    let sync = program.run(&["sync", "--help"]);
    for taught in ["--delete", "--exclude <PATTERN>", "--dry-run", "the last match wins", "Examples:"] {
        assert!(sync.out.contains(taught), "{taught}: {}", sync.out);
    }
    for (command, taught) in [
        ("download", &["data=$(pos3-cli download", "--cache-root <DIR>", "--limit <RATE>", "--no-manifest"][..]),
        ("upload", &["--max-delete <N|P%>", "a file, as dir/a.bin", "--profile <NAME>"]),
        (
            "run",
            &[
                "POS3_PATH_DATA",
                "--sync-on-error",
                "--json-report <FILE>",
                "the exit code of the program",
                "rename them",
            ],
        ),
    ] {
        let help = program.run(&[command, "--help"]);
        assert_eq!(help.code, Some(0));
        taught.iter().for_each(|taught| assert!(help.out.contains(taught), "{taught}: {}", help.out));
    }
    assert!(program.run(&["--version"]).out.starts_with("pos3-cli 0."));
}

#[test]
fn help_fits_80_columns_and_has_an_example_for_every_command() {
    let program = Program::new();
    let commands = ["sync", "plan", "apply", "check", "explain", "download", "upload", "run", "ls", "cleanup"];
    let subcommands = ["", "manifest", "manifest show", "manifest forget"];
    for command in commands.into_iter().chain(subcommands) {
        let help = program.run(&command.split_whitespace().chain(["--help"]).collect::<Vec<_>>());
        assert_eq!(help.code, Some(0), "{command}");
        let too_wide: Vec<_> = help.out.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(too_wide.is_empty(), "{command}: {too_wide:#?}");
        assert!(help.out.contains("\nExamples:\n"), "{command}: {}", help.out);
        assert!(command.is_empty() || help.out.contains(&format!("pos3-cli {command} ")), "{command}: {}", help.out);
    }
}

#[test]
fn a_url_in_the_place_of_a_local_path_is_a_usage_error() {
    let program = Program::new().with(&[("from/a", "1")]);
    let table: &[&[&str]] = &[
        &["download", "s3://b/k", "--local"],
        &["upload", "s3://b/k", "--local"],
        &["download", "s3://b/k", "--cache-root"],
        &["run", "--upload", "o=s3://b/k", "--cache-root", "URL", "--", "true"],
        &["run", "--upload", "o=s3://b/k", "--json-report", "URL", "--", "true"],
        &["plan", "from", "s3://b/k", "-o"],
        &["plan", "from", "to", "--exclude-from"],
        &["sync", "from", "to", "--exclude-from"],
        &["sync", "from", "to", "--ca-bundle"],
        &["ls", "from", "--ca-bundle"],
        &["apply"],
    ];
    for arguments in table {
        for url in
            ["s3://bucket/x", "S3://bucket/x", "s3:/bucket/x", "s3://KEY:SECRET@bucket/x", "https://u:SECRET@h/x"]
        {
            let mut arguments = arguments.to_vec();
            match arguments.iter_mut().find(|argument| **argument == "URL") {
                Some(place) => *place = url,
                None => arguments.push(url),
            }
            let ended = program.run(&arguments);
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?} {ended:?}");
            assert!(
                ended.err.contains("give a path on this machine, not a URL; write './'"),
                "{arguments:?} {ended:?}"
            );
            assert!(!ended.err.contains("SECRET"), "{arguments:?} {ended:?}");
        }
    }
    let cache =
        program.command(&["download", "s3://b/k"]).env("POS3_CACHE_ROOT", "s3://KEY:SECRET@b").output().unwrap();
    let cache = crate::program::Ended::from(cache);
    assert_eq!(cache.code, Some(2), "{cache:?}");
    assert!(cache.err.contains("--cache-root") && !cache.err.contains("SECRET"), "{cache:?}");
    let names = std::fs::read_dir(program.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name != "from" && name != ".state").count(), 0, "nothing was made");
    let meant = program.run(&["plan", "from", "to", "-o", "./s3:plan"]);
    assert_eq!((meant.code, program.path("s3:plan").exists()), (Some(0), true), "{meant:?}");
}

#[test]
fn a_command_line_that_makes_no_sense_is_one_object_where_json_was_asked_for() {
    let program = Program::new().with(&[("from/a", "1")]);
    for (arguments, command, message) in [
        (
            &["sync", "from", "--json"][..],
            "sync".into(),
            "the following required arguments were not provided: <TARGET>",
        ),
        (&["sync", "--json", "from", "S3://b"], "sync".into(), "invalid value 'S3://b' for '<TARGET>'"),
        (&["ls", "--json", "from", "--nope"], "ls".into(), "unexpected argument '--nope' found"),
        (&["mirror", "--json"], serde_json::Value::Null, "unrecognized subcommand 'mirror'"),
        (&["sync", "from", "to", "--exclude-from", "missing", "--json"], "sync".into(), "cannot read 'missing'"),
        (&["plan", "from", "to", "--json"], "plan".into(), "with --json the plan cannot go to stdout too"),
        (&["manifest", "--json"], "manifest".into(), ""),
    ] {
        let ended = program.run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?} {ended:?}");
        let object: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!((&object["exit_code"], &object["command"]), (&2.into(), &command), "{object}");
        assert!(object["error"]["message"].as_str().unwrap().starts_with(message), "{object}");
        assert!(!ended.err.is_empty());
    }
    let program_of_others = program.run(&["run", "--nope", "--", "tool", "--json"]);
    assert_eq!((program_of_others.code, program_of_others.out.as_str()), (Some(2), ""));
}

#[test]
fn help_can_be_asked_for_in_every_usual_way() {
    let program = Program::new();
    for (asked, usual) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "sync"], &["sync", "--help"]),
        (&["help", "manifest", "show"], &["manifest", "show", "--help"]),
    ] {
        let ended = program.run(asked);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{asked:?}");
        assert_eq!(ended.out, program.run(usual).out, "{asked:?}");
    }
}

#[test]
fn a_number_out_of_range_is_a_value_and_said_to_be_wrong() {
    let program = Program::new().with(&[("from/a", "1")]);
    for (arguments, why) in [
        (&["run", "--upload", "o=./o", "--interval", "-1", "--", "true"][..], "a number of seconds between 0 and 1e19"),
        (&["run", "--upload", "o=./o", "--interval", "1e30", "--", "true"], "a number of seconds between 0 and 1e19"),
        (&["run", "--upload", "o=./o", "--grace", "-1", "--", "true"], "a number of seconds between 0 and 1e19"),
        (&["sync", "from", "to", "--lock-wait", "-1"], "a whole number of seconds, 0 or more"),
        (&["sync", "from", "to", "-j", "-1"], "a number from 1 to 10000"),
        (&["sync", "from", "to", "--max-delete", "-1"], "a number of files, or a share"),
        (&["cleanup", "from", "--older-than", "-1"], "a number and a unit"),
        (&["download", "s3://b/x", "--limit", "-1"], "a positive number of bytes per second"),
    ] {
        let ended = program.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?} {ended:?}");
        assert!(ended.err.contains(why) && !ended.err.contains("tip:"), "{arguments:?}: {}", ended.err);
    }
}
