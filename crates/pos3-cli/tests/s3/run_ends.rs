//! `run`: last uploads with an unavailable server, expired credentials, a locked sync state, or too little time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use http::StatusCode;
use pos3_tests::server::{Answer, Fault, Operation};
use serde_json::Value;

use super::run::{run, sh, start, stored, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

/// Waits for a file, writes an output and fails.
const FAILS: &str = r#"echo ready; until [ -e go ]; do sleep 0.05; done; echo 1 > "$POS3_PATH_OUT/new"; exit 3"#;

/// Starts a program, lets it fail after `answer` became the answer to everything, and returns the command.
fn failing_during(cloud: &Cloud, answer: Answer, deadline: &str) -> Child {
    let places = ["--upload", "out=s3://data/out", "--sync-on-error", "--deadline", deadline];
    let mut child = start(cloud, &sh(&places, FAILS));
    let out = wait_for(&mut child, "ready");
    cloud.server.fault(Fault::on_any().always().answer(answer));
    fs::write(cloud.program.path("go"), "").unwrap();
    // The program writes no more lines.
    drop(out);
    child
}

fn expired() -> Answer {
    Answer::Error { status: StatusCode::BAD_REQUEST, code: "ExpiredToken" }
}

#[test]
fn a_last_upload_is_tried_until_the_deadline_while_the_server_or_the_credentials_are_away() {
    for (answer, outage) in [(Answer::Reset, 14), (expired(), 5)] {
        let cloud = Cloud::new(&[]);
        let child = failing_during(&cloud, answer.clone(), "60");
        sleep(Duration::from_secs(outage));
        cloud.server.clear_faults();
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(3), "{answer:?}: {ended:?}");
        assert_eq!(stored(&cloud, "out/new").as_deref(), Some("1\n"), "{answer:?}: {ended:?}");
        assert!(ended.err.contains("out: complete in s3://data/out"), "{ended:?}");
    }
}

#[test]
fn an_upload_that_is_late_names_the_last_failure() {
    let storm = Answer::Error { status: StatusCode::SERVICE_UNAVAILABLE, code: "SlowDown" };
    for (answer, cause) in
        [(storm, "http 503 SlowDown"), (Answer::Reset, "no complete response from"), (expired(), "have expired")]
    {
        let cloud = Cloud::new(&[]);
        let begin = Instant::now();
        let child = failing_during(&cloud, answer, "3");
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert!(begin.elapsed() < Duration::from_secs(20), "{ended:?}");
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let named = ended.err.lines().any(|line| line.contains("; the last attempt failed: ") && line.contains(cause));
        assert!(named, "{}", ended.err);
    }
}

#[test]
fn a_lock_that_nobody_releases_takes_a_small_part_of_the_deadline() {
    let cloud = Cloud::new(&[("cache/_/data/out/stuck", "x")]);
    let places = ["--upload", "out=s3://data/out", "--sync-on-error", "--deadline", "8"];
    let mut child = start(&cloud, &sh(&places, FAILS));
    let out = wait_for(&mut child, "ready");
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(Answer::Delay(Duration::from_secs(600))));
    let mut holder = start(&cloud, &["upload", "s3://data/out"]);
    wait_until("the holder does not begin", || cloud.server.requests().of(Operation::PutObject) == 1);
    kill("-STOP", &holder);
    cloud.server.clear_faults();
    let begin = Instant::now();
    fs::write(cloud.program.path("go"), "").unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    drop(out);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(stored(&cloud, "out/new").as_deref(), Some("1\n"), "{ended:?}");
    assert!(begin.elapsed() < Duration::from_secs(7), "{:?}", begin.elapsed());
    let warning = format!(
        "warning: 's3://data/out' was uploaded without its sync state, because another process ({}) did not release it in \
         time\n",
        holder.id()
    );
    assert!(ended.err.contains(&warning), "{}", ended.err);
}

#[test]
fn under_a_deadline_few_files_are_in_flight_at_first() {
    let cloud = Cloud::new(&[]);
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(Answer::Delay(Duration::from_secs(3))));
    let script = r#"i=0; while [ $i -lt 40 ]; do echo $i > "$POS3_PATH_OUT/$i"; i=$((i + 1)); done; exit 3"#;
    let places = ["--upload", "out=s3://data/out", "--sync-on-error", "--deadline", "1"];
    let ended = run(&cloud, &sh(&places, script));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET).len(), 4, "what was begun is stored, and nothing else was begun: {ended:?}");
}

#[test]
fn background_uploads_that_fail_are_told_once_and_once_more_when_they_succeed() {
    let cloud = Cloud::new(&[]);
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(Answer::access_denied()));
    let script = r#"echo 1 > "$POS3_PATH_OUT/new"; until [ -e go ]; do sleep 0.05; done"#;
    let places = ["--upload", "out=s3://data/out", "--interval", "0.2", "--json-report", "report"];
    let mut child = start(&cloud, &sh(&places, script));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let failed = lines.next().unwrap();
    assert!(
        failed.starts_with("warning: the background uploads of 's3://data/out' fail and are retried: "),
        "{failed}"
    );
    assert!(failed.contains("AccessDenied"), "{failed}");
    wait_until("it is not tried again", || cloud.server.requests().of(Operation::PutObject) > 3);
    cloud.server.clear_faults();
    assert_eq!(lines.next().unwrap(), "warning: the background uploads of 's3://data/out' succeed again");
    fs::write(cloud.program.path("go"), "").unwrap();
    assert_eq!(lines.next().unwrap(), "pos3-cli run: the program succeeded");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
    assert_eq!(report["warnings"].as_array().unwrap().len(), 2, "{report}");
}

#[test]
fn a_background_upload_without_an_answer_leaves_the_last_upload_its_time() {
    let cloud = Cloud::new(&[]);
    let hangs = Fault::on(Operation::PutObject).key("out/hangs").answer(Answer::Delay(Duration::from_secs(600)));
    cloud.server.fault(hangs);
    let script = r#"cd "$POS3_PATH_OUT"; echo 1 > hangs; until [ -e "$OLDPWD/go" ]; do sleep 0.05; done
        for i in 1 2 3 4; do echo $i > $i; done; exit 3"#;
    let places = ["--upload", "out=s3://data/out", "--sync-on-error", "--interval", "0.2", "--deadline", "10"];
    let child = start(&cloud, &sh(&places, script));
    wait_until("no background upload begins", || cloud.server.requests().of(Operation::PutObject) == 1);
    let begin = Instant::now();
    fs::write(cloud.program.path("go"), "").unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["out/1", "out/2", "out/3", "out/4", "out/hangs"], "{ended:?}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}: {ended:?}", begin.elapsed());
    assert!(ended.err.contains("out: complete in s3://data/out: 5 files there; 5 uploads"), "{}", ended.err);
    assert!(!ended.err.contains("warning"), "pos3 ended the background upload itself: {}", ended.err);
}

#[test]
fn the_last_upload_begins_with_small_files() {
    let cloud = Cloud::new(&[]);
    let hang = Fault::on(Operation::PutObject).key_contains("large").always();
    cloud.server.fault(hang.answer(Answer::Delay(Duration::from_secs(600))));
    let script = r#"cd "$POS3_PATH_OUT"; for i in 1 2 3 4 5 6; do head -c 2000000 /dev/zero > large-$i; done
        echo 1 > small; exit 3"#;
    let ended = run(&cloud, &sh(&["--upload", "out=s3://data/out", "--sync-on-error", "--deadline", "2"], script));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["out/small"], "{ended:?}");
}

#[test]
fn files_that_are_not_known_to_be_stored_are_named_without_a_plan() {
    for deadline in ["0", "1"] {
        let cloud = Cloud::new(&[]);
        let script = r#"cd "$POS3_PATH_OUT"; echo 1 > changed; echo 1 > kept; until [ -e "$OLDPWD/go" ]; do sleep 0.05; done
            echo 22 > changed; echo 1 > new; exit 3"#;
        let places = ["--upload", "out=s3://data/out", "--sync-on-error", "--interval", "0.3", "--deadline", deadline];
        let child = start(&cloud, &sh(&[&places[..], &["--json-report", "report"]].concat(), script));
        wait_until("no background upload ends", || {
            let lists = cloud.server.requests().of(Operation::ListObjectsV2);
            cloud.server.keys(BUCKET).len() == 2 && lists > 2
        });
        cloud.server.fault(Fault::on_any().always().answer(Answer::Delay(Duration::from_secs(600))));
        fs::write(cloud.program.path("go"), "").unwrap();
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let named: Vec<_> =
            ended.err.lines().filter_map(|line| line.strip_prefix("  not known to be there: ")).collect();
        assert_eq!(named, ["s3://data/out/changed", "s3://data/out/new"], "{}", ended.err);
        assert!(ended.err.contains("\n  2 uploads (4 B), 0 at the end\n"), "{}", ended.err);
        let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
        let upload = &report["uploads"][0];
        assert_eq!(
            (&upload["missing"], &upload["files"]),
            (&serde_json::json!(["changed", "new"]), &2.into()),
            "{report}"
        );
    }
}

#[test]
fn a_transfer_that_is_cancelled_while_it_waits_names_the_process() {
    let cloud = Cloud::new(&[("cache/_/data/out/stuck", "x")]);
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(Answer::Delay(Duration::from_secs(600))));
    let mut holder = start(&cloud, &["upload", "s3://data/out"]);
    wait_until("the holder does not begin", || cloud.server.requests().of(Operation::PutObject) == 1);
    let mut waiting = start(&cloud, &["upload", "s3://data/out"]);
    let mut lines = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = lines.next().unwrap();
    assert_eq!(told, format!("waiting for another process ({}) that uses 's3://data/out'", holder.id()));
    kill("-TERM", &waiting);
    let rest: Vec<_> = lines.collect();
    let error = format!("cancelled while waiting for another process ({}) that uses it", holder.id());
    assert_eq!(rest.last(), Some(&format!("pos3-cli upload: 's3://data/out': {error}")), "{rest:?}");
    assert_eq!(waiting.wait().unwrap().code(), Some(143));
    holder.kill().unwrap();
    holder.wait().unwrap();
}
