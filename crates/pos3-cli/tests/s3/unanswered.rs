//! Signals while a server never answers one kind of request: every command ends in time, and deletes nothing more.

use std::fs;
use std::time::{Duration, Instant};

use pos3_tests::server::{Answer, Fault, Operation};
use serde_json::Value;

use super::run::{sh, start, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

/// Longer than any command takes to end: ten seconds for requests in flight, the deadline of a run, and a slow machine.
const IN_TIME: Duration = Duration::from_secs(25);

/// Longer than any test.
const FOREVER: Answer = Answer::Delay(Duration::from_secs(600));

const DELETES: [Operation; 2] = [Operation::DeleteObject, Operation::DeleteObjects];

fn deletes(cloud: &Cloud) -> usize {
    DELETES.iter().map(|operation| cloud.server.requests().of(*operation)).sum()
}

/// Runs a command on a server that never answers an operation, and ends it by SIGTERM.
fn assert_ends(line: &[&str], operation: Operation) {
    let case = format!("{line:?}, {operation:?}");
    let cloud = Cloud::new(&[("d/a", "new"), ("d/same", "x")]);
    let cloud = cloud.with_objects(&[("d/same", "x"), ("d/old", "x"), ("in/a", "1"), ("in/b", "1"), ("d/\u{1}", "x")]);
    let large = cloud.program.path("large/file");
    fs::create_dir_all(large.parent().unwrap()).unwrap();
    fs::write(large, vec![0; 20 << 20]).unwrap();
    cloud.server.create_upload(BUCKET, "left");
    cloud.server.fault(Fault::on(operation).always().answer(FOREVER));
    let child = start(&cloud, line);
    wait_until(&case, || cloud.server.requests().of(operation) > 0);
    std::thread::sleep(Duration::from_millis(300));
    let (begun, before) = (Instant::now(), deletes(&cloud));
    kill("-TERM", &child);
    let ended: Ended = child.wait_with_output().unwrap().into();
    assert!(begun.elapsed() < IN_TIME, "{case}: {:?}, {ended:?}", begun.elapsed());
    assert!(matches!(ended.code, None | Some(143)), "{case}: {ended:?}");
    assert_eq!(deletes(&cloud), before, "{case}: {ended:?}");
}

#[test]
fn a_signal_ends_every_command_in_time_whatever_request_is_not_answered() {
    use Operation::{
        AbortMultipartUpload, CompleteMultipartUpload, CopyObject, CreateMultipartUpload, DeleteObject, DeleteObjects,
        GetObject, HeadObject, ListMultipartUploads, ListObjectsV2, PutObject, UploadPart,
    };
    let run = sh(
        &["--sync", "d=s3://data/d", "--delete-remote", "--deadline", "1"],
        r#"rm "$POS3_PATH_D/old"; echo 1 > "$POS3_PATH_D/new""#,
    );
    let cases: &[(&[&str], &[Operation])] = &[
        (&["sync", "d", "s3://data/d", "--delete"], &[ListObjectsV2, PutObject, DeleteObjects, DeleteObject]),
        (&["upload", "s3://data/d", "--local", "d", "--delete"], &[ListObjectsV2, PutObject, DeleteObjects]),
        (&["sync", "large", "s3://data/large"], &[CreateMultipartUpload, UploadPart, CompleteMultipartUpload]),
        (&["sync", "s3://data/in", "s3://data/copy"], &[CopyObject]),
        (&["download", "s3://data/in"], &[ListObjectsV2, GetObject]),
        (&["download", "s3://data/in/a"], &[HeadObject, GetObject]),
        (&["check", "d", "s3://data/d"], &[ListObjectsV2]),
        (&["ls", "-r", "s3://data/"], &[ListObjectsV2]),
        (&["cleanup", "s3://data/", "--older-than", "0s"], &[ListMultipartUploads]),
        (&["cleanup", "s3://data/", "--older-than", "0s", "--abort"], &[AbortMultipartUpload]),
        (&run, &[ListObjectsV2, GetObject, PutObject, DeleteObjects]),
    ];
    std::thread::scope(|scope| {
        for (line, operations) in cases {
            for operation in *operations {
                scope.spawn(|| assert_ends(line, *operation));
            }
        }
    });
}

#[test]
fn a_delete_that_failed_is_not_sent_again_after_a_signal() {
    let cloud = Cloud::new(&[("d/a", "x")]).with_objects(&[("d/a", "x"), ("d/old", "x")]);
    cloud.server.fault(Fault::on(Operation::DeleteObjects).always().answer(Answer::internal_error()));
    let child = start(&cloud, &["sync", "d", "s3://data/d", "--delete", "--json"]);
    wait_until("nothing is deleted", || deletes(&cloud) > 1);
    kill("-TERM", &child);
    let before = deletes(&cloud);
    let ended: Ended = child.wait_with_output().unwrap().into();
    // One may have been in flight.
    assert!(deletes(&cloud) <= before + 1, "{before}: {ended:?}");
    let report: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((ended.code, &report["exit_code"]), (Some(143), &143.into()), "{ended:?}");
    assert_eq!((&report["deleted"], &report["withheld_deletes"]), (&0.into(), &1.into()), "{report}");
    let warning = "deletes without a result before the end: 1;";
    assert!(report["warnings"].to_string().contains(warning), "{report}");
}

/// The first signal lets the delete in flight complete until ten seconds after the deadline, and the second drops it.
#[test]
fn deletes_without_a_result_are_withheld_in_every_account_of_a_run() {
    for signals in [1, 2] {
        let cloud = Cloud::new(&[]).with_objects(&[("d/a", "x"), ("d/b", "x"), ("d/c", "x")]);
        cloud.server.fault(Fault::on(Operation::DeleteObjects).always().answer(FOREVER));
        let places = ["--sync", "d=s3://data/d", "--delete-remote", "--deadline", "1", "--json-report", "report"];
        let child = start(&cloud, &sh(&places, r#"rm "$POS3_PATH_D/a" "$POS3_PATH_D/b"; echo 1 > "$POS3_PATH_D/new""#));
        wait_until("nothing is deleted", || deletes(&cloud) > 0);
        kill("-TERM", &child);
        if signals == 2 {
            // Signals that are sent at once may arrive in any order.
            std::thread::sleep(Duration::from_millis(500));
            kill("-INT", &child);
        }
        let ended: Ended = child.wait_with_output().unwrap().into();
        assert_eq!((ended.code, deletes(&cloud)), (Some(143), 1), "{ended:?}");
        assert!(ended.err.contains("2 files not deleted because a signal came"), "{ended:?}");
        assert!(!ended.err.contains("in time") && !ended.err.contains("NOT EVERYTHING"), "{ended:?}");
        let report: Value = serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap();
        let upload = &report["uploads"][0];
        assert_eq!((&report["complete"], &report["exit_code"]), (&false.into(), &143.into()), "{report}");
        assert_eq!((&upload["withheld"], &upload["deleted"]), (&2.into(), &0.into()), "{report}");
        assert_eq!((&upload["missing"], &upload["error"]), (&serde_json::json!([]), &Value::Null), "{report}");
        if signals == 1 {
            assert!(report["warnings"].to_string().contains("deletes without a result before the end: 2;"), "{report}");
        }
    }
}
