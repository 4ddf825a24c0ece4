//! The result of a run, including its failures.
//!
//! The failure of one file is not an `Err`, because one bad file must not stop the rest. Instead, a [`Report`] must be
//! used, and [`Report::into_result`] returns an error unless the whole run was clean.

mod failures;
mod refusal;
mod skips;
mod tally;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, StoreError};
use crate::key::Key;
use crate::side::Side;
use crate::spill::SpillError;
use crate::store::{CONTRADICTED, Usage};

pub use failures::Failures;
pub use refusal::Refusal;
pub use skips::Skips;
pub use tally::Tally;

/// The result of a sync.
#[must_use = "a report contains the failures"]
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The counts from planning.
    pub tally: Tally,
    /// Files and objects copied.
    pub copied: u64,
    /// The bytes of these files and objects.
    pub copied_bytes: u64,
    /// Copies that no checksum covers: only their length was checked.
    pub unverified: u64,
    /// Files and objects deleted from the target.
    pub deleted: u64,
    /// Deletes that were planned but not executed because something failed before them.
    pub withheld: u64,
    /// Copies that were not started because the run ended early.
    pub not_begun: NotBegun,
    /// The keys that were skipped, with the reasons.
    pub skipped: Skips,
    /// The actions that failed.
    pub failed: Failures,
    /// Problems that did not stop the run, such as a listing that had to be sorted.
    pub warnings: Vec<String>,
    /// Why the run ended early, if it did.
    pub stopped: Option<Stop>,
    /// The requests sent to all stores of the sync, by kind.
    pub usage: Usage,
    /// The elapsed time.
    pub elapsed: Duration,
}

/// The number of copies that were not started because the run ended early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotBegun {
    /// None.
    #[default]
    Nothing,
    /// Exactly this many.
    Copies(u64),
    /// At least this many: the run ended while it was still listing, so there may be more.
    AtLeast(u64),
}

impl NotBegun {
    /// Returns how many copies are known not to have been started.
    pub fn known(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Copies(count) | Self::AtLeast(count) => count,
        }
    }
}

/// One action that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The relative key.
    pub key: Key,
    /// The action that was tried.
    pub action: FailedAction,
    /// How it failed.
    pub kind: FailureKind,
    /// Why it failed.
    pub error: StoreError,
}

/// The kinds of action that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailedAction {
    /// A copy.
    Copy,
    /// A delete.
    Delete,
}

/// How an action failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// It could not be completed.
    Error,
    /// The source kept changing while it was read. The target is unchanged.
    Changed,
    /// Another directory than at the beginning of the run is at the path of one side.
    Displaced,
    /// This side no longer matches the plan. The target was left alone.
    Stale(Side),
    /// The copy was made, but no checksum covers it, and the options require one.
    Unverified,
}

/// Why a run ended early.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stop {
    /// A listing failed. Nothing was deleted.
    Listing {
        /// The side whose listing failed.
        side: Side,
        /// The tree of that side, as a user would write it.
        place: String,
        /// The error.
        error: StoreError,
    },
    /// A guard refused the plan, and nothing was changed. [`Refusal::SamePlace`] can also end a run after its first
    /// copies; nothing was deleted then either.
    Refused(Refusal),
    /// Every further action would have failed in the same way. Copies in flight were finished, and no other action was
    /// started.
    Fatal(Failure),
    /// The caller cancelled the run. Nothing more was deleted.
    Cancelled,
    /// A temporary file for the plan could not be used. Nothing more was deleted.
    Spill(SpillError),
    /// At the end of the run, another directory than at its beginning was at the path of one side, or none. So the files
    /// that were written may be elsewhere.
    Displaced {
        /// The side.
        side: Side,
        /// The error, which names the path.
        error: StoreError,
    },
}

impl Failure {
    /// Returns true if another failure has the same action, operation and kind of error, and so probably the same
    /// cause.
    pub fn is_like(&self, other: &Self) -> bool {
        let cause = |failure: &Self| (failure.action, failure.error.operation(), failure.error.kind());
        cause(self) == cause(other)
    }

    /// Returns the cause as one line, without the action and the key.
    pub fn cause(&self) -> String {
        let what = match self.kind {
            FailureKind::Changed if self.is_contradicted() => "it cannot be read reliably; the target is as it was",
            FailureKind::Changed => "it kept changing while it was read; the target is as it was",
            FailureKind::Stale(Side::Source) if self.action == FailedAction::Delete => {
                "the source has it again, so it was not deleted"
            }
            FailureKind::Stale(Side::Source) => "the source has changed since the plan was made, so it was skipped",
            FailureKind::Stale(Side::Target) => "the target has changed since it was listed, so it was skipped",
            FailureKind::Error | FailureKind::Unverified | FailureKind::Displaced => return self.error.cause(),
        };
        match self.is_contradicted() {
            true => format!("{what}: the server's answers contradict each other, so a cache may return an old object"),
            false => what.to_owned(),
        }
    }

    /// Returns true if the store gave contradicting answers about the entry.
    fn is_contradicted(&self) -> bool {
        self.error.code() == Some(CONTRADICTED)
    }
}

impl FailureKind {
    /// Returns true if one of the sides no longer matches the plan.
    pub fn is_stale(self) -> bool {
        matches!(self, Self::Stale(_))
    }

    /// Returns the identifier for programs, as in machine-readable output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Changed => "changed",
            Self::Displaced => "displaced",
            Self::Stale(_) => "stale",
            Self::Unverified => "unverified",
        }
    }
}

impl Report {
    /// Writes the rows of a long report to temporary files before they have to be written on a thread of the runtime.
    pub(crate) async fn relieve(&mut self) {
        self.skipped.relieve().await;
        self.failed.relieve().await;
    }

    /// Returns true if every action that was due was completed. Entries that are skipped by policy do not count.
    pub fn is_clean(&self) -> bool {
        self.stopped.is_none() && self.failed.is_empty() && !self.skipped.any(|why| !why.is_policy())
    }

    /// Returns true if every copy was made, and the only problem is that deletes were refused or have failed.
    pub fn lacks_only_deletes(&self) -> bool {
        let ended_at_deletes = match &self.stopped {
            None => !self.failed.is_empty(),
            Some(Stop::Refused(_)) => self.withheld > 0,
            // Without its bucket, what was copied is gone, too.
            Some(Stop::Fatal(failure)) => {
                failure.action == FailedAction::Delete && failure.error.kind() != ErrorKind::NotFound
            }
            Some(Stop::Listing { .. } | Stop::Cancelled | Stop::Spill(_) | Stop::Displaced { .. }) => false,
        };
        // A file that the source has again was not copied, and the files of another directory are unknown.
        let is_unknown = |kind| matches!(kind, FailureKind::Stale(Side::Source) | FailureKind::Displaced);
        let lacks_copy = |action, kind| action == FailedAction::Copy || is_unknown(kind);
        ended_at_deletes && !self.failed.any(lacks_copy) && !self.skipped.any(|why| !why.is_policy())
    }

    /// Returns the number of files and objects that should have been deleted and were not, whatever the reason.
    pub fn not_deleted(&self) -> u64 {
        self.withheld + self.failed.of(FailedAction::Delete)
    }

    /// Returns the report if the run was clean.
    ///
    /// # Errors
    ///
    /// Fails, with the report, unless [`is_clean`](Self::is_clean) returns true.
    pub fn into_result(self) -> Result<Report, Incomplete> {
        if self.is_clean() { Ok(self) } else { Err(Incomplete(Box::new(self))) }
    }
}

/// A run that was not clean, with its report.
#[derive(Debug)]
pub struct Incomplete(pub Box<Report>);

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        match &report.stopped {
            Some(Stop::Listing { side, place, .. }) => write!(f, "the {} '{place}' could not be listed", side.as_str()),
            Some(Stop::Refused(refusal)) => write!(f, "refused: {refusal}"),
            Some(Stop::Fatal(failure)) => write!(f, "ended early: {failure}"),
            Some(Stop::Cancelled) => f.write_str("cancelled"),
            Some(Stop::Displaced { side, .. }) => write!(f, "the {} was moved during the run", side.as_str()),
            Some(Stop::Spill(error)) if error.is_of_file() => {
                f.write_str("the plan could not be stored in temporary files")
            }
            Some(Stop::Spill(_)) => f.write_str("the plan could not be made"),
            None => {
                let of = |action| report.failed.of(action);
                let counts = [
                    (of(FailedAction::Copy), "failed"),
                    (of(FailedAction::Delete), "not deleted"),
                    (report.skipped.len(), "skipped"),
                ];
                let named = counts.iter().filter(|(count, _)| *count > 0);
                let named: Vec<_> = named.map(|(count, what)| format!("{count} {what}")).collect();
                f.write_str(&named.join(", "))
            }
        }
    }
}

impl std::error::Error for Incomplete {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.stopped {
            Some(Stop::Listing { error, .. } | Stop::Displaced { error, .. }) => Some(error),
            Some(Stop::Spill(error)) => Some(error),
            Some(Stop::Refused(_) | Stop::Fatal(_) | Stop::Cancelled) => None,
            None => self.0.failed.head().first().map(|failure| &failure.error as _),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            FailedAction::Copy => "copy",
            FailedAction::Delete => "delete",
        };
        write!(f, "cannot {action} '{}': {}", self.key, self.cause())
    }
}
