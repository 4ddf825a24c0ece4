//! `run` when the terminal or the connection is closed: the program gets the signal, and its outputs are uploaded.

use std::process::Stdio;

use super::run::{sh, start, stored, wait_for};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

/// Writes an output, says so, and waits for a signal.
const WAITING: &str = r#"
trap 'echo "told $(date +%s)" > "$POS3_PATH_OUT/told"; exit 9' HUP QUIT
echo 1 > "$POS3_PATH_OUT/model"; echo ready
while :; do sleep 0.05; done
"#;

#[test]
fn a_hangup_or_a_quit_is_passed_on_and_the_outputs_are_uploaded_as_after_sigterm() {
    for (signal, name) in [("-HUP", "SIGHUP"), ("-QUIT", "SIGQUIT")] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/theirs", "x")]);
        let mut child = start(&cloud, &sh(&["--upload", "out=s3://data/out", "--sync-on-error"], WAITING));
        let _out = wait_for(&mut child, "ready");
        kill(signal, &child);
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert_eq!(ended.code, Some(9), "the program's own code: {ended:?}");
        assert!(ended.err.contains(&format!("the program ended with code 9, after {name}\n")), "{}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET), ["out/model", "out/theirs", "out/told"]);
    }
}

#[test]
fn a_program_that_a_hangup_ends_gives_129_and_a_quit_131() {
    for (signal, code) in [("-HUP", 129), ("-QUIT", 131)] {
        let cloud = Cloud::new(&[]);
        let script = r#"echo 1 > "$POS3_PATH_OUT/model"; echo ready; exec sleep 60"#;
        let mut child = start(&cloud, &sh(&["--upload", "out=s3://data/out", "--sync-on-error"], script));
        let _out = wait_for(&mut child, "ready");
        kill(signal, &child);
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(stored(&cloud, "out/model").unwrap(), "1\n");
    }
}

#[test]
fn a_hangup_is_ignored_under_nohup() {
    let cloud = Cloud::new(&[]);
    let script = r#"echo 1 > "$POS3_PATH_OUT/model"; echo ready; sleep 1"#;
    let line = sh(&["--upload", "out=s3://data/out"], script);
    let inner = cloud.command(&line);
    let mut command = std::process::Command::new("nohup");
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(inner.get_current_dir().unwrap());
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _out = wait_for(&mut child, "ready");
    kill("-HUP", &child);
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(stored(&cloud, "out/model").unwrap(), "1\n");
}

#[test]
fn a_hangup_that_follows_a_signal_is_not_a_second_one() {
    let cloud = Cloud::new(&[]);
    let script = r#"
trap 'sleep 0.5; echo 1 > "$POS3_PATH_OUT/last"; exit 3' TERM
trap '' HUP
echo ready
while :; do sleep 0.05; done
"#;
    let mut child = start(&cloud, &sh(&["--upload", "out=s3://data/out", "--sync-on-error"], script));
    let _out = wait_for(&mut child, "ready");
    kill("-TERM", &child);
    std::thread::sleep(std::time::Duration::from_millis(100));
    kill("-HUP", &child);
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(3), "the program was not killed: {ended:?}");
    assert_eq!(stored(&cloud, "out/last").unwrap(), "1\n");
}
