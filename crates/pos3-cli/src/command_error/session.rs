//! The errors of sessions.

use pos3::{Error, SessionError, Stop, one_line};

use super::CommandError;
use crate::exit::Exit;
use crate::hints;

impl From<&SessionError> for CommandError {
    fn from(error: &SessionError) -> Self {
        Self::new(exit(error, None), message(error)).with_hint(hint(error))
    }
}

/// Returns the exit code. `signal` is the code of the signal that ended the run, if one did.
pub(super) fn exit(error: &SessionError, signal: Option<Exit>) -> Exit {
    match error {
        // A session can copy one file, so this is not refused for safety.
        SessionError::Open(error) if matches!(**error, Error::SourceIsFile { .. } | Error::SourceIsSpecial { .. }) => {
            Exit::Failed
        }
        SessionError::Open(error) => super::exit(error),
        SessionError::Transfer { report, .. } => match &report.0.stopped {
            Some(Stop::Listing { .. }) => Exit::Failed,
            _ => Exit::of_report(&report.0, signal),
        },
        SessionError::Several(errors) => match errors.as_slice() {
            [only] => exit(only, signal),
            _ => signal.unwrap_or(Exit::Failed),
        },
        SessionError::Different { .. }
        | SessionError::RemoteConflict { .. }
        | SessionError::LocalConflict { .. }
        | SessionError::Conflicts(_)
        | SessionError::NameTaken(_)
        | SessionError::NoInterval { .. }
        | SessionError::BadPattern { .. }
        | SessionError::FileExcluded { .. }
        | SessionError::BadRate(_) => Exit::Usage,
        SessionError::Waiting { .. } => signal.unwrap_or(Exit::Failed),
        _ => Exit::Failed,
    }
}

/// Returns the error in one line.
pub(super) fn message(error: &SessionError) -> String {
    match error {
        SessionError::Open(error) => one_line(&**error),
        SessionError::Several(errors) if errors.len() == 1 => errors.iter().map(message).collect(),
        other => one_line(other),
    }
}

pub(super) fn hint(error: &SessionError) -> Option<String> {
    match error {
        SessionError::Open(error) => hints::for_error(error),
        SessionError::Transfer { report, conflicts, .. } => match (&report.0.stopped, conflicts.first()) {
            (Some(stop), _) => hints::for_stop(stop),
            (None, Some(pair)) if report.0.failed.is_empty() => Some(hints::for_conflict(pair)),
            (None, _) => hints::for_report(&report.0, hints::Advice::OF_SESSIONS),
        },
        SessionError::Several(errors) => errors.iter().find_map(hint),
        SessionError::Missing { location } => Some(hints::for_nothing(location)),
        SessionError::Moved { .. } => Some(hints::for_moved()),
        SessionError::FileExcluded { .. } | SessionError::AllExcluded { .. } => Some(hints::EXCLUDED.to_owned()),
        SessionError::HiddenByObject { .. } => Some(hints::HIDDEN_BY_OBJECT.to_owned()),
        SessionError::OtherServer { path, record, .. } => Some(hints::for_other_server(path, record)),
        SessionError::ServerUnknown { path, record, at, .. } => Some(hints::for_unknown_server(path, record, at)),
        SessionError::OutputOfUnknownServer { mark, output, .. } => {
            Some(hints::for_output_of_unknown_server(mark, output.as_deref()))
        }
        SessionError::ServerNotRecorded { .. } => Some(hints::OTHER_CACHE.to_owned()),
        _ => None,
    }
}
