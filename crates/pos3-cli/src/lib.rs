//! The command line of pos3: it parses arguments, calls the library and prints the result.
//!
//! It is a library only because two binaries share it.

mod args;
mod cli;
mod command_error;
mod commands;
mod envelope;
mod exit;
mod hints;
mod invocation;
mod json;
mod limits;
mod lines;
mod name;
mod output;
mod progress;
mod shell;
mod signals;
mod summary;
mod tether;
mod warnings;

use std::process::ExitCode;
use std::time::Duration;

use pos3::human as size;

use crate::command_error::{CommandError, ErrorPrefix};
use crate::exit::Exit;

/// The maximum time that background work may delay the end of the process.
const LEFTOVERS: Duration = Duration::from_millis(100);

/// Executes the command line of the process and returns the exit code.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(output::panicked));
    let arguments: Vec<_> = std::env::args_os().collect();
    name::take(arguments.first().map(std::ffi::OsString::as_os_str));
    if let Some(not_started) = tether::take_over(&arguments) {
        return not_started.into();
    }
    let asked = cli::Asked::of(&arguments);
    let exit = match cli::parse(arguments) {
        Ok(cli) => run(&cli, &asked),
        Err(error) => cli::usage(error, &asked),
    };
    output::end(exit).into()
}

fn run(cli: &cli::Cli, asked: &cli::Asked) -> Exit {
    if !cli.command.runs_a_program() {
        limits::raise_open_files();
    }
    let runtime = match limits::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = CommandError::of_start(&error);
            error.report(ErrorPrefix::Error);
            asked.write_error(&error);
            return error.exit;
        }
    };
    let exit = runtime.block_on(async {
        signals::survive_the_limit_of_file_sizes();
        cli.command.execute().await
    });
    runtime.shutdown_timeout(LEFTOVERS);
    exit
}
