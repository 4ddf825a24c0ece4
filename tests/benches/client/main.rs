//! The cost of the client: CPU per object, CPU and memory per gibibyte, requests by kind.
//!
//! `cargo bench -p pos3-tests` prints a table. It runs `pos3-cli` as a user would, against a server in another process that
//! stores only names and sizes, so that the cost of the client dominates. CPU is the user and system time of the whole
//! process, from start to exit. On a small machine, the wall time includes the work of the server.
//!
//! Each row is the cheapest of several runs. Each run writes to its own directory or prefix, because deleting many files
//! makes it slower to create others for a while. Rows in brackets are the floor: a loop in its own process writes the same
//! files. The floor is measured right before each download, so that both find the memory of the machine in the same state.
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
mod workspace;

use std::fs;
use std::path::Path;

use measure::Run;
use server::Server;

const FILES: u64 = 10_000;
const FILE: usize = 4096;
const GIB: u64 = 1 << 30;

/// The number of files in the unchanged tree.
const MANY: u64 = 200_000;

/// The number of runs for each row.
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
    if arguments.contains(&WORKSPACE) {
        return workspace::run(&cli);
    }
    println!("{:<34}{:>12}{:>10}{:>10}  requests", "workload", "CPU", "wall s", "peak MiB");
    let directory = tempfile::tempdir().unwrap();
    small_files(&cli, directory.path());
    many_files(&cli, directory.path());
    digests(&cli, directory.path());
    large_file(&cli, directory.path());
}

/// The argument that selects only the memory for many differences.
const DIFFERENCES: &str = "differences";

/// The argument that selects only the time for small files over a long round trip.
const LATENCY: &str = "latency";

/// The argument that selects only the pull of a workspace over a long round trip.
const WORKSPACE: &str = "workspace";

/// The arguments with which this program runs itself to measure the floor.
const SMALL_FLOOR: &str = "--write-small-files";
const LARGE_FLOOR: &str = "--write-large-file";

/// Uploads and downloads 10,000 files of 4 KiB. Then syncs the unchanged files, once with and once without the sync state.
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
    per_object("unchanged, with sync state", &still, FILES);
    per_object("unchanged, by time", &still_by_time, FILES);
}

/// Syncs a large unchanged tree with the sync state. The floor is one walk and one listing.
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
    per_object("200,000 files, with sync state", &still, MANY);
    per_object("[200,000 files, walked and listed]", &floor, MANY);
}

/// Syncs 10,000 unchanged files after an upload, without the sync state. Their times differ from those of the objects, so
/// they are hashed.
fn digests(cli: &Path, directory: &Path) {
    let server = Server::real(directory);
    let source = directory.join("small");
    let sync = || server.run(cli, &["sync", text(&source), "s3://bench/small", "-q", "--no-manifest"]);
    sync();
    per_object("unchanged, by digest", &(0..RUNS).map(|_| sync()).collect::<Vec<_>>(), FILES);
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
