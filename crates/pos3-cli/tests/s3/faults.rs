//! Damage and loss in transit, one table row each: a file or object is complete or absent, and no good data is lost.

use std::fs;
use std::time::Duration;

use http::StatusCode;
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, Cloud};
use crate::program::Ended;

/// Content that needs several parts or ranges: more than the 16 MiB from which this program splits.
const LARGE: usize = 20 << 20;

/// How a run with one fault must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The run does all it was to do.
    Recovers,
    /// The run says that it failed, and the target is as it was.
    Fails,
}

impl End {
    /// Checks that a run ended so, and what it left in place of the old content.
    fn check(self, name: &str, ended: &Ended, stored: &[u8], new: &[u8]) {
        match self {
            Self::Recovers => {
                assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
                assert!(stored == new, "{name}: another content was stored");
            }
            Self::Fails => {
                assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
                assert!(stored == b"the good old one", "{name}: the old content is gone");
                assert!(ended.err.contains("d/file"), "{name}: {ended:?}");
            }
        }
    }
}

struct Row {
    name: &'static str,
    /// Requests that are hit, and with what.
    fault: Fault,
    large: bool,
    end: End,
}

fn row(name: &'static str, fault: Fault, large: bool, end: End) -> Row {
    Row { name, fault, large, end }
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|index| u8::try_from(index * 31 % 251).unwrap_or_default()).collect()
}

fn on(operation: Operation) -> pos3_tests::server::FaultPattern {
    Fault::on(operation).key_contains("file")
}

fn uploads() -> Vec<Row> {
    use End::{Fails, Recovers};
    use Operation::{CompleteMultipartUpload, CreateMultipartUpload, PutObject, UploadPart};
    let denied = Answer::access_denied();
    vec![
        row("a flipped byte in a put", on(PutObject).answer(Answer::FlipSentByte { at: 3 }), false, Recovers),
        row("a flipped byte in a part", on(UploadPart).answer(Answer::FlipSentByte { at: 3 }), true, Recovers),
        row("slow down, for a while", on(PutObject).times(4).answer(Answer::slow_down()), false, Recovers),
        row("slow down, in parts", on(UploadPart).times(4).answer(Answer::slow_down()), true, Recovers),
        row("an internal error", on(PutObject).answer(Answer::internal_error()), false, Recovers),
        row("a reset", on(PutObject).times(2).answer(Answer::Reset), false, Recovers),
        row("a reset after the put", on(PutObject).answer(Answer::ResetAfterPerforming), false, Recovers),
        row("a reset in a part", on(UploadPart).times(2).answer(Answer::Reset), true, Recovers),
        row(
            "a reset after the completion",
            on(CompleteMultipartUpload).answer(Answer::ResetAfterPerforming),
            true,
            Recovers,
        ),
        row(
            "an error in a 200 of the completion",
            on(CompleteMultipartUpload).answer(Answer::ErrorInOk { code: "InternalError" }),
            true,
            Recovers,
        ),
        row("a denied put", on(PutObject).always().answer(denied.clone()), false, Fails),
        row("a denied beginning", on(CreateMultipartUpload).always().answer(denied.clone()), true, Fails),
        row("a denied completion", on(CompleteMultipartUpload).always().answer(denied), true, Fails),
    ]
}

fn downloads() -> Vec<Row> {
    use End::{Fails, Recovers};
    let get = || on(Operation::GetObject);
    vec![
        row("a flipped byte", get().answer(Answer::FlipByte { at: 3 }), false, Recovers),
        row("a flipped byte in a range", get().answer(Answer::FlipByte { at: 3 }), true, Recovers),
        row("a flipped byte each time", get().always().answer(Answer::FlipByte { at: 3 }), false, Fails),
        row("a flipped byte in each range", get().always().answer(Answer::FlipByte { at: 3 }), true, Fails),
        row("a cut body", get().times(2).answer(Answer::CutBody { after: 3 }), false, Recovers),
        row("a cut range", get().times(2).answer(Answer::CutBody { after: 100_000 }), true, Recovers),
        row("slow down, for a while", get().times(4).answer(Answer::slow_down()), false, Recovers),
        row("a reset", get().times(2).answer(Answer::Reset), false, Recovers),
        row("the whole object for a range", get().always().answer(Answer::IgnoreRange), true, Recovers),
        row("denied", get().always().answer(Answer::access_denied()), false, Fails),
        row(
            "an error that is none of S3's",
            get().times(2).answer(Answer::Error { status: StatusCode::BAD_GATEWAY, code: "" }),
            false,
            Recovers,
        ),
    ]
}

fn sized(large: bool) -> Vec<u8> {
    content(if large { LARGE } else { 4096 })
}

#[test]
fn uploads_are_whole_or_not_there() {
    for Row { name, fault, large, end } in uploads() {
        let cloud = Cloud::new(&[("d/a", "1")]).with_objects(&[("d/file", "the good old one")]);
        let new = sized(large);
        fs::write(cloud.program.path("d/file"), &new).unwrap();
        cloud.server.fault(fault);
        let ended = cloud.run(&["sync", "d", "s3://data/d"]);
        let stored = cloud.server.object(BUCKET, "d/file").unwrap().bytes;
        assert_eq!(cloud.server.faults_waiting(), 0, "{name}: the fault did not happen");
        end.check(name, &ended, &stored, &new);
        assert!(cloud.server.object(BUCKET, "d/a").is_some(), "{name}: the rest was not done");
        cloud.server.clear_faults();
        let ended = cloud.run(&["sync", "d", "s3://data/d"]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        assert!(cloud.server.object(BUCKET, "d/file").unwrap().bytes == new, "{name}");
        assert_eq!(cloud.server.open_uploads(BUCKET), [""; 0], "{name}");
    }
}

#[test]
fn downloads_are_whole_or_not_there() {
    for Row { name, fault, large, end } in downloads() {
        let cloud = Cloud::new(&[("d/file", "the good old one")]).with_objects(&[("d/a", "1")]);
        let new = sized(large);
        cloud.server.put(BUCKET, "d/file", new.clone());
        cloud.server.fault(fault);
        let ended = cloud.run(&["sync", "s3://data/d", "d"]);
        let stored = fs::read(cloud.program.path("d/file")).unwrap();
        assert_eq!(cloud.server.faults_waiting(), 0, "{name}: the fault did not happen");
        end.check(name, &ended, &stored, &new);
        assert!(cloud.program.path("d/a").exists(), "{name}: the rest was not done");
        cloud.server.clear_faults();
        let ended = cloud.run(&["sync", "s3://data/d", "d"]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        assert!(fs::read(cloud.program.path("d/file")).unwrap() == new, "{name}");
        let names: Vec<String> = names(&cloud);
        assert_eq!(names, ["a", "file"], "{name}: something was left");
    }
}

fn names(cloud: &Cloud) -> Vec<String> {
    let entries = fs::read_dir(cloud.program.path("d")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_overload_of_ten_seconds_is_waited_out() {
    let cloud = Cloud::new(&[("d/file", "x"), ("d/other", "y")]);
    cloud.server.fault(Fault::on_any().always().answer(Answer::slow_down()));
    let child = cloud.command(&["sync", "d", "s3://data/d"]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(10));
    cloud.server.clear_faults();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(cloud.server.keys(BUCKET), ["d/file", "d/other"]);
}

#[test]
fn an_error_in_the_200_of_a_copy_is_an_error() {
    let cloud = Cloud::new(&[]).with_objects(&[("from/file", "x")]);
    let fault = Fault::on(Operation::CopyObject).always().answer(Answer::ErrorInOk { code: "InternalError" });
    cloud.server.fault(fault);
    let ended = cloud.run(&["sync", "s3://data/from", "s3://data/to"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(cloud.server.object(BUCKET, "to/file").is_none());
    cloud.server.clear_faults();
    assert_eq!(cloud.run(&["sync", "s3://data/from", "s3://data/to"]).code, Some(0));
    assert!(cloud.server.object(BUCKET, "to/file").is_some());
}

#[test]
fn content_that_arrives_damaged_each_time_is_read_three_times() {
    for size in [4, 3 << 20] {
        for has_checksum in [true, false] {
            for is_same in [true, false] {
                let cloud = Cloud::new(&[("up/k", &"x".repeat(size))]);
                match has_checksum {
                    true => assert_eq!(cloud.run(&["upload", "s3://data/d", "--local", "up"]).code, Some(0)),
                    false => cloud.server.put(BUCKET, "d/k", "x".repeat(size)),
                }
                cloud.server.reset_requests();
                for nth in 1..30 {
                    let at = if is_same { 0 } else { nth % 4 };
                    let fault = Fault::on(Operation::GetObject).nth(nth).answer(Answer::FlipByte { at });
                    cloud.server.fault(fault);
                }
                let ended = cloud.run(&["download", "s3://data/d", "--local", "down"]);
                let reads = cloud.server.requests().of(Operation::GetObject);
                assert_eq!((ended.code, reads), (Some(1), 3), "{size} {has_checksum} {is_same} {ended:?}");
                assert!(!cloud.program.path("down/k").exists());
            }
        }
    }
}
