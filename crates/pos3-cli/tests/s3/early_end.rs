//! Failures that every further request would meet: the run ends with one message, and deletes nothing.

use std::fs;

use http::StatusCode;
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};
use crate::program::Ended;

/// Requests that may still be sent once the failure is known: as many as are in flight, and a few more.
const IN_FLIGHT: usize = 272;

fn with_files(count: usize) -> Cloud {
    let cloud = Cloud::new(&[("d/", "")]);
    for number in 0..count {
        fs::write(cloud.program.path(&format!("d/{number:05}")), "x").unwrap();
    }
    cloud
}

fn error(status: StatusCode, code: &'static str) -> Answer {
    Answer::Error { status, code }
}

/// Returns the lines on stderr that name an error.
fn errors(ended: &Ended) -> Vec<&str> {
    ended.err.lines().filter(|line| line.starts_with("error:")).collect()
}

#[test]
fn a_bucket_that_vanishes_ends_an_upload_with_one_message() {
    let cloud = with_files(5_000).with_objects(&[("p/old", "kept")]);
    cloud
        .server
        .fault(Fault::on(Operation::PutObject).nth(200).always().answer(error(StatusCode::NOT_FOUND, "NoSuchBucket")));
    for more in [&["--delete"][..], &[]] {
        cloud.server.reset_requests();
        let ended = cloud.run(&[&["sync", "d", "s3://data/p", "--no-manifest"], more].concat());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let puts = cloud.server.requests().of(Operation::PutObject);
        assert!(puts < 200 + IN_FLIGHT, "{puts} requests");
        assert_eq!(errors(&ended).len(), 1, "{}", ended.err);
        assert!(errors(&ended)[0].contains("the run ended early: cannot upload d/"), "{}", ended.err);
        assert!(errors(&ended)[0].contains("bucket 'data' does not exist"), "{}", ended.err);
        assert!(ended.err.contains("hint: check the bucket's name"), "{}", ended.err);
        assert!(ended.err.contains("not begun  "), "{}", ended.err);
        assert!(cloud.server.object(BUCKET, "p/old").is_some(), "nothing is deleted");
    }
}

#[test]
fn a_run_that_ends_early_says_how_much_it_did_not_begin() {
    let cloud = with_files(500);
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(error(StatusCode::NOT_FOUND, "NoSuchBucket")));
    let (code, object) = cloud.json(&["sync", "d", "s3://data/p", "--delete", "--concurrency", "4"]);
    let failed = object["failed"].as_array().unwrap().len();
    assert!((1..=8).contains(&failed), "{object}");
    assert_eq!((code, object["not_begun"].as_u64()), (1, Some(500 - failed as u64)), "{object}");
    assert!(object["error"]["message"].as_str().unwrap().contains("does not exist"), "{object}");
}

#[test]
fn credentials_that_expire_end_a_download_with_one_message() {
    let cloud = Cloud::new(&[]);
    (0..2_000).for_each(|number| cloud.server.put(BUCKET, &format!("p/{number:04}"), "x"));
    cloud.server.fault(
        Fault::on(Operation::GetObject).nth(100).always().answer(error(StatusCode::BAD_REQUEST, "ExpiredToken")),
    );
    let ended = cloud.run(&["sync", "s3://data/p", "out"]);
    assert_eq!((ended.code, errors(&ended).len()), (Some(1), 1), "{ended:?}");
    assert!(ended.err.contains("the credentials have expired"), "{}", ended.err);
    let gets = cloud.server.requests().of(Operation::GetObject);
    assert!(gets < 100 + 2 * IN_FLIGHT, "{gets} requests");
}

#[test]
fn a_source_bucket_that_vanishes_is_no_set_of_vanished_objects() {
    let cloud = Cloud::new(&[("out/old", "kept")]);
    (0..500).for_each(|number| cloud.server.put(BUCKET, &format!("p/{number:04}"), "x"));
    cloud.server.fault(Fault::on(Operation::GetObject).always().answer(error(StatusCode::NOT_FOUND, "NoSuchBucket")));
    let ended = cloud.run(&["sync", "s3://data/p", "out", "--delete"]);
    assert_eq!((ended.code, errors(&ended).len()), (Some(1), 1), "{ended:?}");
    assert!(cloud.server.requests().of(Operation::GetObject) < IN_FLIGHT, "{}", ended.err);
    assert!(cloud.program.path("out/old").exists());
}

#[test]
fn access_that_is_denied_to_everything_ends_a_run_and_to_some_keys_does_not() {
    let cloud = with_files(2_000);
    cloud.server.fault(Fault::on(Operation::PutObject).always().answer(Answer::access_denied()));
    let ended = cloud.run(&["sync", "d", "s3://data/p"]);
    assert_eq!((ended.code, errors(&ended).len()), (Some(1), 1), "{ended:?}");
    let puts = cloud.server.requests().of(Operation::PutObject);
    assert!(puts < 64 + 2 * IN_FLIGHT, "{puts} requests");

    cloud.server.clear_faults();
    let denied = Fault::on(Operation::PutObject).key_contains("p/01");
    cloud.server.fault(denied.always().answer(Answer::access_denied()));
    let ended = cloud.run(&["sync", "d", "s3://data/p"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET).len(), 1_000, "01000 to 01999 are denied, all others are there");
}

#[test]
fn deletes_that_are_denied_end_early_too() {
    let cloud = Cloud::new(&[("d/a", "1")]);
    (0..20_000).for_each(|number| cloud.server.put(BUCKET, &format!("p/{number:05}"), "x"));
    cloud.server.fault(Fault::on(Operation::DeleteObjects).always().answer(Answer::access_denied()));
    let ended = cloud.run(&["sync", "d", "s3://data/p", "--delete", "--max-delete", "100%"]);
    assert_eq!((ended.code, errors(&ended).len()), (Some(1), 1), "{ended:?}");
    assert_eq!(cloud.server.requests().of(Operation::DeleteObjects), 1, "{}", ended.err);
    assert!(ended.err.contains("withheld   19,000 deletes, because the run did not come to its end"), "{}", ended.err);
}

#[test]
fn many_deletes_are_in_flight_at_once() {
    for (concurrency, expected) in [("64", 2..9), ("1", 1..2)] {
        let cloud = Cloud::new(&[("d/a", "1")]);
        (0..20_000).for_each(|number| cloud.server.put(BUCKET, &format!("p/{number:05}"), "x"));
        cloud.server.fault(
            Fault::on(Operation::DeleteObjects).always().answer(Answer::Delay(std::time::Duration::from_millis(100))),
        );
        let ended =
            cloud.run(&["sync", "d", "s3://data/p", "--delete", "--max-delete", "100%", "--concurrency", concurrency]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(cloud.server.keys(BUCKET), ["p/a"]);
        assert_eq!(cloud.server.requests().of(Operation::DeleteObjects), 20);
        let most = cloud.server.most_in_flight();
        assert!(expected.contains(&most), "{most} with --concurrency {concurrency}");
    }
}
