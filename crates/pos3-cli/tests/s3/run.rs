//! `run`: a real program, real signals, and what is in S3 afterwards.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pos3_tests::server::{Answer, Fault, Operation};
use serde_json::Value;

use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

/// Writes checkpoints of equal size under another name, renames them, and says so.
const TRAIN: &str = r#"
step=0
[ -f "$POS3_PATH_CKPT/model" ] && step=$(sed -n '1s/^step 0*//p' "$POS3_PATH_CKPT/model") && echo "resumed $step"
while :; do
  step=$((step + 1))
  line=$(printf 'step %07d' $step)
  { yes "$line" | head -n 2000; echo "end of $line"; } > "$POS3_PATH_CKPT/model.tmp"
  mv "$POS3_PATH_CKPT/model.tmp" "$POS3_PATH_CKPT/model"
  echo "written $step"
  sleep 0.05
done
"#;

/// Returns the step of a checkpoint that is whole.
fn step(checkpoint: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(checkpoint).ok()?;
    let first = text.lines().next()?;
    let is_whole = text.lines().count() == 2001
        && text.lines().take(2000).all(|line| line == first)
        && text.lines().last() == Some(&format!("end of {first}"));
    first.strip_prefix("step ")?.parse().ok().filter(|_| is_whole)
}

pub(crate) fn sh<'a>(places: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [&["run"], places, &["--", "sh", "-c", script]].concat()
}

pub(crate) fn start(cloud: &Cloud, line: &[&str]) -> Child {
    let mut command = cloud.command(line);
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn run(cloud: &Cloud, line: &[&str]) -> Ended {
    start(cloud, line).wait_with_output().unwrap().into()
}

/// Waits for a line of the program's output.
pub(crate) fn wait_for(child: &mut Child, line: &str) -> BufReader<std::process::ChildStdout> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.trim_end() != line {
        text.clear();
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "'{line}' never came");
    }
    out
}

pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn stored(cloud: &Cloud, key: &str) -> Option<String> {
    let object = cloud.server.object(BUCKET, key)?;
    Some(String::from_utf8_lossy(&object.bytes).into_owned())
}

#[test]
fn a_program_finds_its_inputs_and_its_outputs_are_uploaded() {
    let cloud = Cloud::new(&[]).with_objects(&[("in/a", "b\na\n"), ("run/ckpt", "1"), ("out/theirs", "x")]);
    let script = r#"sort "$POS3_PATH_DATA/a" > "$POS3_PATH_OUT/sorted"; cat "$POS3_PATH_CKPT/ckpt"; echo 2 > "$POS3_PATH_CKPT/ckpt""#;
    let places = ["--download", "data=s3://data/in", "--upload", "out=s3://data/out", "--sync", "ckpt=s3://data/run"];
    let ended = run(&cloud, &sh(&places, script));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "1"), "{ended:?}");
    let told = [
        "data: 1 file (4 B) fetched from s3://data/in, 0 here already",
        "ckpt: 1 file (1 B) fetched from s3://data/run, 0 here already",
        "pos3-cli run: the program succeeded",
        "out: complete in s3://data/out: 1 file there; 1 upload (4 B), 1 at the end",
        "ckpt: complete in s3://data/run: 1 file there; 1 upload (2 B), 1 at the end",
    ];
    assert_eq!(ended.err.lines().collect::<Vec<_>>(), told);
    assert_eq!(stored(&cloud, "out/sorted").unwrap(), "a\nb\n");
    assert_eq!(stored(&cloud, "run/ckpt").unwrap(), "2\n");
    assert_eq!(cloud.server.keys(BUCKET), ["in/a", "out/sorted", "out/theirs", "run/ckpt"]);
    let quiet = run(&cloud, &sh(&["-q", "--upload", "out=s3://data/out"], "exit 0"));
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""));
}

#[test]
fn a_path_is_used_where_it_is() {
    let cloud = Cloud::new(&[("here/a", "1")]);
    let places = ["--download", "in=here", "--upload", "out=there"];
    let ended = run(&cloud, &sh(&places, r#"cp "$POS3_PATH_IN/a" "$POS3_PATH_OUT/b""#));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(fs::read_to_string(cloud.program.path("there/b")).unwrap(), "1");
    assert_eq!(cloud.server.requests().iter().count(), 0);
}

#[test]
fn a_program_that_fails_uploads_only_what_was_asked_for_and_gives_its_code() {
    let script = r#"echo new > "$POS3_PATH_OUT/new"; rm "$POS3_PATH_OUT/old"; exit 7"#;
    for on_error in [false, true] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/old", "x")]);
        let mut places = vec!["--sync", "out=s3://data/out", "--delete-remote", "--json-report", "report.json"];
        places.extend(on_error.then_some("--sync-on-error"));
        let ended = run(&cloud, &sh(&places, script));
        assert_eq!((ended.code, ended.out.as_str()), (Some(7), ""), "{ended:?}");
        let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report.json")).unwrap()).unwrap();
        assert_eq!((&report["exit_code"], &report["program"]["code"]), (&7.into(), &7.into()), "{report}");
        assert_eq!((&report["version"], &report["complete"]), (&1.into(), &on_error.into()), "{report}");
        if on_error {
            assert_eq!(cloud.server.keys(BUCKET), ["out/new", "out/old"], "nothing is deleted then");
        } else {
            assert_eq!(cloud.server.keys(BUCKET), ["out/old"]);
            assert!(
                ended.err.contains("out: not uploaded to s3://data/out at the end (--sync-on-error was not given)")
            );
        }
    }
}

#[test]
fn a_program_that_succeeds_deletes_what_it_removed_only_when_asked() {
    for (more, left) in [(None, &["out/kept", "out/old"][..]), (Some("--delete-remote"), &["out/kept"])] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/kept", "x"), ("out/old", "x")]);
        let mut places = vec!["--sync", "out=s3://data/out"];
        places.extend(more);
        let ended = run(&cloud, &sh(&places, r#"rm "$POS3_PATH_OUT/old""#));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(cloud.server.keys(BUCKET), left, "{more:?}");
    }
}

#[test]
fn a_program_that_is_killed_gives_128_and_the_signal() {
    let cloud = Cloud::new(&[]);
    let ended = run(&cloud, &sh(&["--upload", "out=s3://data/out"], "kill -KILL $$"));
    assert_eq!(ended.code, Some(137), "{ended:?}");
    assert!(ended.err.starts_with("pos3-cli run: the program was ended by signal 9\n"), "{}", ended.err);
}

#[test]
fn what_cannot_be_run_is_127_or_126_before_anything_is_fetched_or_uploaded() {
    let cloud = Cloud::new(&[("no-program", "x"), ("cache/_/data/out/left", "x")]).with_objects(&[("in/a", "1")]);
    let places = ["--download", "in=s3://data/in", "--upload", "out=s3://data/out", "--sync-on-error"];
    for (program, code, said) in [
        ("no-such-program-anywhere", 127, "there is no program 'no-such-program-anywhere'"),
        ("./missing", 127, "there is no program './missing'"),
        ("./no-program", 126, "'./no-program' cannot be executed: permission denied"),
    ] {
        let ended = run(&cloud, &[&["run"], &places[..], &["--", program]].concat());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(ended.err, format!("pos3-cli run: {said}\n"));
    }
    for (line, said) in [
        ("#!/nonexistent/py -u\n", "its interpreter is '/nonexistent/py', which does not exist"),
        ("#! /nonexistent/py", "its interpreter is '/nonexistent/py', which does not exist"),
        ("#!/bin/sh\r\n", "its interpreter is '/bin/sh', followed by a carriage return, and there is no such file"),
    ] {
        let script = cloud.program.path("script");
        fs::write(&script, line).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let ended = run(&cloud, &[&["run"], &places[..], &["--", "./script"]].concat());
        assert_eq!(ended.code, Some(127), "{ended:?}");
        assert_eq!(ended.err, format!("pos3-cli run: './script' cannot be executed: {said}\n"));
    }
    assert_eq!(cloud.server.requests().iter().count(), 0);
}

#[test]
fn an_input_that_is_missing_starts_nothing_and_uploads_nothing() {
    let cloud = Cloud::new(&[("cache/_/data/out/left", "from before")]);
    let places = ["--download", "in=s3://data/typo", "--upload", "out=s3://data/out", "--sync-on-error"];
    let ended = run(&cloud, &sh(&places, "echo started"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.starts_with("pos3-cli run: there is nothing at 's3://data/typo'\nhint: "), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), [""; 0]);
}

#[test]
fn places_that_make_no_sense_are_code_two() {
    let cloud = Cloud::new(&[]);
    for (places, said) in [
        (&["--download", "data"][..], "write NAME=URL"),
        (&["--download", "a-b=s3://data/x"], "must consist of letters, digits and '_'"),
        (&["--download", "a=s3://data/x", "--upload", "A=s3://data/y"], "two places are named 'A'"),
        (&["--upload", "a=s3://data/x", "--upload", "b=s3://data/x/y"], "overlaps with"),
        (&["--upload", "a=s3://data/x", "--interval", "0"], "must be greater than zero"),
    ] {
        let ended = run(&cloud, &sh(places, "echo started"));
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.err.contains(said), "{}", ended.err);
    }
    let ended = run(&cloud, &["run", "--upload", "a=s3://data/x"]);
    assert_eq!(ended.code, Some(2), "no program: {ended:?}");
}

#[test]
fn a_program_that_succeeds_while_its_upload_fails_is_code_one() {
    let cloud = Cloud::new(&[]);
    let denied = Answer::access_denied();
    cloud.server.fault(Fault::on(Operation::PutObject).key("out/bad").always().answer(denied));
    let script = r#"echo 1 > "$POS3_PATH_OUT/bad"; echo 1 > "$POS3_PATH_OUT/good""#;
    let ended = run(&cloud, &sh(&["--upload", "out=s3://data/out", "--json-report", "report", "-q"], script));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("out: NOT EVERYTHING was uploaded to s3://data/out: "), "{}", ended.err);
    assert!(ended.err.contains("\n  missing: s3://data/out/bad\n  the files are in "), "{}", ended.err);
    assert!(ended.err.contains("the program succeeded, but not everything was uploaded\n"), "{}", ended.err);
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert_eq!(report["uploads"][0]["missing"], serde_json::json!(["bad"]));
    assert_eq!(cloud.server.keys(BUCKET), ["out/good"]);
}

#[test]
fn a_training_that_is_terminated_leaves_its_last_whole_checkpoint_in_s3() {
    let cloud = Cloud::new(&[]).with_objects(&[("run/notes", "theirs")]);
    let places = ["--sync", "ckpt=s3://data/run", "--interval", "0.2", "--sync-on-error", "--exclude", "*.tmp"];
    let line = sh(&[&places[..], &["--delete-remote"]].concat(), TRAIN);
    let mut last = 0;
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut child = start(&cloud, &line);
        let out = wait_for(&mut child, &format!("written {}", last + 5));
        let drain = std::thread::spawn(move || out.lines().count());
        cloud.server.put(BUCKET, "run/late", "by others, meanwhile");
        wait_until("the background uploads nothing", || {
            let object = cloud.server.object(BUCKET, "run/model");
            let found = object.map(|object| step(&object.bytes).expect("a torn checkpoint is in S3"));
            found.is_some_and(|found| found > last + 5)
        });
        kill(signal, &child);
        let ended = Ended::from(child.wait_with_output().unwrap());
        drain.join().unwrap();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains("ckpt: complete in s3://data/run: "), "{}", ended.err);
        let local = fs::read(cloud.program.path("cache/_/data/run/model")).unwrap();
        let stored = cloud.server.object(BUCKET, "run/model").unwrap();
        assert_eq!(stored.bytes, local, "the last checkpoint is in S3");
        last = step(&local).expect("the last checkpoint is whole");
        assert_eq!(cloud.server.keys(BUCKET), ["run/late", "run/model", "run/notes"]);
        // The next run finds it in S3 alone.
        fs::remove_dir_all(cloud.program.path("cache")).unwrap();
    }
    let mut child = start(&cloud, &line);
    let _out = wait_for(&mut child, &format!("resumed {last}"));
    kill("-TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_program_that_ends_well_after_a_signal_deletes_nothing_and_has_its_code_if_all_was_uploaded() {
    for (more, code, keys) in [(&["--sync-on-error"][..], 0, &["out/final", "out/old"][..]), (&[], 143, &["out/old"])] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/old", "x")]);
        let script = r#"trap 'echo saved > "$POS3_PATH_OUT/final"; exit 0' TERM; rm "$POS3_PATH_OUT/old"; echo ready; while :; do sleep 0.05; done"#;
        let places = [&["--sync", "out=s3://data/out", "--delete-remote"], more].concat();
        let mut child = start(&cloud, &sh(&places, script));
        wait_for(&mut child, "ready");
        kill("-TERM", &child);
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains("pos3-cli run: the program succeeded, after SIGTERM\n"), "{}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET), keys, "what it saved last, and no delete");
    }
}

#[test]
fn a_program_that_does_not_end_is_killed_when_its_grace_is_over() {
    let cloud = Cloud::new(&[]);
    let script = r#"trap '' TERM INT; echo 1 > "$POS3_PATH_OUT/a"; echo ready; while :; do sleep 0.05; done"#;
    let places = ["--upload", "out=s3://data/out", "--sync-on-error", "--grace", "0.3"];
    let mut child = start(&cloud, &sh(&places, script));
    wait_for(&mut child, "ready");
    kill("-TERM", &child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(137), "{ended:?}");
    assert!(ended.err.contains("the program did not end in time and is killed\n"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["out/a"]);
}

#[test]
fn a_second_signal_kills_the_program_and_ends_the_uploads() {
    let cloud = Cloud::new(&[]).with_objects(&[("out/old", "x")]);
    let script = r#"trap '' TERM INT; echo 1 > "$POS3_PATH_OUT/a"; echo ready; while :; do sleep 0.05; done"#;
    let places = ["--upload", "out=s3://data/out", "--sync-on-error"];
    let mut child = start(&cloud, &sh(&places, script));
    wait_for(&mut child, "ready");
    kill("-TERM", &child);
    // The same signal again within a second is no second one.
    std::thread::sleep(Duration::from_millis(1200));
    kill("-TERM", &child);
    let begin = Instant::now();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert!(begin.elapsed() < Duration::from_secs(20), "at once");
    assert_eq!(ended.code, Some(137), "{ended:?}");
    assert!(ended.err.contains("out: NOT EVERYTHING was uploaded to s3://data/out: "), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["out/old"]);
}

#[test]
fn what_does_not_make_it_before_the_deadline_is_named() {
    let cloud = Cloud::new(&[]);
    cloud.server.fault(
        Fault::on(Operation::PutObject).key("out/slow").always().answer(Answer::Delay(Duration::from_secs(600))),
    );
    let script = r#"echo 1 > "$POS3_PATH_OUT/fast"; echo 1 > "$POS3_PATH_OUT/slow"; exit 3"#;
    let places = ["--upload", "out=s3://data/out", "--sync-on-error", "--deadline", "1"];
    let ended = run(&cloud, &sh(&places, script));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.err.contains(
            "1 of its files were not uploaded in time\n  1 upload (2 B), 1 at the end\n  missing: s3://data/out/slow\n"
        ),
        "{}",
        ended.err
    );
    assert_eq!(cloud.server.keys(BUCKET), ["out/fast"]);
}

/// A process in a session of its own, whose terminal is `master`.
struct OnTerminal {
    child: Child,
    master: fs::File,
}

fn on_terminal(cloud: &Cloud, line: &[&str]) -> OnTerminal {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = fs::File::options().read(true).write(true).open(name).unwrap();
    let size = rustix::termios::Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&terminal, size).unwrap();
    let line = cloud.command(line);
    let mut command = std::process::Command::new("setsid");
    command
        .args(["--ctty", "--wait"])
        .arg(line.get_program())
        .args(line.get_args())
        .current_dir(cloud.program.path("."));
    command.envs(line.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(terminal.try_clone().unwrap()).stdout(terminal.try_clone().unwrap()).stderr(terminal);
    OnTerminal { child: command.spawn().unwrap(), master: fs::File::from(master) }
}

impl OnTerminal {
    /// Reads to the end, and shows what has come so far to `react` each time that more has come.
    fn read(&mut self, mut react: impl FnMut(&str, &mut fs::File)) -> String {
        use std::io::Read;

        let (mut text, mut chunk) = (String::new(), [0; 1024]);
        // Where nobody has the terminal open any more, reading is an error.
        while let Ok(read @ 1..) = self.master.read(&mut chunk) {
            text.push_str(&String::from_utf8_lossy(&chunk[..read]));
            react(&text, &mut self.master);
        }
        text
    }
}

#[test]
fn a_key_of_the_terminal_reaches_the_program_once() {
    use std::io::Write;

    let cloud = Cloud::new(&[]);
    let script = r#"count=0; trap 'count=$((count + 1))' INT; echo ready
        i=0; while [ $i -lt 10 ]; do sleep 0.1; i=$((i + 1)); done; echo "counted $count""#;
    let mut terminal = on_terminal(&cloud, &sh(&["--upload", "out=s3://data/out"], script));
    let mut pressed = false;
    let text = terminal.read(|text, keys| {
        if text.contains("ready") && !pressed {
            keys.write_all(b"\x03").unwrap();
            pressed = true;
        }
    });
    assert!(text.contains("counted 1\r\n"), "{text}");
    assert!(text.contains("pos3-cli run: the program succeeded, after SIGINT"), "{text}");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(130), "{text}");
}

#[test]
fn a_terminal_shows_what_comes_and_what_goes_and_is_the_programs_in_between() {
    let cloud = Cloud::new(&[]).with_objects(&[("in/a", "1"), ("in/b", "2")]);
    cloud.server.configure(|settings| settings.latency = Duration::from_millis(400));
    let script = r#"echo begun; echo 1 > "$POS3_PATH_OUT/a"; sleep 2; echo 2 > "$POS3_PATH_OUT/b"; echo ended"#;
    let places = ["--download", "data=s3://data/in", "--upload", "out=s3://data/out", "--interval", "0.2"];
    let mut terminal = on_terminal(&cloud, &sh(&places, script));
    let text = terminal.read(|_, _| {});
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0), "{text}");
    let (before, rest) = text.split_once("begun\r\n").unwrap();
    let (during, after) = rest.split_once("ended\r\n").unwrap();
    assert!(before.contains("data: 2 files (2 B) fetched"), "{text}");
    assert!(before.contains('[') && after.contains('['), "bars: {text}");
    assert_eq!(during, "", "one was uploaded without a word: {text}");
    assert!(
        after.contains("out: complete in s3://data/out: 2 files there; 2 uploads (4 B), 1 at the end\r\n"),
        "{text}"
    );
}

#[test]
fn a_directory_that_the_program_emptied_deletes_nothing_and_is_no_failure() {
    for (more, said, left) in [
        (
            None,
            "2 files not deleted because the directory is empty (only the run that empties it deletes them, with --allow-empty)\n",
            &["out/a", "out/b"][..],
        ),
        (Some("--allow-empty"), "2 files deleted\n", &[]),
    ] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/a", "x"), ("out/b", "x")]);
        let mut places = vec!["--sync", "out=s3://data/out", "--delete-remote", "--json-report", "report"];
        places.extend(more);
        let ended = run(&cloud, &sh(&places, r#"rm "$POS3_PATH_OUT"/*"#));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains(said), "{}", ended.err);
        assert_eq!(ended.err.contains("warning: 's3://data/out': '"), more.is_none(), "{}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET), left, "{more:?}");
        let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
        assert_eq!(report["uploads"][0]["withheld"], if more.is_none() { 2 } else { 0 });
    }
}

#[test]
fn a_directory_that_the_program_removed_is_said_to_be_gone_and_deletes_nothing() {
    let cloud = Cloud::new(&[]).with_objects(&[("out/a", "x"), ("out/b", "x")]);
    let places = ["--sync", "out=s3://data/out", "--delete-remote", "--allow-empty"];
    let ended = run(&cloud, &sh(&places, r#"rm -r "$POS3_PATH_OUT""#));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("out: nothing was uploaded to s3://data/out at the end: /"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["out/a", "out/b"]);
}

#[test]
fn a_file_that_others_replaced_while_the_program_ran_stays_theirs_and_is_told() {
    let cloud = Cloud::new(&[]).with_objects(&[("out/a", "1"), ("out/b", "1")]);
    let places = ["--sync", "out=s3://data/out"];
    assert_eq!(run(&cloud, &sh(&places, "true")).code, Some(0));
    let theirs = cloud.program.path("theirs");
    fs::write(&theirs, "theirs").unwrap();
    let cli = env!("CARGO_BIN_EXE_pos3-cli");
    let script = format!("'{cli}' upload s3://data/out/a --local '{}' -q", theirs.display());
    let ended = run(&cloud, &sh(&places, &script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let left = "1 file there\n  not uploaded, because another writer replaced it: s3://data/out/a\n";
    assert!(ended.err.contains(left), "{}", ended.err);
    assert_eq!(cloud.server.object(BUCKET, "out/a").unwrap().bytes, "theirs");
}

#[test]
fn a_file_that_changed_on_both_sides_starts_nothing_and_is_named_with_what_to_do() {
    let cloud = Cloud::new(&[]).with_objects(&[("out/a", "1")]);
    let places = ["--sync", "out=s3://data/out"];
    assert_eq!(run(&cloud, &sh(&places, "true")).code, Some(0));
    cloud.server.put(BUCKET, "out/a", "theirs");
    fs::write(cloud.program.path("cache/_/data/out/a"), "ours").unwrap();
    let ended = run(&cloud, &sh(&places, "echo started"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(
        ended.err.contains(
            "/a' and 's3://data/out/a' conflict: both sides have changed since they were equal\nhint: compare the two; "
        ),
        "{ended:?}"
    );
}

#[test]
fn a_program_that_removes_too_much_loses_no_output() {
    let cloud = Cloud::new(&[]);
    (0..30).for_each(|number| cloud.server.put(BUCKET, &format!("out/{number:02}"), "x"));
    let script = r#"rm "$POS3_PATH_OUT"/*; echo 1 > "$POS3_PATH_OUT/new""#;
    let places = ["--sync", "out=s3://data/out", "--delete-remote"];
    let ended = run(&cloud, &sh(&places, script));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("hint: nothing was deleted; if so many are meant, say --max-delete 30\n"), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET).len(), 31);
    let ended = run(&cloud, &sh(&[&places[..], &["--max-delete", "100%"]].concat(), script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["out/new"]);
}

/// A server on which the uploads of a program that ended well take their time, and that program.
fn slow(cloud: &Cloud, delay: Duration) -> Child {
    let answer = Answer::Delay(delay);
    cloud.server.fault(Fault::on(Operation::PutObject).key("out/slow").always().answer(answer));
    let script = r#"rm "$POS3_PATH_OUT/old"; echo 1 > "$POS3_PATH_OUT/fast"; echo 1 > "$POS3_PATH_OUT/slow""#;
    let places = ["--sync", "out=s3://data/out", "--delete-remote", "--deadline", "1", "--json-report", "report"];
    let child = start(cloud, &sh(&places, script));
    wait_until("nothing is uploaded", || cloud.server.requests().of(Operation::PutObject) == 2);
    wait_until("fast is not there", || cloud.server.object(BUCKET, "out/fast").is_some());
    child
}

#[test]
fn a_signal_while_the_last_outputs_go_leaves_them_the_deadline_and_deletes_nothing() {
    for (delay, code, keys) in [
        (Duration::from_secs(3), 143, &["out/fast", "out/old", "out/slow"][..]),
        (Duration::from_secs(600), 143, &["out/fast", "out/old"]),
    ] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/old", "x")]);
        let child = slow(&cloud, delay);
        kill("-TERM", &child);
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains("pos3-cli run: uploads end within 1 s; once more to end at once\n"), "{ended:?}");
        assert!(ended.err.contains("pos3-cli run: the program succeeded, after SIGTERM\n"), "{ended:?}");
        assert_eq!(cloud.server.keys(BUCKET), keys, "{ended:?}");
        let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
        if keys.contains(&"out/slow") {
            assert!(
                ended.err.contains(
                    "2 files there; 2 uploads (4 B), 2 at the end; 1 file not deleted because a signal came\n"
                ),
                "{ended:?}"
            );
            assert_eq!(report["uploads"][0]["withheld"], 1);
        } else {
            assert!(
                ended.err.contains("1 of its files were not uploaded in time\n  1 upload (2 B), 1 at the end\n  missing: s3://data/out/slow\n"),
                "{ended:?}"
            );
            assert_eq!(report["uploads"][0]["missing"], serde_json::json!(["slow"]));
        }
    }
}

#[test]
fn a_signal_while_the_outputs_of_a_failed_program_go_takes_no_time_from_them() {
    let cloud = Cloud::new(&[]);
    let delay = Answer::Delay(Duration::from_secs(1));
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(delay));
    let script = r#"echo 1 > "$POS3_PATH_OUT/a"; echo 1 > "$POS3_PATH_OUT/b"; exit 3"#;
    let child = start(&cloud, &sh(&["--upload", "out=s3://data/out", "--sync-on-error", "-j", "1"], script));
    wait_until("nothing is uploaded", || cloud.server.requests().of(Operation::PutObject) == 1);
    kill("-TERM", &child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["out/a", "out/b"], "{ended:?}");
}

#[test]
fn a_second_signal_while_the_last_outputs_go_ends_at_once_and_names_what_is_missing() {
    let cloud = Cloud::new(&[]).with_objects(&[("out/old", "x")]);
    let child = slow(&cloud, Duration::from_secs(600));
    kill("-INT", &child);
    std::thread::sleep(Duration::from_millis(1200));
    kill("-INT", &child);
    let begin = Instant::now();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert!(begin.elapsed() < Duration::from_secs(9), "at once, not after the ten seconds of the first signal");
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.err.contains("\n  missing: s3://data/out/slow\n"), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["out/fast", "out/old"]);
}

#[test]
fn a_command_that_waits_says_for_whom() {
    let cloud = Cloud::new(&[]).with_objects(&[("in/a", "1")]);
    let stall = Answer::Delay(Duration::from_secs(600));
    cloud.server.fault(Fault::on(Operation::GetObject).always().answer(stall));
    let mut first = start(&cloud, &["download", "s3://data/in"]);
    wait_until("the first does not begin", || cloud.server.requests().of(Operation::GetObject) == 1);
    let said = format!("waiting for another process ({}) that uses 's3://data/in'", first.id());
    let waiting =
        [sh(&["--download", "in=s3://data/in"], r#"cat "$POS3_PATH_IN/a""#), vec!["download", "s3://data/in"]];
    for line in waiting {
        let mut second = start(&cloud, &line);
        let mut told = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(told.next(), Some(said.clone()), "{line:?}");
        second.kill().unwrap();
        second.wait().unwrap();
    }
    let quiet = start(&cloud, &["download", "s3://data/in", "-q"]);
    std::thread::sleep(Duration::from_millis(1500));
    first.kill().unwrap();
    first.wait().unwrap();
    cloud.server.clear_faults();
    let ended = Ended::from(quiet.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
}
