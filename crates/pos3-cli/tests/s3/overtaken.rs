//! Objects that another client replaces while a command would delete them: pos3 keeps them, and the exit code is 1.

use pos3_tests::server::{Answer, ConditionalDeletes, Fault, Operation};

use super::run::{run, sh, stored};
use super::{BUCKET, Cloud};
use crate::program::Ended;

/// Replaces `d/old` when the first file is uploaded: after the listings, and before the deletes.
fn overtake(cloud: &Cloud, habit: ConditionalDeletes) {
    cloud.server.configure(|settings| settings.conditional_deletes = habit);
    let answer = Answer::Overtaken { key: "d/old", content: "theirs" };
    cloud.server.fault(Fault::on(Operation::PutObject).answer(answer));
}

#[track_caller]
fn assert_kept(cloud: &Cloud, ended: &Ended) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(cloud.server.faults_waiting(), 0);
    assert_eq!(stored(cloud, "d/old").as_deref(), Some("theirs"), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["d/new", "d/old"]);
    assert!(ended.err.contains("d/old") && ended.err.contains("has changed since it was listed"), "{}", ended.err);
}

#[test]
fn an_object_that_is_replaced_while_a_command_runs_is_not_deleted() {
    for habit in [ConditionalDeletes::Obeyed, ConditionalDeletes::Ignored] {
        let limit = ["--delete", "--max-delete", "100%"];
        for command in [&["sync", "d", "s3://data/d"][..], &["upload", "s3://data/d", "--local", "d"]] {
            let cloud = Cloud::new(&[("d/new", "1")]).with_objects(&[("d/old", "1"), ("d/old2", "1")]);
            overtake(&cloud, habit);
            assert_kept(&cloud, &cloud.run(&[command, &limit].concat()));
        }
        let cloud = Cloud::new(&[("d/new", "1")]).with_objects(&[("d/old", "1"), ("d/old2", "1")]);
        let plan = [&["plan", "d", "s3://data/d", "-o", "plan"][..], &limit].concat();
        assert_eq!(cloud.run(&plan).code, Some(0));
        overtake(&cloud, habit);
        assert_kept(&cloud, &cloud.run(&["apply", "plan"]));
    }
}

#[test]
fn an_output_that_is_replaced_while_it_would_be_deleted_stays() {
    // A session that finds an object changed plans again, and what others store is theirs: that is no failure.
    for operation in [Operation::PutObject, Operation::DeleteObjects] {
        let cloud = Cloud::new(&[]);
        let places = ["--sync", "out=s3://data/d", "--delete-remote", "--max-delete", "100%"];
        let ended = run(&cloud, &sh(&places, "echo 1 > $POS3_PATH_OUT/old; echo 1 > $POS3_PATH_OUT/old2"));
        assert_eq!((ended.code, cloud.server.keys(BUCKET).len()), (Some(0), 2), "{ended:?}");
        let answer = Answer::Overtaken { key: "d/old", content: "theirs" };
        cloud.server.fault(Fault::on(operation).answer(answer));
        let script = "rm $POS3_PATH_OUT/old $POS3_PATH_OUT/old2; echo 2 > $POS3_PATH_OUT/new";
        let ended = run(&cloud, &sh(&places, script));
        assert_eq!((ended.code, cloud.server.faults_waiting()), (Some(0), 0), "{ended:?}");
        assert_eq!(stored(&cloud, "d/old").as_deref(), Some("theirs"), "{ended:?}");
        assert_eq!(cloud.server.keys(BUCKET), ["d/new", "d/old"]);
    }
}
