//! The errors of a program that `run` cannot start, with the exit codes of shells.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::CommandError;
use crate::exit::Exit;

/// The exit code of shells for a program that does not exist.
const NOT_FOUND: u8 = 127;

/// The exit code of shells for a program that cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

impl CommandError {
    /// Returns the error of a program that does not exist.
    pub(crate) fn no_program(name: &OsStr) -> Self {
        Self::new(Exit::Program(NOT_FOUND), format!("there is no program '{}'", name.display()))
    }

    /// Returns the error of a program that lacks a file that it needs to start.
    pub(crate) fn program_incomplete(message: impl Into<String>) -> Self {
        Self::new(Exit::Program(NOT_FOUND), message)
    }

    /// Returns the error of a program that cannot be started.
    pub(crate) fn program_not_started(name: &OsStr, error: &io::Error) -> Self {
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        if is_missing && Path::new(name).is_file() {
            let why = "a file that it needs to start is missing";
            return Self::program_incomplete(format!("'{}' cannot be executed: {why}", name.display()));
        }
        if is_missing {
            return Self::no_program(name);
        }
        Self::new(Exit::Program(NOT_EXECUTABLE), format!("'{}' cannot be executed: {error}", name.display()))
    }
}
