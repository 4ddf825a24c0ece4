//! The errors of a run's session, with hints that name the options of `run`.

use pos3::{ErrorKind, FailedAction, Failure, Refusal, Report, SessionError, SkipReason, Stop};

use crate::command_error::CommandError;
use crate::hints;
use crate::output::Text;

/// The hint about deletes that the server denied. A later run has not seen the files, so it does not delete their objects.
const DENIED_DELETES: &str = "ask the bucket's owner for s3:DeleteObject, or omit --delete-remote; a later run does not \
                              delete these objects, so delete them yourself";

/// Returns the error.
pub(super) fn of_session(error: &SessionError) -> CommandError {
    let mut command_error = CommandError::from(error);
    if let Some(hint) = hint(error) {
        command_error.hint = Some(hint);
    }
    command_error
}

/// Returns one line for each pair of files in conflict, if there are several; the error itself names only the first.
pub(super) fn conflicts(error: &SessionError) -> Text {
    let mut text = Text::default();
    add_conflicts(error, &mut text);
    text
}

fn add_conflicts(error: &SessionError, text: &mut Text) {
    match error {
        SessionError::Transfer { conflicts, .. } if conflicts.len() > 1 => {
            conflicts.iter().for_each(|pair| text.line(format!("conflict: '{}' and '{}'", pair.local, pair.remote)));
        }
        SessionError::Several(errors) => errors.iter().for_each(|error| add_conflicts(error, text)),
        _ => {}
    }
}

/// Returns the hint for an error whose hint differs from that of other commands.
fn hint(error: &SessionError) -> Option<String> {
    match error {
        SessionError::Transfer { report, .. } => match &report.0.stopped {
            Some(Stop::Refused(Refusal::TooManyDeletes { deletes, .. })) => {
                Some(format!("nothing was deleted; if so many deletes are intended, add --max-delete {deletes}"))
            }
            Some(Stop::Fatal(failure)) if is_denied_delete(failure) => Some(DENIED_DELETES.to_owned()),
            None if report.0.failed.is_empty() => for_skips(&report.0),
            None if report.0.failed.head().iter().all(is_denied_delete) => Some(DENIED_DELETES.to_owned()),
            _ => None,
        },
        SessionError::Several(errors) => errors.iter().find_map(|error| of_session(error).hint),
        _ => None,
    }
}

fn is_denied_delete(failure: &Failure) -> bool {
    failure.action == FailedAction::Delete && failure.error.kind() == ErrorKind::Denied
}

/// Returns the hint about keys that cannot be copied because the other side has an entry of another kind at the same
/// path.
fn for_skips(report: &Report) -> Option<String> {
    let skips = |is_wanted: fn(&SkipReason) -> bool| report.skipped.any(is_wanted);
    let hint = if skips(SkipReason::is_conflict) {
        return None;
    } else if skips(|why| matches!(why, SkipReason::OtherShape(_))) {
        "the new files are uploaded; delete the old objects in the bucket (--delete-remote deletes what a program \
         removes, in the run that removes it)"
    } else if skips(hints::is_behind_link) {
        "delete the local link to download the object, or upload what links lead to with --follow-symlinks"
    } else if skips(|why| matches!(why, SkipReason::Clash(_))) {
        "a disk cannot hold a file and a directory of one name; delete one of the two in the bucket, or leave one out \
         with --exclude; if the other one is only a local file that is no longer needed, delete it"
    } else {
        return None;
    };
    Some(hint.to_owned())
}
