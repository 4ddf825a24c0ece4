//! Merges two equal listings of many entries and prints the time and the memory: `merge-memory 1000000`.
//!
//! It is a separate process, so that its peak memory is that of the engine.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::Arc;
use std::time::Instant;

use pos3_core::{SyncJob, SyncOptions, Tree};
use pos3_tests::process::peak_memory;
use pos3_tests::synthetic::SyntheticStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let entries: u64 = std::env::args().nth(1).unwrap_or_else(|| "1000000".into()).parse()?;
    let tree = || Tree::new(Arc::new(SyntheticStore::new(entries)));
    let begin = Instant::now();
    let report = SyncJob::new(tree(), tree(), SyncOptions::default()).run().await.into_result()?;
    let (seconds, peak) = (begin.elapsed().as_secs_f64(), peak_memory()?);
    println!("unchanged {} seconds {seconds:.2} peak_kib {}", report.tally.unchanged, peak / 1024);
    Ok(())
}
