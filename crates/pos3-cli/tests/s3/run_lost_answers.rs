//! `run` is killed after the server has stored an object and before the response arrives. The next run recognises the
//! object as its own.

use std::fs;
use std::path::PathBuf;

use pos3_tests::server::{Answer, Etags, Fault, Operation};

use super::run::{run, sh, start, stored, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

const SYNC: [&str; 2] = ["--sync", "c=s3://data/c"];

/// More than the size from which an object is sent in parts.
const LARGE: usize = 17 << 20;

fn model(cloud: &Cloud) -> PathBuf {
    cloud.program.path("cache/_/data/c/model")
}

/// Returns content of a size that begins with its name.
fn content(name: &str, size: usize) -> String {
    format!("{name}\n{}", "x".repeat(size.saturating_sub(name.len() + 1)))
}

/// Uploads a first step, unless there is none, and kills a run after the server stored the second one.
fn killed_before_the_answer(cloud: &Cloud, first: Option<&str>, second: &str) {
    fs::create_dir_all(model(cloud).parent().unwrap()).unwrap();
    if let Some(first) = first {
        fs::write(model(cloud), first).unwrap();
        assert_eq!(run(cloud, &sh(&SYNC, "true")).code, Some(0));
    }
    for operation in [Operation::PutObject, Operation::CompleteMultipartUpload] {
        cloud.server.fault(Fault::on(operation).always().answer(Answer::SilenceAfterPerforming));
    }
    fs::write(cloud.program.path("second"), second).unwrap();
    let mut child = start(cloud, &sh(&SYNC, r#"cat second > "$POS3_PATH_C/model""#));
    wait_until("the second step is never stored", || stored(cloud, "c/model").as_deref() == Some(second));
    kill("-KILL", &child);
    child.wait().unwrap();
    cloud.server.clear_faults();
}

#[track_caller]
fn assert_goes_on(cloud: &Cloud, step: &str, case: &str) {
    let ended = run(cloud, &sh(&SYNC, r#"head -n 1 "$POS3_PATH_C/model""#));
    assert_eq!((ended.code, Some(ended.out.trim_end())), (Some(0), step.lines().next()), "{case}: {ended:?}");
    assert!(stored(cloud, "c/model").as_deref() == Some(step), "{case}: another step is stored");
}

#[test]
fn an_upload_whose_answer_a_kill_prevented_is_no_conflict() {
    for etags in [Etags::Digests, Etags::Opaque] {
        for (size, first) in [(20, true), (20, false), (LARGE, true)] {
            let case = format!("{etags:?}, {size} bytes, with a first step: {first}");
            let cloud = Cloud::new(&[]);
            cloud.server.configure(|settings| settings.etags = etags);
            let steps = ["step-001", "step-002", "step-003"].map(|name| content(name, size));
            killed_before_the_answer(&cloud, first.then_some(steps[0].as_str()), &steps[1]);
            assert_goes_on(&cloud, &steps[1], &format!("{case}, unchanged"));

            killed_before_the_answer(&cloud, None, &steps[0]);
            fs::write(model(&cloud), &steps[2]).unwrap();
            assert_goes_on(&cloud, &steps[2], &format!("{case}, changed once more"));
            cloud.server.reset_requests();
            assert_goes_on(&cloud, &steps[2], &format!("{case}, uploaded"));
            let sent = cloud.server.requests();
            assert_eq!(sent.of(Operation::PutObject) + sent.of(Operation::UploadPart), 0, "{case}: it is sent again");
        }
    }
}

#[test]
fn what_another_writer_stored_after_an_upload_without_an_answer_is_a_conflict() {
    let cloud = Cloud::new(&[]);
    killed_before_the_answer(&cloud, Some("step-001\n"), "step-002\n");
    cloud.server.put(BUCKET, "c/model", "theirs-2\n");
    fs::write(model(&cloud), "step-003\n").unwrap();
    let Ended { code, err, .. } = run(&cloud, &sh(&SYNC, "true"));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("conflict"), "{err}");
    assert_eq!(stored(&cloud, "c/model").as_deref(), Some("theirs-2\n"));
    assert_eq!(fs::read_to_string(model(&cloud)).unwrap(), "step-003\n");
}

#[test]
fn a_download_that_a_kill_left_unrecorded_is_no_conflict_with_a_later_object() {
    let cloud = Cloud::new(&[]).with_objects(&[("c/model", "step-001\n"), ("c/slow", "slow\n")]);
    cloud.server.fault(Fault::on(Operation::GetObject).key("c/slow").always().answer(Answer::StallBody { after: 1 }));
    let mut child = start(&cloud, &sh(&SYNC, "true"));
    wait_until("nothing is downloaded", || model(&cloud).exists());
    kill("-KILL", &child);
    child.wait().unwrap();
    cloud.server.clear_faults();
    cloud.server.put(BUCKET, "c/model", "step-002\n");
    assert_goes_on(&cloud, "step-002\n", "downloaded");
}
