//! Ctrl-C and SIGTERM end a command gracefully, with the right exit code and without deletes.

use std::process::Stdio;
use std::time::{Duration, Instant};

use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};

/// Starts a sync whose uploads take long, waits until some are under way, and sends the signal.
fn interrupt(signal: &str) -> (Cloud, Option<i32>, String) {
    let files: Vec<(String, String)> = (0..200).map(|number| (format!("d/{number:03}"), "x".to_owned())).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (name.as_str(), content.as_str())).collect();
    let cloud = Cloud::new(&files).with_objects(&[("d/old", "1")]);
    let slow = Answer::Delay(Duration::from_millis(300));
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(slow));
    let mut command = cloud.command(&["sync", "d", "s3://data/d", "--delete", "-j", "4"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    while cloud.server.requests().of(Operation::PutObject) < 8 {
        assert!(begin.elapsed() < Duration::from_secs(60), "the uploads did not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let killed = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    (cloud, output.status.code(), err)
}

#[test]
fn a_signal_ends_the_run_without_a_delete() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (cloud, ended, err) = interrupt(signal);
        assert_eq!(ended, Some(code), "{err}");
        let keys = cloud.server.keys(BUCKET);
        assert!(keys.contains(&"d/old".to_owned()), "the deletes of an interrupted run are withheld");
        assert!(keys.len() < 201, "the run was not interrupted");
        assert!(err.contains("nothing more was deleted"), "{err}");
        assert_eq!(cloud.server.requests().of(Operation::DeleteObjects), 0);
    }
}
