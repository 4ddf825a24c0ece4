//! `run --delete-remote` with several outputs: the program may move a file from one to another, so no object is deleted
//! before all outputs are uploaded.

use std::fs;
use std::time::Duration;

use pos3_tests::server::{Answer, Fault, Operation};
use serde_json::Value;

use super::run::{run, sh, start, stored, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::signals::kill;

const TWO: [&str; 7] =
    ["--sync", "a=s3://data/a", "--sync", "b=s3://data/b", "--delete-remote", "--json-report", "report"];

const MOVE: &str = r#"mv "$POS3_PATH_A/f" "$POS3_PATH_B/f"; echo moved"#;

fn cloud() -> Cloud {
    Cloud::new(&[]).with_objects(&[("a/f", "precious"), ("a/k", "k"), ("b/z", "z")])
}

fn report(cloud: &Cloud) -> Value {
    serde_json::from_slice(&fs::read(cloud.program.path("report")).unwrap()).unwrap()
}

#[test]
fn an_object_whose_file_moved_to_another_output_stays_if_that_output_is_refused() {
    let cloud = cloud();
    cloud.server.fault(Fault::on(Operation::PutObject).key("b/f").always().answer(Answer::access_denied()));
    let ended = run(&cloud, &sh(&TWO, MOVE));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(stored(&cloud, "a/f").as_deref(), Some("precious"));
    let told = "a: uploaded to s3://data/a: 1 file there; 1 file not deleted because not everything was uploaded to s3://data/b";
    assert!(ended.err.contains(told), "{}", ended.err);
    let report = report(&cloud);
    let of_a = &report["uploads"][0];
    let found = (&report["complete"], &of_a["uploaded"], &of_a["withheld"], &of_a["withheld_for"], &of_a["deleted"]);
    assert_eq!(found, (&false.into(), &true.into(), &1.into(), &"s3://data/b".into(), &0.into()), "{report}");
    assert_eq!(report["uploads"][1]["withheld_for"], Value::Null);
}

#[test]
fn content_that_an_output_lacks_withholds_the_deletes_of_all_outputs() {
    let cloud = cloud();
    let script = r#"mv "$POS3_PATH_A/f" "$PWD/f"; ln -s "$PWD/f" "$POS3_PATH_B/f""#;
    let ended = run(&cloud, &sh(&TWO, script));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(stored(&cloud, "a/f").as_deref(), Some("precious"));
    let ended = run(
        &cloud,
        &sh(&TWO, r#"rm "$POS3_PATH_B/f"; rm -r "$POS3_PATH_B"; rm "$POS3_PATH_A"/*; touch "$POS3_PATH_A/k""#),
    );
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["a/f", "a/k", "b/z"], "the other output is gone");
}

#[test]
fn a_kill_while_another_output_is_uploaded_deletes_nothing() {
    let cloud = cloud();
    let slow = Fault::on(Operation::PutObject).key("b/f").always().answer(Answer::Delay(Duration::from_secs(600)));
    cloud.server.fault(slow);
    let script = format!(r#"{MOVE}; echo new > "$POS3_PATH_A/new""#);
    let mut child = start(&cloud, &sh(&TWO, &script));
    let _out = wait_for(&mut child, "moved");
    wait_until("the other copies", || cloud.server.keys(BUCKET).contains(&"a/new".to_owned()));
    std::thread::sleep(Duration::from_secs(1));
    kill("-KILL", &child);
    child.wait().unwrap();
    assert_eq!(cloud.server.keys(BUCKET), ["a/f", "a/k", "a/new", "b/z"]);
}

#[test]
fn deletes_follow_when_all_outputs_are_uploaded_and_only_then_is_listed_again() {
    let lists = |cloud: &Cloud| {
        let requests = cloud.server.requests();
        requests
            .iter()
            .filter(|(operation, _)| *operation == Operation::ListObjectsV2)
            .map(|(_, count)| count)
            .sum::<usize>()
    };
    let cloud = cloud();
    // The first run sends more requests: it records the server of the local copies.
    for _ in 0..2 {
        cloud.server.reset_requests();
        let ended = run(&cloud, &sh(&TWO, "true"));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let without = lists(&cloud);
    cloud.server.reset_requests();
    let ended = run(&cloud, &sh(&TWO, MOVE));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(cloud.server.keys(BUCKET), ["a/k", "b/f", "b/z"]);
    // The output with a delete is listed again, and every delete is preceded by a listing of a few keys.
    assert_eq!(lists(&cloud), without + 2);
    for told in [
        "a: complete in s3://data/a: 1 file there; 1 file deleted\n",
        "b: complete in s3://data/b: 2 files there; 1 upload (8 B), 1 at the end\n",
    ] {
        assert!(ended.err.contains(told), "{}", ended.err);
    }
    let report = report(&cloud);
    let of_a = &report["uploads"][0];
    let found = (&report["complete"], &of_a["withheld"], &of_a["withheld_for"], &of_a["deleted"]);
    assert_eq!(found, (&true.into(), &0.into(), &Value::Null, &1.into()), "{report}");
}

#[test]
fn an_output_that_uploads_and_deletes_has_one_account() {
    let cloud = cloud();
    let script = r#"echo 1 > "$POS3_PATH_A/one"; echo 22 > "$POS3_PATH_A/two"; rm "$POS3_PATH_A/f""#;
    let ended = run(&cloud, &sh(&[&TWO[..], &["--interval", "none"]].concat(), script));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told = "a: complete in s3://data/a: 3 files there; 2 uploads (5 B), 2 at the end; 1 file deleted\n";
    assert!(ended.err.contains(told), "{}", ended.err);
    let of_a = &report(&cloud)["uploads"][0];
    let found = (&of_a["files"], &of_a["files_at_end"], &of_a["bytes_at_end"], &of_a["deleted"]);
    assert_eq!(found, (&2.into(), &2.into(), &5.into(), &1.into()), "{of_a}");
}
