//! What the client costs: CPU per object, CPU and memory per gibibyte, requests by kind.
//!
//! `cargo bench -p pos3-tests` prints a table. The command line runs as a person would run it, against a server in another
//! process that does next to nothing, so that the client is what is measured. CPU is user and system time of the whole
//! process, from start to exit; times of day are shown, but on a small machine they measure the server as well.
//!
//! Each row is the cheapest of several runs, each into a directory or prefix of its own: deleting many files makes creating
//! others dear for a while. Rows in brackets are the floor: the same files written by a plain loop in a process of its own.
//! It runs right before each download, so both find the machine's memory in the same state; memory that the system has to
//! fetch first can cost more than all the rest.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot go on stops"
)]

mod differences;
mod latency;
mod measure;
mod server;
mod tree;

use std::fs;
use std::path::Path;

use measure::Run;
use server::Server;

const FILES: u64 = 10_000;
const FILE: usize = 4096;
const GIB: u64 = 1 << 30;

/// Files of the tree that nothing is to be done with.
const MANY: u64 = 200_000;

/// How often each row is measured.
const RUNS: usize = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [measure::MARK, command @ ..] => return measure::run_and_tell(command),
        [SMALL_FLOOR, root] => return tree::small_files(Path::new(root), FILES, FILE),
        [LARGE_FLOOR, root] => return tree::large_file(Path::new(root), GIB),
        _ => {}
    }
    let cli = measure::build_command_line();
    if let Some(place) = arguments.iter().position(|argument| *argument == DIFFERENCES) {
        return differences::run(&cli, &arguments[place + 1..]);
    }
    if arguments.contains(&LATENCY) {
        return latency::run(&cli);
    }
    println!("{:<34}{:>12}{:>10}{:>10}  requests", "workload", "CPU", "wall s", "peak MiB");
    let directory = tempfile::tempdir().unwrap();
    small_files(&cli, directory.path());
    many_files(&cli, directory.path());
    digests(&cli, directory.path());
    large_file(&cli, directory.path());
}

/// The argument that asks for the memory that many differences take, and for nothing else.
const DIFFERENCES: &str = "differences";

/// The argument that asks for the time of small files over a long round trip, and for nothing else.
const LATENCY: &str = "latency";

/// Arguments with which this program writes the files itself.
const SMALL_FLOOR: &str = "--write-small-files";
const LARGE_FLOOR: &str = "--write-large-file";

/// 10,000 files of 4 KiB: up, down, and nothing to do, which what is remembered tells, or the times.
fn small_files(cli: &Path, directory: &Path) {
    let server = Server::null(directory);
    let source = directory.join("small");
    tree::small_files(&source, FILES, FILE);
    let sync = |from: &str, to: &str| server.run(cli, &["sync", from, to, "-q"]);
    let [mut up, mut down, mut still, mut still_by_time, mut floor] = [const { Vec::new() }; 5];
    for run in 0..RUNS {
        let (bucket, back) = (format!("s3://bench/small-{run}"), directory.join(format!("small-back-{run}")));
        up.push(sync(text(&source), &bucket));
        floor.push(measure::run_self(&[SMALL_FLOOR, text(&directory.join(format!("small-floor-{run}")))]));
        down.push(sync(&bucket, text(&back)));
        still.push(sync(text(&source), &bucket));
        still_by_time.push(server.run(cli, &["sync", &bucket, text(&back), "-q", "--no-manifest"]));
        assert_eq!(tree::count(&back), FILES, "the benchmark must have moved the files");
    }
    per_object("10,000 x 4 KiB up", &up, FILES);
    per_object("10,000 x 4 KiB down", &down, FILES);
    per_object("[10,000 x 4 KiB, a plain loop]", &floor, FILES);
    per_object("nothing to do, remembered", &still, FILES);
    per_object("nothing to do, by time", &still_by_time, FILES);
}

/// Nothing to do in a large tree: what it costs to remember it, beside one walk and one listing.
fn many_files(cli: &Path, directory: &Path) {
    let server = Server::null(directory);
    let source = directory.join("many");
    tree::small_files(&source, MANY, 8);
    let sync =
        |further: &[&str]| server.run(cli, &[&["sync", text(&source), "s3://bench/many", "-q"], further].concat());
    sync(&[]);
    let [mut still, mut floor] = [const { Vec::new() }; 2];
    for _ in 0..RUNS {
        still.push(sync(&[]));
        floor.push(sync(&["--no-manifest", "--size-only"]));
    }
    per_object("200,000 files, remembered", &still, MANY);
    per_object("[200,000 files, walked and listed]", &floor, MANY);
}

/// 10,000 files that were uploaded from here by somebody who remembers nothing: their times differ from the objects', so
/// they are hashed.
fn digests(cli: &Path, directory: &Path) {
    let server = Server::real(directory);
    let source = directory.join("small");
    let sync = || server.run(cli, &["sync", text(&source), "s3://bench/small", "-q", "--no-manifest"]);
    sync();
    per_object("nothing to do, by digest", &(0..RUNS).map(|_| sync()).collect::<Vec<_>>(), FILES);
}

fn large_file(cli: &Path, directory: &Path) {
    let server = Server::null(directory);
    let (source, target, plain) =
        (directory.join("large"), directory.join("large-back"), directory.join("large-floor"));
    tree::large_file(&source, GIB);
    let [mut up, mut down, mut floor] = [const { Vec::new() }; 3];
    for run in 0..RUNS {
        let bucket = format!("s3://bench/large-{run}");
        up.push(server.run(cli, &["sync", text(&source), &bucket, "-q"]));
        floor.push(measure::run_self(&[LARGE_FLOOR, text(&plain)]));
        fs::remove_dir_all(&plain).unwrap();
        down.push(server.run(cli, &["sync", &bucket, text(&target), "-q"]));
        assert_eq!(tree::bytes(&target), GIB, "the benchmark must have moved the bytes");
        fs::remove_dir_all(&target).unwrap();
    }
    whole("1 GiB up", &up);
    whole("1 GiB down", &down);
    whole("[1 GiB, a plain loop]", &floor);
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn per_object(workload: &str, runs: &[Run], objects: u64) {
    row(workload, |run| format!("{:.1} us/obj", run.cpu.as_secs_f64() * 1e6 / objects as f64), runs);
}

fn whole(workload: &str, runs: &[Run]) {
    row(workload, |run| format!("{:.2} s", run.cpu.as_secs_f64()), runs);
}

/// Prints the cheapest of several runs, with the highest peak of memory among them.
fn row(workload: &str, cpu: impl Fn(&Run) -> String, runs: &[Run]) {
    let best = runs.iter().min_by_key(|run| run.cpu).expect("every row has a run");
    let peak = runs.iter().map(|run| run.peak).max().unwrap_or_default() as f64 / f64::from(1 << 20);
    println!("{workload:<34}{:>12}{:>10.2}{peak:>10.1}  {}", cpu(best), best.wall.as_secs_f64(), best.requests);
}
