//! Runs `examples/train.rs` as a separate process: which checkpoints are in S3 if its machine disappears.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use pos3_tests::server::{Answer, Fault, Operation, S3Server};

const BUCKET: &str = "bucket";
const CHECKPOINT: &str = "run/model.ckpt";

/// Returns the step of a checkpoint of the example, if it is whole.
fn step(checkpoint: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(checkpoint).ok()?;
    let step: u64 = text.split_whitespace().next()?.parse().ok()?;
    let line = |line: u64| format!("{step:012} {:016x}", step.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ line);
    let is_whole = text.ends_with('\n') && text.lines().eq((0..10_000).map(line));
    is_whole.then_some(step)
}

fn start(server: &S3Server, disk: &Path, steps: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_train"))
        .args(["s3://bucket/dataset", "s3://bucket/run", "100"])
        .args(steps)
        .env_clear()
        .env("POS3_CACHE_ROOT", disk.join("cache"))
        .env("POS3_STATE_DIR", disk.join("state"))
        .env("AWS_ENDPOINT_URL", server.endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", server.access_key())
        .env("AWS_SECRET_ACCESS_KEY", server.secret_key())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

fn line(out: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    assert_ne!(out.read_line(&mut line).unwrap(), 0, "it ended");
    line.trim_end().to_owned()
}

fn kill(signal: &str, child: &Child) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_training_that_is_interrupted_leaves_its_last_whole_checkpoint_and_goes_on_from_it() {
    let server = S3Server::builder().bucket(BUCKET).start().unwrap();
    for (key, content) in [("dataset/a", "1"), ("dataset/b", "2"), ("run/notes", "theirs")] {
        server.put(BUCKET, key, content);
    }
    let mut last = 0;
    for (signal, code) in [("-TERM", 143), ("-INT", 130), ("-TERM", 143)] {
        // A machine of its own: nothing but S3 is left of the run before.
        let disk = tempfile::tempdir().unwrap();
        let (mut child, mut out) = start(&server, disk.path(), &[]);
        assert_eq!(line(&mut out), format!("begins with 2 files at step {last}"));
        let begin = Instant::now();
        let mut seen = last;
        let mut saved = last;
        while seen < last + 3 {
            assert!(begin.elapsed() < Duration::from_secs(60), "the background uploads nothing");
            saved = line(&mut out).split(' ').nth(1).unwrap().parse().unwrap();
            if let Some(object) = server.object(BUCKET, CHECKPOINT) {
                seen = step(&object.bytes).expect("a torn checkpoint is in S3");
            }
        }
        server.put(BUCKET, "run/late", "stored by others meanwhile");
        kill(signal, &child);
        let rest: Vec<String> = out.lines().map(Result::unwrap).collect();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{rest:?}");

        let told = rest.iter().position(|line| line.starts_with("interrupted by SIG")).unwrap();
        let steps = rest[..told].iter().map(|line| line.split(' ').nth(1).unwrap().parse::<u64>().unwrap());
        last = steps.max().unwrap_or(saved);
        assert_eq!(rest[told + 1..], ["s3://bucket/run is complete"]);
        let stored = server.object(BUCKET, CHECKPOINT).unwrap();
        assert_eq!(step(&stored.bytes), Some(last), "the last checkpoint is in S3, whole");
        let keys = ["dataset/a", "dataset/b", "run/late", CHECKPOINT, "run/notes"];
        assert_eq!(server.keys(BUCKET), keys, "nothing is deleted, and nothing unfinished is there");
        assert_eq!(server.object(BUCKET, "run/notes").unwrap().bytes, "theirs");
    }
}

/// The work is done and its last upload under way when the machine is about to go.
#[test]
fn a_signal_during_the_last_upload_leaves_it_its_time_and_a_second_ends_it_at_once() {
    for (delay, signals, code) in [(2, 1, 0), (600, 2, 143)] {
        let server = S3Server::builder().bucket(BUCKET).start().unwrap();
        server.put(BUCKET, "dataset/a", "1");
        let answer = Answer::Delay(Duration::from_secs(delay));
        server.fault(Fault::on(Operation::PutObject).key(CHECKPOINT).always().answer(answer));
        let disk = tempfile::tempdir().unwrap();
        let (mut child, out) = start(&server, disk.path(), &["1"]);
        let begin = Instant::now();
        while server.requests().of(Operation::PutObject) == 0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "nothing is uploaded");
            std::thread::sleep(Duration::from_millis(5));
        }
        let begin = Instant::now();
        for _ in 0..signals {
            kill("-TERM", &child);
            // The same signal twice within a second would be one.
            std::thread::sleep(Duration::from_millis(1_300));
        }
        let told: Vec<String> = out.lines().map(Result::unwrap).collect();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{told:?}");
        assert!(begin.elapsed() < Duration::from_secs(9), "not after the ten seconds that the first signal leaves");
        assert_eq!(told[..2], ["begins with 1 files at step 0", "step 1 is saved"]);
        if code == 0 {
            assert_eq!(step(&server.object(BUCKET, CHECKPOINT).unwrap().bytes), Some(1));
            assert_eq!(told.len(), 2, "{told:?}");
        } else {
            assert!(server.object(BUCKET, CHECKPOINT).is_none());
            assert_eq!(
                told[2..4],
                [
                    "interrupted by SIGTERM",
                    "s3://bucket/run is not complete: 's3://bucket/run': 1 of its files was not uploaded before the deadline",
                ]
            );
            assert!(told[4].starts_with("missing: model.ckpt, which is in "), "{told:?}");
        }
    }
}
