//! `run`: signals that arrive twice, signals that do not end a run, and processes that outlive the program or pos3.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::run::{run, sh, start, stored, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

const KEPT: [&str; 3] = ["--upload", "out=s3://data/out", "--sync-on-error"];

/// Saves a checkpoint when SIGTERM comes, which takes a moment.
const SAVES: &str = r#"trap 'sleep 0.3; echo saved > "$POS3_PATH_OUT/final"; exit 0' TERM
    echo ready; while :; do sleep 0.05; done"#;

/// Ends a program by the signals that `send` sends to the process of the command line.
fn ended_by(cloud: &Cloud, script: &str, send: impl Fn(&Child)) -> Ended {
    let mut child = start(cloud, &sh(&KEPT, script));
    let out = wait_for(&mut child, "ready");
    send(&child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    drop(out);
    ended
}

#[test]
fn a_signal_that_arrives_twice_at_once_is_one_signal() {
    for gap in [0, 1, 10] {
        let cloud = Cloud::new(&[]);
        let ended = ended_by(&cloud, SAVES, |child| {
            let twice = format!("kill -TERM {0}; sleep 0.{gap:03}; kill -TERM {0}", child.id());
            assert!(Command::new("sh").args(["-c", &twice]).status().unwrap().success());
        });
        assert_eq!(ended.code, Some(0), "{gap} ms: {ended:?}");
        assert_eq!(stored(&cloud, "out/final").as_deref(), Some("saved\n"), "{gap} ms: {ended:?}");
    }
}

#[test]
fn the_command_timeout_sends_one_signal() {
    let cloud = Cloud::new(&[]);
    let line = cloud.command(&sh(&KEPT, SAVES));
    let mut command = Command::new("timeout");
    command.arg("1").arg(line.get_program()).args(line.get_args()).current_dir(cloud.program.path("."));
    command.env_clear().envs(line.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").stdout(Stdio::null());
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(124), "{ended:?}");
    assert_eq!(stored(&cloud, "out/final").as_deref(), Some("saved\n"), "{ended:?}");
}

#[test]
fn sigusr1_and_sigusr2_are_passed_on_and_the_program_goes_on() {
    let cloud = Cloud::new(&[]);
    let script = r#"trap 'echo 1 >> "$POS3_PATH_OUT/notices"' USR1; trap 'echo 2 >> "$POS3_PATH_OUT/notices"; exit 0' USR2
        echo ready; while :; do sleep 0.05; done"#;
    let ended = ended_by(&cloud, script, |child| {
        kill("-USR1", child);
        let local = cloud.program.path("cache/_/data/out/notices");
        wait_until("SIGUSR1 is not passed on", || local.exists());
        kill("-USR2", child);
    });
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(stored(&cloud, "out/notices").as_deref(), Some("1\n2\n"));
}

#[test]
fn the_signals_of_timers_and_of_the_cpu_limit_end_the_run_as_sigterm_does() {
    for signal in ["-ALRM", "-VTALRM", "-PROF", "-XCPU"] {
        let cloud = Cloud::new(&[]);
        let ended = ended_by(&cloud, SAVES, |child| kill(signal, child));
        assert_eq!(ended.code, Some(0), "{signal}: {ended:?}");
        assert_eq!(stored(&cloud, "out/final").as_deref(), Some("saved\n"), "{signal}: {ended:?}");
    }
}

#[test]
fn a_file_beyond_the_limit_of_sizes_is_a_named_failure_and_no_signal() {
    let cloud = Cloud::new(&[]);
    cloud.server.put(BUCKET, "in/large", vec![b'x'; 300_000]);
    let line = cloud.command(&["download", "s3://data/in"]);
    let mut command = Command::new("sh");
    // The unit of `ulimit -f` is 512 bytes.
    command.args(["-c", r#"ulimit -f 200; exec "$@""#, "sh"]).arg(line.get_program()).args(line.get_args());
    command.current_dir(cloud.program.path("."));
    command.env_clear().envs(line.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("File too large"), "{}", ended.err);
    assert!(ended.err.contains("hint: raise the limit of file sizes (ulimit -f)"), "{}", ended.err);
}

#[test]
fn a_program_has_the_usual_action_of_the_limit_of_file_sizes() {
    let cloud = Cloud::new(&[]);
    let ended = run(&cloud, &sh(&["--upload", "out=s3://data/out"], "kill -XFSZ $$; echo alive"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(153), ""), "{ended:?}");
}

#[test]
fn what_the_group_of_the_program_still_writes_after_a_signal_is_uploaded() {
    let cloud = Cloud::new(&[]);
    // The program ends at once; what it started saves a second later.
    let script = r#"trap 'exit 0' TERM
        (trap 'sleep 1; echo saved > "$POS3_PATH_OUT/final"; exit' TERM; echo ready; while :; do sleep 0.05; done) &
        while :; do sleep 0.05; done"#;
    let ended = ended_by(&cloud, script, |child| kill("-TERM", child));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(stored(&cloud, "out/final").as_deref(), Some("saved\n"), "{ended:?}");
}

#[test]
fn a_group_that_does_not_end_after_a_signal_is_killed_when_the_grace_is_over() {
    let cloud = Cloud::new(&[]);
    let script = r#"trap 'exit 0' TERM; (trap '' TERM; echo ready; exec sleep 600) & while :; do sleep 0.05; done"#;
    let mut child = start(&cloud, &sh(&[&KEPT[..], &["--grace", "0.5"]].concat(), script));
    let _out = wait_for(&mut child, "ready");
    kill("-TERM", &child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("what the program started did not end in time and is killed\n"), "{}", ended.err);
}

#[test]
fn a_program_ends_with_the_command_line_that_is_killed() {
    let cloud = Cloud::new(&[]);
    let script = r#"trap 'echo ended; exit' TERM; echo ready; while :; do sleep 0.05; done"#;
    let mut child = start(&cloud, &sh(&KEPT, script));
    let mut out: BufReader<_> = wait_for(&mut child, "ready");
    std::thread::sleep(Duration::from_millis(100));
    kill("-KILL", &child);
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ended\n");
    child.wait().unwrap();
}
