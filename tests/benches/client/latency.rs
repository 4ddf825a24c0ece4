//! Measures many small files over a connection with a long round trip: `cargo bench -p pos3-tests -- latency`.
//!
//! The time depends on the number of requests in flight, and hardly on the CPU. So the table shows wall time.

use std::path::Path;

use crate::measure::Run;
use crate::server::Server;
use crate::{FILE, RUNS, text, tree};

/// The number of files.
const FILES: u64 = 3_000;

/// The delay of each response in milliseconds.
const DELAY: &str = "20";

/// Measures uploads and downloads with each maximum of requests in flight.
pub(crate) fn run(cli: &Path) {
    println!("{:<34}{:>12}{:>10}{:>10}", "workload", "at most", "wall s", "peak MiB");
    let directory = tempfile::tempdir().unwrap();
    let server = Server::null_with(&["--delay-ms", DELAY], directory.path());
    let source = directory.path().join("small");
    tree::small_files(&source, FILES, FILE);
    for most in ["16", "64", "256", "1024"] {
        let [mut up, mut down] = [const { Vec::new() }; 2];
        for run in 0..RUNS {
            let (bucket, back) =
                (format!("s3://bench/{most}-{run}"), directory.path().join(format!("back-{most}-{run}")));
            up.push(server.run(cli, &["sync", text(&source), &bucket, "-q", "-j", most]));
            down.push(server.run(cli, &["sync", &bucket, text(&back), "-q", "-j", most]));
            assert_eq!(tree::count(&back), FILES, "the benchmark must have moved the files");
        }
        row("3,000 x 4 KiB up, 20 ms", most, &up);
        row("3,000 x 4 KiB down, 20 ms", most, &down);
    }
}

/// Prints the fastest of several runs, with the highest peak of memory among them.
fn row(workload: &str, most: &str, runs: &[Run]) {
    let fastest = runs.iter().map(|run| run.wall).min().expect("every row has a run");
    let peak = runs.iter().map(|run| run.peak).max().unwrap_or_default() as f64 / f64::from(1 << 20);
    println!("{workload:<34}{most:>12}{:>10.2}{peak:>10.1}", fastest.as_secs_f64());
}
