//! The errors of workspaces.

use pos3::{WorkspaceError, one_line};

use super::CommandError;
use crate::exit::Exit;
use crate::hints;

impl CommandError {
    /// Returns the error of a workspace. `signal` is the code of the signal that ended the command, if one did.
    pub(crate) fn of_workspace(error: &WorkspaceError, signal: Option<Exit>) -> Self {
        match error {
            WorkspaceError::Open(error) => error.into(),
            WorkspaceError::Shared(error) => Self::of_workspace(error, signal),
            WorkspaceError::Stopped(incomplete) => {
                let hint = incomplete.0.stopped.as_ref().and_then(hints::for_stop);
                Self::new(Exit::of_report(&incomplete.0, signal), one_line(incomplete)).with_hint(hint)
            }
            error => Self::new(exit(error), one_line(error)),
        }
    }
}

fn exit(error: &WorkspaceError) -> Exit {
    match error {
        WorkspaceError::Pattern(_)
        | WorkspaceError::NoPrefix { .. }
        | WorkspaceError::NoConcurrency { .. }
        | WorkspaceError::NoLocation(_) => Exit::Usage,
        WorkspaceError::OtherLocation { .. }
        | WorkspaceError::NothingToPull { .. }
        | WorkspaceError::NoSpace { .. }
        | WorkspaceError::TooLarge { .. } => Exit::Refused,
        _ => Exit::Failed,
    }
}
