//! The words of the Python program in the errors of `download`, `upload` and `ls`: scripts look for them.

use pos3::{Error, FailedAction, ProfileError, SessionError, one_line};

use super::session;
use super::transfer::Way;
use crate::lines::Lines;

/// Returns what kept such a command from being begun, in one line.
pub(super) fn not_begun(error: &Error) -> String {
    match error {
        Error::Profile { source, .. } => match &**source {
            ProfileError::Unknown { name, looked } => format!("Unknown profile: '{name}'; {looked}"),
            _ => one_line(error),
        },
        Error::UnknownProfile { profile, .. } => format!("Unknown profile: '{profile}'"),
        error => one_line(error),
    }
}

/// Returns why a transfer failed, in one line: `Download: 2 worker(s) failed: ` and the first failure.
pub(super) fn failed(way: Way, error: &SessionError, lines: &Lines) -> String {
    match error {
        SessionError::Open(error) => not_begun(error),
        SessionError::Several(errors) if errors.len() == 1 => {
            errors.iter().map(|only| failed(way, only, lines)).collect()
        }
        SessionError::Transfer { report, .. } if report.0.stopped.is_none() => match report.0.failed.head().first() {
            Some(first) => {
                let operation = match (first.action, way) {
                    (FailedAction::Delete, _) => "Delete",
                    (FailedAction::Copy, Way::Down) => "Download",
                    (FailedAction::Copy, Way::Up) => "Upload",
                };
                format!("{operation}: {} worker(s) failed: {}", report.0.failed.len(), lines.failure(first))
            }
            None => session::message(error),
        },
        error => session::message(error),
    }
}
