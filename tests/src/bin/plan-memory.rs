//! Plans, executes and reports many differences, and prints the time and the memory: `plan-memory 1000000`.
//!
//! It is a separate process, so that its peak memory is that of the engine.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::Arc;
use std::time::Instant;

use pos3_core::{
    Deletion, ErrorKind, FailedAction, Failure, FailureKind, Guards, Key, MaxDelete, Operation, Report, SkipReason,
    StoreError, SyncJob, SyncOptions, Tree,
};
use pos3_tests::process::peak_memory;
use pos3_tests::synthetic::SyntheticStore;

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let differences: u64 = std::env::args().nth(1).unwrap_or_else(|| "1000000".into()).parse()?;
    let begin = Instant::now();
    let planned = plan(differences).await?;
    let deleted = delete(differences).await?;
    let reported = report(differences)?;
    let (seconds, peak) = (begin.elapsed().as_secs_f64(), peak_memory()? / 1024);
    println!("planned {planned} deleted {deleted} reported {reported} seconds {seconds:.2} peak_kib {peak}");
    Ok(())
}

fn mirror(source: SyntheticStore, target: SyntheticStore) -> SyncJob {
    let guards = Guards::default().with_max_delete(MaxDelete::Percent(100));
    let options = SyncOptions::default().with_deletion(Deletion::Extra).with_guards(guards);
    SyncJob::new(Tree::new(Arc::new(source)), Tree::new(Arc::new(target)), options)
}

/// Plans copies and deletes, half of each, and reads the plan.
async fn plan(differences: u64) -> Result<u64, Error> {
    let side = |name| SyntheticStore::new(differences / 2).below(name);
    let plan = mirror(side("new/"), side("old/")).plan().await.map_err(|stop| format!("{stop:?}"))?;
    plan.actions().try_fold(0, |count, action| Ok(action.map(|_| count + 1)?))
}

/// Deletes all but one object.
async fn delete(differences: u64) -> Result<u64, Error> {
    let job = mirror(SyntheticStore::new(1), SyntheticStore::new(differences + 1));
    Ok(job.run().await.into_result()?.deleted)
}

/// Reports skips and failures, half of each, and reads the report.
fn report(differences: u64) -> Result<usize, Error> {
    let mut report = Report::default();
    for number in 0..differences / 2 {
        let key = Key::from(format!("a directory/and a file with a number {number}"));
        let error = StoreError::new(ErrorKind::Denied, Operation::Write).with_key(&key).with_message("access denied");
        let kind = FailureKind::Error;
        report.failed.push(Failure { key: key.clone(), action: FailedAction::Copy, kind, error });
        report.skipped.push((key, SkipReason::Vanished));
    }
    let skipped = report.skipped.iter().try_fold(0, |count, skip| skip.map(|_| count + 1))?;
    let failed = report.failed.iter().try_fold(0, |count, failure| failure.map(|_| count + 1))?;
    Ok(skipped + failed)
}
