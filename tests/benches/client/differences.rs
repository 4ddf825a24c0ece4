//! Measures the memory of each command for many differences: `cargo bench -p pos3-tests -- differences`.
//!
//! Optional arguments are the numbers of differences: `-- differences 100000 1000000`.

use std::path::Path;

use crate::measure::Run;
use crate::server::Server;

/// How many differences, unless it is said.
const DIFFERENCES: [u64; 3] = [100_000, 1_000_000, 5_000_000];

/// Measures each command with these numbers of differences.
pub(crate) fn run(cli: &Path, numbers: &[&str]) {
    let given: Vec<u64> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
    println!("{:<34}{:>12}{:>10}{:>10}", "command", "differences", "wall s", "peak MiB");
    for differences in if given.is_empty() { DIFFERENCES.to_vec() } else { given } {
        let directory = tempfile::tempdir().unwrap();
        let bench = Bench { cli, directory: directory.path(), differences };
        bench.copies();
        bench.deletes();
    }
}

struct Bench<'a> {
    cli: &'a Path,
    directory: &'a Path,
    differences: u64,
}

impl Bench<'_> {
    /// What only the source has: none of it is copied.
    fn copies(&self) {
        let server = self.server("new/");
        let plan = self.directory.join("copies.jsonl");
        let plan = plan.to_str().unwrap();
        self.row("sync --dry-run", &server, &["sync", "-n", "s3://bench/new", "s3://bench/one"]);
        self.row("sync --dry-run --json", &server, &["sync", "-n", "--json", "s3://bench/new", "s3://bench/one"]);
        self.row("plan -o", &server, &["plan", "s3://bench/new", "s3://bench/one", "-o", plan]);
        self.row("apply --dry-run", &server, &["apply", "-n", plan]);
        self.row("check", &server, &["check", "s3://bench/new", "s3://bench/one"]);
        self.row("check --json", &server, &["check", "--json", "s3://bench/new", "s3://bench/one"]);
        self.row("ls -r --json", &server, &["ls", "-r", "--json", "s3://bench/new/"]);
    }

    /// What only the target has: all of it is deleted, and before that planned.
    fn deletes(&self) {
        let everything = ["--delete", "--max-delete", "100%"];
        let plan = self.directory.join("deletes.jsonl");
        let plan = plan.to_str().unwrap();
        let server = self.server("old/");
        let places = ["s3://bench/one", "s3://bench/old"];
        self.row("plan --delete -o", &server, &[&["plan", "-o", plan][..], &places, &everything].concat());
        self.row("apply, deletes", &server, &["apply", plan]);
        let server = self.server("old/");
        self.row("sync --delete", &server, &[&["sync"][..], &places, &everything].concat());
    }

    fn server(&self, below: &str) -> Server {
        let many = format!("bench/{below}={}", self.differences);
        Server::null_with(&["--fill", &many, "--fill", "bench/one/=1", "--threads", "1"], self.directory)
    }

    fn row(&self, command: &str, server: &Server, arguments: &[&str]) {
        let Run { wall, peak, .. } = server.run(self.cli, arguments);
        let peak = peak as f64 / f64::from(1 << 20);
        println!("{command:<34}{:>12}{:>10.2}{peak:>10.1}", self.differences, wall.as_secs_f64());
    }
}
