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

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::args::Cli;
use crate::exit::Exit;

/// How long work that nobody waits for any more may hold up the end of the process.
const LEFTOVERS: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
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
