//! `run`: signals while the last outputs are uploaded.

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use pos3_tests::server::{Answer, Fault, Operation};
use serde_json::Value;

use super::run::{sh, start, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

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
        assert!(
            ended.err.contains("pos3-cli run: uploads end within 1 s; send the signal again to end immediately\n"),
            "{ended:?}"
        );
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
                ended.err.contains("1 of its files was not uploaded before the deadline\n  1 upload (2 B), 1 at the end\n  missing: s3://data/out/slow\n"),
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
