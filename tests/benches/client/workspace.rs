//! Measures the pull of a workspace over a connection with a long round trip: `cargo bench -p pos3-tests -- workspace`.
//!
//! The optimum is the time that the responses need if the given number of requests is always in flight: one after the other
//! for the pages of the listing, and then one per file.

use std::fs;
use std::path::Path;

use crate::measure::Run;
use crate::server::Server;
use crate::{FILE, RUNS, text, tree};

/// The number of files: that of the workspace whose pull the documentation of `s3-workspace-sync` gives as about 10 s.
const FILES: u64 = 2_116;

/// The number of files in flight.
const IN_FLIGHT: u64 = 50;

/// The delay of each response in milliseconds.
const DELAY: u64 = 30;

/// Measures a first pull, one without changes, and a push without changes.
pub(crate) fn run(cli: &Path) {
    println!("{:<34}{:>12}{:>10}{:>10}  requests", "workload", "optimum s", "wall s", "peak MiB");
    let directory = tempfile::tempdir().unwrap();
    let server = Server::null_with(&["--delay-ms", &DELAY.to_string()], directory.path());
    let source = directory.path().join("source");
    tree::small_files(&source, FILES, FILE);
    let location = "s3://bench/users/7";
    server.run(cli, &["sync", text(&source), location, "-q"]);
    let [mut cold, mut warm, mut push] = [const { Vec::new() }; 3];
    for run in 0..RUNS {
        let workspace = directory.path().join(format!("ws-{run}"));
        let at_most = IN_FLIGHT.to_string();
        cold.push(server.run(cli, &["pull", text(&workspace), location, "-q", "--downloads", &at_most]));
        warm.push(server.run(cli, &["pull", text(&workspace), "-q"]));
        push.push(server.run(cli, &["push", text(&workspace), "-q"]));
        let fetched =
            fs::read_dir(&source).unwrap().map(|entry| tree::count(&workspace.join(entry.unwrap().file_name())));
        assert_eq!(fetched.sum::<u64>(), FILES, "the pull must have fetched the files");
    }
    let pages = FILES.div_ceil(1000);
    row("2,116 x 4 KiB, first pull, 30 ms", pages + FILES.div_ceil(IN_FLIGHT), &cold);
    row("unchanged, pull", pages, &warm);
    row("unchanged, push", pages, &push);
}

/// Prints the fastest of several runs, beside the time of this many responses one after the other.
fn row(workload: &str, responses: u64, runs: &[Run]) {
    let fastest = runs.iter().min_by_key(|run| run.wall).expect("every row has a run");
    let peak = runs.iter().map(|run| run.peak).max().unwrap_or_default() as f64 / f64::from(1 << 20);
    let optimum = (responses * DELAY) as f64 / 1000.0;
    println!("{workload:<34}{optimum:>12.2}{:>10.2}{peak:>10.1}  {}", fastest.wall.as_secs_f64(), fastest.requests);
}
