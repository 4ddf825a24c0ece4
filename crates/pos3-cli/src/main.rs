//! The command line of pos3: arguments to options, one library call, output.

mod args;
mod commands;
mod exit;
mod hints;
mod json;
mod lines;
mod output;
mod progress;
mod signals;
mod size;
mod summary;
mod warnings;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::args::Cli;
use crate::exit::Exit;

/// How long work that nobody waits for any more may hold up the end of the process.
const LEFTOVERS: Duration = Duration::from_millis(100);

/// The most threads that drive requests: enough for any network card, few enough not to wake each other up all the time.
const MOST_WORKERS: usize = 8;

fn main() -> ExitCode {
    let cli = Cli::parse().located();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("cannot start: {error}"), None);
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(commands::run(cli));
    runtime.shutdown_timeout(LEFTOVERS);
    exit.into()
}
