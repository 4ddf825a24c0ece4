//! What the client costs: CPU per object, CPU and memory per gibibyte, requests by kind.
//!
//! `cargo bench -p pos3-tests` prints a table. The command line runs as a person would run it, against a server in another
//! process that does next to nothing, so that the client is what is measured. CPU is user and system time of the whole
//! process, from start to exit; times of day are shown, but on a small machine they measure the server as well.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot go on stops"
)]

mod measure;
mod server;
mod tree;

use std::path::Path;

use measure::Run;
use server::Server;

const FILES: u64 = 10_000;
const GIB: u64 = 1 << 30;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(command) = measure::command(&arguments) {
        return measure::run_and_tell(command);
    }
    let cli = measure::build_command_line();
    println!("{:<34}{:>12}{:>10}{:>10}  requests", "workload", "CPU", "wall s", "peak MiB");
    let directory = tempfile::tempdir().unwrap();
    small_files(&cli, directory.path());
    digests(&cli, directory.path());
    large_file(&cli, directory.path());
}

/// 10,000 files of 4 KiB: up, down, and nothing to do in both directions, which the times decide.
fn small_files(cli: &Path, directory: &Path) {
    let server = Server::null();
    let (source, target) = (directory.join("small"), directory.join("small-back"));
    tree::small_files(&source, FILES, 4096);
    let sync = |from: &str, to: &str| server.run(cli, &["sync", from, to, "-q"]);
    let (from, bucket, to) = (text(&source), "s3://bench/small", text(&target));
    per_object("10,000 x 4 KiB up", FILES, &sync(from, bucket));
    per_object("10,000 x 4 KiB down", FILES, &sync(bucket, to));
    per_object("nothing to do, down, by time", FILES, &sync(bucket, to));
    per_object("nothing to do, up, by time", FILES, &sync(to, bucket));
    assert_eq!(tree::count(&target), FILES, "the benchmark must have moved the files");
}

/// 10,000 files that were uploaded from here: their times differ from the objects', so they are hashed.
fn digests(cli: &Path, directory: &Path) {
    let server = Server::real();
    let source = directory.join("small");
    server.run(cli, &["sync", text(&source), "s3://bench/small", "-q"]);
    per_object(
        "nothing to do, up, by digest",
        FILES,
        &server.run(cli, &["sync", text(&source), "s3://bench/small", "-q"]),
    );
}

fn large_file(cli: &Path, directory: &Path) {
    let server = Server::null();
    let (source, target) = (directory.join("large"), directory.join("large-back"));
    tree::large_file(&source, GIB);
    whole("1 GiB up", &server.run(cli, &["sync", text(&source), "s3://bench/large", "-q"]));
    whole("1 GiB down", &server.run(cli, &["sync", "s3://bench/large", text(&target), "-q"]));
    assert_eq!(tree::bytes(&target), GIB, "the benchmark must have moved the bytes");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn per_object(workload: &str, objects: u64, run: &Run) {
    row(workload, &format!("{:.0} us/obj", run.cpu.as_secs_f64() * 1e6 / objects as f64), run);
}

fn whole(workload: &str, run: &Run) {
    row(workload, &format!("{:.2} s", run.cpu.as_secs_f64()), run);
}

fn row(workload: &str, cpu: &str, run: &Run) {
    let (wall, peak) = (run.wall.as_secs_f64(), run.peak as f64 / f64::from(1 << 20));
    println!("{workload:<34}{cpu:>12}{wall:>10.2}{peak:>10.1}  {}", run.requests);
}
