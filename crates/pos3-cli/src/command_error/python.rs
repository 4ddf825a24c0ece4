//! The errors of `download`, `upload` and `ls`, which the Python program of the same name has, too. The text about an unknown
//! profile is that of the Python program, because scripts look for it.

use pos3::{Error, FailedAction, ProfileError, Report, SessionError, one_line};

use super::{CommandError, session};
use crate::exit::Exit;
use crate::hints;
use crate::lines::Lines;
use crate::size;

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Download,
    Upload,
}

impl Direction {
    /// Returns `download` or `upload`.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
        }
    }
}

impl CommandError {
    /// Returns the error of one of these commands that could not start. An invalid location or profile is a failure
    /// (code 1), not a usage error.
    pub(crate) fn of_python_command(error: &Error) -> Self {
        let exit = match error {
            Error::Location(_)
            | Error::UnknownProfile { .. }
            | Error::Profile { .. }
            | Error::SourceIsFile { .. }
            | Error::SourceIsSpecial { .. } => Exit::Failed,
            error => super::exit(error),
        };
        Self::new(exit, not_started(error)).with_hint(hints::for_error(error))
    }

    /// Returns the error of a session that could not start.
    pub(crate) fn of_python_session(error: &SessionError) -> Self {
        match error {
            SessionError::Open(error) => Self::of_python_command(error),
            error => Self::from(error).with_hint(hint(error)),
        }
    }

    /// Returns the error of a transfer. `signal` is the exit code of the signal that ended it, if one did.
    pub(crate) fn of_transfer(direction: Direction, error: &SessionError, lines: &Lines, signal: Option<Exit>) -> Self {
        let exit = match error {
            SessionError::Open(error) => Self::of_python_command(error).exit,
            error => session::exit(error, signal),
        };
        Self::new(exit, failed(direction, error, lines)).with_hint(hint(error))
    }
}

/// Returns the hint, with the options of these commands.
fn hint(error: &SessionError) -> Option<String> {
    let hint = session::hint(error)?;
    Some(match error {
        SessionError::Missing { .. } => {
            format!("{hint}; with --delete, --allow-empty accepts a location that is empty")
        }
        _ => hint,
    })
}

fn not_started(error: &Error) -> String {
    match error {
        Error::Profile { source, .. } => match &**source {
            ProfileError::Unknown { name, looked } => format!("Unknown profile: '{name}'; {looked}"),
            _ => one_line(error),
        },
        Error::UnknownProfile { profile, .. } => format!("Unknown profile: '{profile}'"),
        error => one_line(error),
    }
}

/// Returns the cause in one line: `2 files not uploaded: ` and the first failure.
fn failed(direction: Direction, error: &SessionError, lines: &Lines) -> String {
    match error {
        SessionError::Open(error) => not_started(error),
        SessionError::Several(errors) if errors.len() == 1 => {
            errors.iter().map(|only| failed(direction, only, lines)).collect()
        }
        SessionError::Transfer { report, .. } if report.0.stopped.is_none() => match report.0.failed.head().first() {
            Some(first) => format!("{}: {}", not_done(direction, &report.0), lines.failure(first)),
            None => session::message(error),
        },
        error => session::message(error),
    }
}

/// Returns how many files a transfer did not copy or delete because of failures.
fn not_done(direction: Direction, report: &Report) -> String {
    let verb = match direction {
        Direction::Download => "downloaded",
        Direction::Upload => "uploaded",
    };
    let counts = [(FailedAction::Copy, verb), (FailedAction::Delete, "deleted")];
    let counts = counts.map(|(action, verb)| (report.failed.of(action), verb));
    let named = counts.iter().filter(|(count, _)| *count > 0);
    let named: Vec<_> = named.map(|(count, verb)| format!("{} not {verb}", size::counted(*count, "file"))).collect();
    named.join(", ")
}
