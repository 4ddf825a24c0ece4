//! Text from other sources reaches a terminal only escaped.

use std::fs;
use std::path::Path;

use crate::program::{Ended, Program};

/// Characters that a terminal obeys, that reorder a line, or that hide in it.
pub(crate) const HOSTILE: &str =
    "\u{1b}]0;x\u{7}\u{7f}\u{9b}2J\u{202e}\u{2066}\u{200e}\u{2028}\u{200b}\r\nerror: forged";

/// Checks that every line was begun by the program and none of it moves the cursor.
pub(crate) fn assert_plain(ended: &Ended, what: &str) {
    for text in [&ended.out, &ended.err] {
        let obeyed = text.chars().find(|c| *c != '\n' && pos3::is_deceptive(*c));
        assert_eq!(obeyed, None, "{what}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{what}: {text}");
    }
}

#[test]
fn arguments_are_repeated_in_a_form_that_does_nothing() {
    let program = Program::new().with(&[("from/a", "1")]);
    for arguments in [
        &[HOSTILE][..],
        &["sync", "from", "to", HOSTILE],
        &["sync", "from", &format!("--{HOSTILE}")],
        &["sync", "from", "to", "-j", HOSTILE],
        &["sync", "from", "to", "--exclude-from", HOSTILE],
        &["sync", "from", "to", "--exclude", &format!("../{HOSTILE}")],
        &["sync", HOSTILE, "to"],
        &["sync", &format!("s3://{HOSTILE}/x"), "to"],
        &["sync", "from", &format!("{HOSTILE}://x")],
        &["apply", HOSTILE],
        &["ls", HOSTILE],
        &["download", HOSTILE],
        &["run", "--", HOSTILE],
    ] {
        let ended = program.run(arguments);
        assert_ne!(ended.code, Some(0), "{arguments:?} {ended:?}");
        assert_plain(&ended, &format!("{arguments:?}"));
        assert!(ended.err.contains("\\u{1b}") && ended.err.contains("\\n"), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn names_of_files_do_nothing_on_a_terminal() {
    let name = HOSTILE.replace('/', "_");
    let program = Program::new().with(&[(&format!("from/{name}"), "1"), (&format!("to/old{name}"), "2")]);
    std::os::unix::fs::symlink("nowhere", program.path(&format!("from/link{name}"))).unwrap();
    for arguments in [
        &["sync", "from", "to", "--delete", "--max-delete", "100%", "-n"][..],
        &["sync", "from", "to", "--delete", "--max-delete", "100%", "-n", "--json"],
        &["plan", "from", "to", "--delete", "--max-delete", "100%"],
        &["check", "from", "to", "--all"],
        &["check", "from", "to", "--json"],
        &["ls", "from"],
        &["ls", "from", "-l"],
        &["ls", "from", "--json"],
        &["explain", "from", "to", &name],
        &["explain", "from", "to", &name, "--json"],
        &["sync", "from", "to", "-v", "--json"],
        &["sync", "from", "third", "-v"],
        &["manifest", "show", "from", "to"],
        &["manifest", "show", "from", "to", "--json"],
    ] {
        let ended = program.run(arguments);
        assert_plain(&ended, &format!("{arguments:?}"));
        assert!(format!("{ended:?}").contains("202e"), "{arguments:?} {ended:?}");
        if arguments.contains(&"--json") {
            assert!(ended.out.contains("\\u001b]0;x\\u0007\\u007f\\u009b2J\\u202e"), "{arguments:?}: {}", ended.out);
            let object: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
            assert!(object.to_string().contains('\u{202e}'), "programs read the exact name: {object}");
        }
    }
}

#[test]
fn a_plan_from_elsewhere_does_nothing_on_a_terminal() {
    let program = Program::new().with(&[("from/a", "1"), ("to/old", "2")]);
    let made = program.run(&["plan", "from", "to", "--delete", "--max-delete", "100%", "-o", "plan"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let hostile = serde_json::to_string(HOSTILE).unwrap();
    let plan = fs::read_to_string(program.path("plan")).unwrap();
    let forgeries = [
        plan.replace("\"warnings\":[]", &format!("\"warnings\":[{hostile}]")),
        plan.replace("\"key\":\"a\"", &format!("\"key\":{hostile}")),
        plan.replace(
            &format!("\"target\":\"{}", program.path("").display()),
            &format!("\"target\":\"/{}", &hostile[1..hostile.len() - 1]),
        ),
        plan.replace("pos3-plan", HOSTILE),
        plan.replace("\"action\":\"copy\"", &format!("\"action\":{hostile}")),
    ];
    for forged in forgeries {
        assert_ne!(forged, plan);
        fs::write(program.path("forged"), &forged).unwrap();
        for arguments in [&["apply", "forged", "-n"][..], &["apply", "forged", "-n", "--json"]] {
            let ended = program.run(arguments);
            assert_plain(&ended, &forged);
        }
    }
}

#[test]
fn passwords_in_urls_are_not_repeated() {
    let program = Program::new().with(&[("from/a", "1")]);
    for arguments in [
        &["sync", "from", "s3://b/d", "--no-sign-request", "--endpoint-url", "http://user:SECRET@127.0.0.1:1"][..],
        &["sync", "from", "s3://b/d", "--no-sign-request", "--endpoint-url", "user:SECRET@127.0.0.1:1"],
        &[
            "sync",
            "from",
            "s3://b/d",
            "--no-sign-request",
            "--endpoint-url",
            "http://user:SE/CRET@127.0.0.1:1",
            "--json",
        ],
        &["ls", "s3://b/d", "--no-sign-request", "--endpoint-url", "ftp://user:SECRET@127.0.0.1:1"],
        &["ls", "s3://key:SECRET@b/d", "--no-sign-request"],
        &["sync", "from", "S3://key:SECRET@b/d"],
        &["sync", "from", "https://key:SECRET@host/b"],
        &["download", "s3://key:SECRET@b/d"],
        &["sync", "from", "to", "http://user:SECRET@host"],
    ] {
        let ended = program.run(arguments);
        assert_ne!(ended.code, Some(0), "{ended:?}");
        assert!(!format!("{ended:?}").contains("SE"), "{arguments:?} {ended:?}");
    }
    let plan = program.run(&["plan", "from", "to", "--endpoint-url", "http://user:SECRET@127.0.0.1:1"]);
    assert!(plan.code == Some(0) && !plan.out.contains("SECRET") && plan.out.contains("***@127.0.0.1"), "{plan:?}");
}

/// Every file of the program that prints by itself, and so past the one writer that escapes.
#[test]
fn everything_is_printed_through_one_writer() {
    let mut printing = Vec::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    visit(&source, &mut |path, text| {
        if path.ends_with("output.rs") || path.ends_with("output/stdout.rs") {
            return;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        for printer in ["print!", "println!", "stdout()", "stderr()", "dbg!", ".print()"] {
            if code.contains(printer) {
                printing.push(format!("{}: {printer}", path.display()));
            }
        }
    });
    assert_eq!(printing, [""; 0]);
}

fn visit(directory: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { visit(&path, look) } else { look(&path, &fs::read_to_string(&path).unwrap()) }
    }
}

/// What was typed, or stands in a variable, with a password in a URL.
#[test]
fn no_message_repeats_a_password_wherever_it_was_given() {
    const URL: &str = "https://user:HIDDEN@127.0.0.1:1/x";
    const BUCKET: &str = "s3://KEY:HIDDEN@bucket/x";
    let program = Program::new().with(&[("from/a", "1"), ("to/", "")]);
    let program = &program;
    let hidden = |mut command: std::process::Command| {
        let ended = crate::program::Ended::from(command.output().unwrap());
        assert!(!format!("{ended:?}").contains("HIDDEN"), "{command:?} {ended:?}");
    };
    for url in [URL, BUCKET, "https://user:HID HIDDEN@h"] {
        for arguments in [
            &["apply", url][..],
            &["plan", "from", "to", "-o", url],
            &["sync", "from", "to", "--exclude-from", url],
            &["sync", "from", "to", "--exclude", url],
            &["sync", "from", "to", url],
            &["sync", "from", url],
            &["sync", "from", "to", "--backup-dir", url],
            &["sync", "from", "to", "--nope", url],
            &[
                "sync",
                "from",
                "s3://b",
                "--no-sign-request",
                "--endpoint-url",
                "http://127.0.0.1:x",
                "--ca-bundle",
                url,
            ],
            &["sync", "from", "s3://b", "--no-sign-request", "--endpoint-url", "http://127.0.0.1:x", "--region", url],
            &["sync", "from", "s3://b", "--profile", url],
            &["sync", "from", "s3://b", "--no-sign-request", "--endpoint-url", url],
            &["explain", "from", "to", url],
            &["ls", url],
            &["upload", "s3://b/x", "--no-sign-request", "--endpoint-url", "http://127.0.0.1:x", "--local", url],
            &["download", "s3://b/x", "--no-sign-request", "--endpoint-url", "http://127.0.0.1:x", "--local", url],
            &["run", "--upload", "o=./o", "--json-report", url, "--", "true"],
            &["run", "--upload", url, "--", "true"],
        ] {
            hidden(program.command(arguments));
            // A local path is data, which JSON has exactly.
            if !arguments.contains(&"--local") {
                hidden(program.command(&[&arguments[..1], &["--json"], &arguments[1..]].concat()));
            }
        }
    }
    let variables = [
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_CA_BUNDLE",
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_METADATA_SERVICE_TIMEOUT",
        "POS3_PROFILES_FILE",
        "POS3_STATE_DIR",
        "POS3_CACHE_ROOT",
    ];
    for variable in variables {
        for arguments in [&["ls", "s3://lab@b/x"][..], &["sync", "from", "s3://b/x", "-n"], &["sync", "from", "to"]] {
            let mut command = program.command(arguments);
            command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:x").env(variable, URL);
            hidden(command);
        }
    }
}
