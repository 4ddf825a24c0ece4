//! The command `pos3`: the program `pos3-cli` under a short name.
//!
//! It only starts `pos3-cli`, which is installed in the same directory, in the same process. A second complete program
//! would double the size of the installation and nearly double the time to link it.
#![allow(clippy::print_stderr, reason = "its only message")]

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let error = match program() {
        Ok(program) => {
            let mut arguments = std::env::args_os();
            let name = arguments.next().unwrap_or_else(|| "pos3".into());
            let error = Command::new(&program).arg0(name).args(arguments).exec();
            format!("cannot start '{}': {error}", program.display())
        }
        Err(error) => format!("cannot find its own directory: {error}"),
    };
    eprintln!("error: pos3 {error}\nhint: install pos3 and pos3-cli in the same directory");
    ExitCode::FAILURE
}

/// Returns the path of `pos3-cli`. A link to this program is followed first.
fn program() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.canonicalize().unwrap_or(own).with_file_name("pos3-cli"))
}
