//! Progress where stderr is no terminal: a line now and then, whose counts fit what the server saw.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use pos3_tests::server::Operation;

use super::Cloud;

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
