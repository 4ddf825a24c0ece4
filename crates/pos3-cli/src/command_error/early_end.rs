//! The errors of runs that ended early, and of plans that could not be made.

use pos3::{Location, Side, Stop, one_line};

use super::CommandError;
use crate::exit::Exit;
use crate::hints;
use crate::lines::Lines;

/// The purpose of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To make the target like the source. Something may have changed.
    Sync,
    /// To make a plan. Nothing has changed.
    Plan,
    /// To compare both sides. Nothing has changed.
    Comparison,
}

impl CommandError {
    /// Returns the error of a run that ended early. `copied` is the number of files that it had copied, and `signal` is the
    /// exit code of the signal that ended it, if one did.
    pub(crate) fn of_stop(
        stop: &Stop,
        purpose: Purpose,
        (from, to): (&Location, &Location),
        copied: u64,
        signal: Option<Exit>,
    ) -> Self {
        let message = match stop {
            Stop::Listing { side, error, .. } => {
                let location = match side {
                    Side::Source => from,
                    Side::Target => to,
                };
                format!("cannot list the {} '{location}': {}", side.as_str(), error.cause())
            }
            Stop::Refused(refusal) if purpose == Purpose::Comparison => format!("cannot compare: {refusal}"),
            Stop::Refused(refusal) => {
                let unchanged = if copied > 0 { "nothing was deleted" } else { "nothing was changed" };
                format!("refused, {unchanged}: {refusal} (source '{from}', target '{to}')")
            }
            Stop::Spill(error) => {
                let failed = match purpose {
                    Purpose::Sync => "the run ended early, nothing more was deleted",
                    Purpose::Plan => "cannot make the plan",
                    Purpose::Comparison => "cannot compare",
                };
                format!("{failed}: {}", one_line(error))
            }
            Stop::Displaced { side, error } => {
                format!(
                    "the {} was moved during the run, so files may be missing there: {}",
                    side.as_str(),
                    error.cause()
                )
            }
            Stop::Fatal(failure) => format!("the run ended early: {}", Lines::new(from, to).failure(failure)),
            Stop::Cancelled if purpose == Purpose::Sync => "ended by a signal; nothing more was deleted".to_owned(),
            Stop::Cancelled => "ended by a signal; nothing was changed".to_owned(),
            other => format!("the run ended early: {other:?}"),
        };
        Self::new(Exit::of_stop(stop, signal), message).with_hint(hints::for_stop(stop))
    }
}
