//! A training program that may be interrupted at any time. It downloads its dataset from S3 and uploads its checkpoints
//! while it runs. The next run, on this machine or another, resumes from the last checkpoint.
//!
//! ```text
//! cargo run -p pos3 --example train -- s3://bucket/dataset s3://bucket/run-7 1000
//! ```
//!
//! The third argument is the duration of a step in milliseconds. An optional fourth one is the number of steps. The
//! environment selects the server (`AWS_…`) and the directory of local copies (`POS3_CACHE_ROOT`). If the program
//! receives SIGTERM, as on a machine that is about to be preempted, it prints what is in S3 and what is not.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to whoever started it")]

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use pos3::{DownloadOptions, Ending, ScopeError, Session, SessionBuilder, SyncBothOptions};

type Failure = Box<dyn Error + Send + Sync>;

/// Every checkpoint has this many lines, so all have the same size. Only the content distinguishes them.
const LINES: usize = 10_000;

const CHECKPOINT: &str = "model.ckpt";

#[tokio::main]
async fn main() -> ExitCode {
    let Some(task) = Task::from_arguments() else {
        eprintln!("usage: train DATASET_URL CHECKPOINTS_URL MILLISECONDS [STEPS]");
        return ExitCode::from(2);
    };
    let session = match open() {
        Ok(session) => session,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match session.scope(async |session| task.train(session).await).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(ScopeError::Interrupted { signal, ending }) => {
            println!("interrupted by {signal}");
            report(&ending);
            ExitCode::from(if signal == "SIGINT" { 130 } else { 143 })
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The training task.
struct Task {
    dataset: String,
    checkpoints: String,
    /// The duration of a step.
    pace: Duration,
    /// The number of steps of this run. `None` runs until it is interrupted.
    steps: Option<u64>,
}

fn open() -> Result<Session, Failure> {
    Ok(SessionBuilder::from_env()?.on_signals().open()?)
}

impl Task {
    fn from_arguments() -> Option<Self> {
        let mut arguments = std::env::args().skip(1);
        let (dataset, checkpoints) = (arguments.next()?, arguments.next()?);
        let pace = Duration::from_millis(arguments.next()?.parse().ok()?);
        let steps = arguments.next().map(|steps| steps.parse()).transpose().ok()?;
        arguments.next().is_none().then_some(Self { dataset, checkpoints, pace, steps })
    }

    /// Trains until it is done or interrupted. If it is dropped at an `await`, it leaves only complete checkpoints.
    async fn train(&self, session: &Session) -> Result<(), Failure> {
        let dataset = session.download(&self.dataset, DownloadOptions::default()).await?;
        let options =
            SyncBothOptions::default().with_interval(self.pace * 3).with_sync_on_error(true).with_exclude(["*.tmp"]);
        let checkpoints = session.sync(&self.checkpoints, options).await?;

        let examples = fs::read_dir(&dataset)?.count();
        let first = resume(&checkpoints)?;
        println!("begins with {examples} files at step {first}");
        let mut step = first;
        while self.steps.is_none_or(|steps| step - first < steps) {
            tokio::time::sleep(self.pace).await;
            step += 1;
            save(&checkpoints, step)?;
            println!("step {step} is saved");
        }
        Ok(())
    }
}

/// Returns the step of the existing checkpoint, or 0.
fn resume(directory: &Path) -> Result<u64, Failure> {
    match fs::read_to_string(directory.join(CHECKPOINT)) {
        Ok(text) => verify(&text).ok_or_else(|| "the checkpoint is torn".into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Writes a checkpoint under another name and renames it, so that a reader sees either the old or the new one.
fn save(directory: &Path, step: u64) -> io::Result<()> {
    let unfinished = directory.join("model.tmp");
    fs::write(&unfinished, content(step))?;
    fs::rename(unfinished, directory.join(CHECKPOINT))
}

fn content(step: u64) -> String {
    let mut text = String::new();
    for line in 0..LINES {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{step:012} {:016x}", step.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ line as u64);
    }
    text
}

/// Returns the step of a checkpoint if it is complete and consistent.
fn verify(text: &str) -> Option<u64> {
    let step = text.split_whitespace().next()?.parse().ok()?;
    (content(step) == text).then_some(step)
}

/// Prints what is in S3 and what is not.
fn report(ending: &Ending) {
    for upload in &ending.uploads {
        match &upload.error {
            None => println!("{} is complete", upload.location),
            Some(error) => println!("{} is not complete: {error}", upload.location),
        }
        for key in &upload.missing {
            println!("missing: {key}, which is in {}", upload.local.display());
        }
        if upload.withheld() > 0 {
            println!("not deleted there: {} files that are gone here", upload.withheld());
        }
    }
}
