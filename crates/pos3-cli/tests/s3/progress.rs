//! Progress when stderr is not a terminal: periodic lines whose counts agree with the server, and a line when there is
//! no progress.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};
use crate::program::Ended;

const FILES: usize = 400;

/// Reads `3/10 files` or `3/10+ files` at the start of a line.
fn files(line: &str) -> Option<(usize, usize)> {
    let (counts, _) = line.split_once(" files")?;
    let (done, total) = counts.split_once('/')?;
    Some((done.parse().ok()?, total.trim_end_matches('+').parse().ok()?))
}

#[test]
fn a_long_run_without_a_terminal_says_how_far_it_is_on_stderr_alone() {
    let files_there: Vec<(String, String)> = (0..FILES).map(|n| (format!("d/{n:03}"), "x".repeat(100))).collect();
    let files_there: Vec<(&str, &str)> =
        files_there.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    let cloud = Cloud::new(&files_there);
    cloud.server.configure(|settings| settings.latency = Duration::from_millis(200));
    let mut command = cloud.command(&["sync", "d", "s3://data/d", "-j", "1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let stored = cloud.server.requests().of(Operation::PutObject);
    cloud.server.configure(|settings| settings.latency = Duration::ZERO);
    let (done, total) = files(&first).unwrap_or_else(|| panic!("no progress: {first}"));
    assert!(done <= stored && done <= total && total <= FILES, "{first}, and the server saw {stored}");
    assert!(first.contains(" of ") && first.contains(" KiB"), "{first}");

    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!((child.wait().unwrap().code(), out.as_str()), (Some(0), ""), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("400 PutObject")), "{rest:?}");
}

#[test]
fn every_command_says_that_nothing_moves() {
    let lines: [&[&str]; 5] = [
        &["ls", "s3://data/d"],
        &["cleanup", "s3://data/d"],
        &["check", "d", "s3://data/d"],
        &["explain", "d", "s3://data/d", "a"],
        &["sync", "d", "s3://data/d", "--dry-run"],
    ];
    let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/a", "1")]);
    cloud.server.fault(Fault::on_any().always().answer(Answer::Delay(Duration::from_secs(34))));
    let start = |line: &&[&str]| cloud.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started: Vec<_> = lines.iter().map(start).collect();
    // Only the first requests of each wait.
    std::thread::sleep(Duration::from_secs(10));
    cloud.server.clear_faults();
    for (line, child) in lines.iter().zip(started) {
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{line:?} {ended:?}");
        assert_eq!(ended.err.matches("nothing has moved for 3").count(), 1, "{line:?} {}", ended.err);
    }
}

#[test]
fn every_command_reports_why_a_server_makes_it_wait() {
    let lines: [&'static [&'static str]; 3] =
        [&["ls", "s3://data/d"], &["sync", "d", "s3://data/d"], &["sync", "d", "s3://data/d", "--quiet"]];
    let start = |line: &'static [&str], code| {
        let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/a", "1")]);
        cloud.server.fault(Fault::on_any().answer(Answer::RetryAfter { seconds: 7, code }));
        let child = cloud.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        (line, cloud, child)
    };
    let codes = ["SlowDown", "ServiceUnavailable"];
    let started: Vec<_> = codes.iter().flat_map(|code| lines.map(|line| start(line, *code))).collect();
    for (line, _cloud, child) in started {
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{line:?} {ended:?}");
        // The response to a HEAD request has no code.
        let expected = usize::from(!line.contains(&"--quiet"));
        let told = ended.err.matches(" s because the server asked for it (503").count();
        assert_eq!(told, expected, "{line:?} {}", ended.err);
    }
}

#[test]
fn a_slow_reader_is_not_told_that_nothing_moves() {
    let keys: Vec<String> = (0..3000).map(|number| format!("d/{number:04}{}", "x".repeat(100))).collect();
    let cloud = Cloud::new(&[]);
    keys.iter().for_each(|key| cloud.server.put(BUCKET, key, "1"));
    let mut command = cloud.command(&["ls", "s3://data/d/", "--recursive"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(33));
    assert!(child.try_wait().unwrap().is_none(), "it waits for its reader");
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str(), out.lines().count()), (Some(0), "", 3000));
}
