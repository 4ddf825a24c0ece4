//! Runs a command as the only child of a new process of this benchmark, so that the kernel's figures for children are
//! those of the command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// What a command used.
pub(crate) struct Run {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    /// Peak resident memory in bytes.
    pub(crate) peak: u64,
    /// The requests the server received meanwhile.
    pub(crate) requests: String,
}

/// The first argument of a process that is to run a command and tell what it used.
pub(crate) const MARK: &str = "--run-and-tell";

/// Runs a command, drops what it writes, and prints its CPU time and wall time in microseconds and its peak memory in KiB.
pub(crate) fn run_and_tell(command: &[&str]) {
    let begin = Instant::now();
    let status = Command::new(command[0]).args(&command[1..]).stdout(Stdio::null()).status().unwrap();
    // A check that finds differences ends with 3.
    assert!(matches!(status.code(), Some(0 | 3)), "{command:?}: {status}");
    let wall = begin.elapsed().as_micros();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{cpu} {wall} {}", usage.max_rss());
}

/// Runs this program with arguments of its own.
pub(crate) fn run_self(arguments: &[&str]) -> Run {
    run(&std::env::current_exe().unwrap(), arguments, &[])
}

/// Runs a command with these variables in its environment.
pub(crate) fn run(program: &Path, arguments: &[&str], environment: &[(String, String)]) -> Run {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(MARK).arg(program).args(arguments).envs(environment.iter().cloned());
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let &[cpu, wall, peak] = numbers.as_slice() else { panic!("{program:?} {arguments:?}: {text}") };
    let (cpu, wall) = (Duration::from_micros(cpu), Duration::from_micros(wall));
    Run { cpu, wall, peak: peak * 1024, requests: String::new() }
}

/// Builds the command line as it is released and returns its path.
pub(crate) fn build_command_line() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["build", "--release", "-q", "-p", "pos3-cli"]).status().unwrap();
    assert!(status.success(), "pos3-cli does not build");
    // The servers of this package are built beside it.
    Path::new(env!("CARGO_BIN_EXE_null-s3-server")).with_file_name("pos3-cli")
}
