//! `run`: signals and deadlines while the program runs, and what is in S3 afterwards.

use std::fs;
use std::io::BufRead;
use std::time::{Duration, Instant};

use pos3_tests::server::{Answer, Fault, Operation};

use super::run::{run, sh, start, wait_for, wait_until};
use super::{BUCKET, Cloud};
use crate::program::Ended;
use crate::signals::kill;

/// Writes checkpoints of equal size under another name, renames them, and says so.
const TRAIN: &str = r#"
step=0
[ -f "$POS3_PATH_CKPT/model" ] && step=$(sed -n '1s/^step 0*//p' "$POS3_PATH_CKPT/model") && echo "resumed $step"
while :; do
  step=$((step + 1))
  line=$(printf 'step %07d' $step)
  { yes "$line" | head -n 2000; echo "end of $line"; } > "$POS3_PATH_CKPT/model.tmp"
  mv "$POS3_PATH_CKPT/model.tmp" "$POS3_PATH_CKPT/model"
  echo "written $step"
  sleep 0.05
done
"#;

/// Returns the step of a checkpoint that is whole.
fn step(checkpoint: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(checkpoint).ok()?;
    let first = text.lines().next()?;
    let is_whole = text.lines().count() == 2001
        && text.lines().take(2000).all(|line| line == first)
        && text.lines().last() == Some(&format!("end of {first}"));
    first.strip_prefix("step ")?.parse().ok().filter(|_| is_whole)
}

#[test]
fn a_training_that_is_terminated_leaves_its_last_whole_checkpoint_in_s3() {
    let cloud = Cloud::new(&[]).with_objects(&[("run/notes", "theirs")]);
    let places = ["--sync", "ckpt=s3://data/run", "--interval", "0.2", "--sync-on-error", "--exclude", "*.tmp"];
    let line = sh(&[&places[..], &["--delete-remote"]].concat(), TRAIN);
    let mut last = 0;
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut child = start(&cloud, &line);
        let out = wait_for(&mut child, &format!("written {}", last + 5));
        let drain = std::thread::spawn(move || out.lines().count());
        cloud.server.put(BUCKET, "run/late", "by others, meanwhile");
        wait_until("the background uploads nothing", || {
            let object = cloud.server.object(BUCKET, "run/model");
            let found = object.map(|object| step(&object.bytes).expect("a torn checkpoint is in S3"));
            found.is_some_and(|found| found > last + 5)
        });
        kill(signal, &child);
        let ended = Ended::from(child.wait_with_output().unwrap());
        drain.join().unwrap();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains("ckpt: complete in s3://data/run: "), "{}", ended.err);
        let local = fs::read(cloud.program.path("cache/_/data/run/model")).unwrap();
        let stored = cloud.server.object(BUCKET, "run/model").unwrap();
        assert_eq!(stored.bytes, local, "the last checkpoint is in S3");
        last = step(&local).expect("the last checkpoint is whole");
        assert_eq!(cloud.server.keys(BUCKET), ["run/late", "run/model", "run/notes"]);
        // The next run finds it in S3 alone.
        fs::remove_dir_all(cloud.program.path("cache")).unwrap();
    }
    let mut child = start(&cloud, &line);
    let _out = wait_for(&mut child, &format!("resumed {last}"));
    kill("-TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_program_that_ends_well_after_a_signal_deletes_nothing_and_has_its_code_if_all_was_uploaded() {
    for (more, code, keys) in [(&["--sync-on-error"][..], 0, &["out/final", "out/old"][..]), (&[], 143, &["out/old"])] {
        let cloud = Cloud::new(&[]).with_objects(&[("out/old", "x")]);
        let script = r#"trap 'echo saved > "$POS3_PATH_OUT/final"; exit 0' TERM; rm "$POS3_PATH_OUT/old"; echo ready; while :; do sleep 0.05; done"#;
        let places = [&["--sync", "out=s3://data/out", "--delete-remote"], more].concat();
        let mut child = start(&cloud, &sh(&places, script));
        wait_for(&mut child, "ready");
        kill("-TERM", &child);
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err.contains("pos3-cli run: the program succeeded, after SIGTERM\n"), "{}", ended.err);
        assert_eq!(cloud.server.keys(BUCKET), keys, "what it saved last, and no delete");
    }
}

#[test]
fn a_program_that_does_not_end_is_killed_when_its_grace_is_over() {
    let cloud = Cloud::new(&[]);
    let script = r#"trap '' TERM INT; echo 1 > "$POS3_PATH_OUT/a"; echo ready; while :; do sleep 0.05; done"#;
    let places = ["--upload", "out=s3://data/out", "--sync-on-error", "--grace", "0.3"];
    let mut child = start(&cloud, &sh(&places, script));
    wait_for(&mut child, "ready");
    kill("-TERM", &child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(137), "{ended:?}");
    assert!(ended.err.contains("the program did not end in time and is killed\n"), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["out/a"]);
}

#[test]
fn a_second_signal_kills_the_program_and_ends_the_uploads() {
    let cloud = Cloud::new(&[]).with_objects(&[("out/old", "x")]);
    let script = r#"trap '' TERM INT; echo 1 > "$POS3_PATH_OUT/a"; echo ready; while :; do sleep 0.05; done"#;
    let places = ["--upload", "out=s3://data/out", "--sync-on-error"];
    let mut child = start(&cloud, &sh(&places, script));
    wait_for(&mut child, "ready");
    kill("-TERM", &child);
    // The same signal again within a second is no second one.
    std::thread::sleep(Duration::from_millis(1200));
    kill("-TERM", &child);
    let begin = Instant::now();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert!(begin.elapsed() < Duration::from_secs(20), "at once");
    assert_eq!(ended.code, Some(137), "{ended:?}");
    assert!(ended.err.contains("out: NOT EVERYTHING was uploaded to s3://data/out: "), "{}", ended.err);
    assert_eq!(cloud.server.keys(BUCKET), ["out/old"]);
}

#[test]
fn what_does_not_make_it_before_the_deadline_is_named() {
    let cloud = Cloud::new(&[]);
    cloud.server.fault(
        Fault::on(Operation::PutObject).key("out/slow").always().answer(Answer::Delay(Duration::from_secs(600))),
    );
    let script = r#"echo 1 > "$POS3_PATH_OUT/fast"; echo 1 > "$POS3_PATH_OUT/slow"; exit 3"#;
    let places = ["--upload", "out=s3://data/out", "--sync-on-error", "--deadline", "1"];
    let ended = run(&cloud, &sh(&places, script));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.err.contains(
            "1 of its files was not uploaded before the deadline\n  1 upload (2 B), 1 at the end\n  missing: s3://data/out/slow\n"
        ),
        "{}",
        ended.err
    );
    assert_eq!(cloud.server.keys(BUCKET), ["out/fast"]);
}
