//! What happened, failures included.
//!
//! A failure of one file is no `Err`, or one bad file would stop the rest; but a [`Report`] must be used, and
//! [`Report::into_result`] makes an error of anything that did not go well.

mod failures;
mod skips;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::diff::Side;
use crate::error::StoreError;
use crate::execute::SOURCE;
use crate::key::Key;
use crate::plan::{Action, Plan, Refusal, Tally};
use crate::spill::SpillError;
use crate::store::Usage;

pub use failures::Failures;
pub use skips::Skips;

/// What a sync did.
#[must_use = "a report says what failed"]
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// What was counted while the plan was made.
    pub tally: Tally,
    /// Files and objects copied.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Copies that no checksum covered: their length is right, and that is all that is known.
    pub unverified: u64,
    /// Files and objects deleted from the target.
    pub deleted: u64,
    /// Deletes that were planned but not done, because something failed before.
    pub withheld: u64,
    /// Copies that an early end kept from being begun.
    pub not_begun: NotBegun,
    /// What was left alone, and why.
    pub skipped: Skips,
    /// What went wrong, key by key.
    pub failed: Failures,
    /// What was wrong but did not stop anything, such as a listing that had to be sorted.
    pub warnings: Vec<String>,
    /// Why the run ended early, if it did.
    pub stopped: Option<Stop>,
    /// The requests sent to both stores, by kind.
    pub usage: Usage,
    /// How long it took.
    pub elapsed: Duration,
}

/// How many copies an early end kept from being begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotBegun {
    /// None.
    #[default]
    Nothing,
    /// So many.
    Copies(u64),
    /// So many that were known of when the run ended. It was still listing, so there may be more.
    AtLeast(u64),
}

impl NotBegun {
    /// Returns how many copies are known not to have been begun.
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
    /// What was tried.
    pub action: FailedAction,
    /// What became of it.
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

/// What became of an action that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// It could not be done.
    Error,
    /// The source kept changing while it was read. The target is as it was.
    Changed,
    /// The target, or the source where that was asked for, is not what the plan saw there. It was left alone.
    Stale,
    /// It was done, but no checksum covers it, and that was asked for.
    Unverified,
}

/// Why a run ended early.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stop {
    /// A listing failed. Nothing was deleted.
    Listing {
        /// Which side's.
        side: Side,
        /// Where: the tree, as a person would write it.
        place: String,
        /// What happened.
        error: StoreError,
    },
    /// A guard refused the plan. Nothing was touched.
    Refused(Refusal),
    /// Every further action would have failed as this one did. Copies in flight were finished; nothing more was begun.
    Fatal(Failure),
    /// The caller asked for it. Nothing was deleted.
    Cancelled,
    /// A temporary file for the plan could not be used. Nothing more was deleted.
    Spill(SpillError),
}

impl Failure {
    /// Returns true if another failure has the same cause, as far as that shows.
    pub fn is_like(&self, other: &Self) -> bool {
        let cause = |failure: &Self| (failure.action, failure.error.operation().to_owned(), failure.error.kind());
        cause(self) == cause(other)
    }

    /// Returns why it failed as one line, without the action and the key.
    pub fn cause(&self) -> String {
        match self.kind {
            FailureKind::Changed => "it kept changing while it was read; the target is as it was".to_owned(),
            FailureKind::Stale if self.error.operation() == SOURCE => {
                "the source is not what the plan saw there, so it was left alone".to_owned()
            }
            FailureKind::Stale => "the target is not what it was when it was listed, so it was left alone".to_owned(),
            FailureKind::Error | FailureKind::Unverified => self.error.cause(),
        }
    }
}

impl FailureKind {
    /// Returns the word programs know it by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Changed => "changed",
            Self::Stale => "stale",
            Self::Unverified => "unverified",
        }
    }
}

impl Report {
    /// Returns the report of a plan of which nothing was done.
    pub fn of_plan(plan: &Plan) -> Self {
        let (tally, warnings) = (plan.tally, plan.warnings.clone());
        let mut report = Self { tally, withheld: tally.withheld, warnings, ..Self::default() };
        for action in plan.actions().take_while(|action| !matches!(action, Ok(Action::Delete { .. }))) {
            match action {
                Ok(Action::Skip { key, why }) => report.skipped.push((key, why)),
                Ok(Action::Copy { .. } | Action::Replace { .. } | Action::Delete { .. }) => {}
                Err(error) => report.stopped = Some(Stop::Spill(error)),
            }
        }
        report
    }

    /// Returns true if everything that was to be done was done; what policy leaves out does not count.
    pub fn is_clean(&self) -> bool {
        self.stopped.is_none() && self.failed.is_empty() && !self.skipped.any(|why| !why.is_policy())
    }

    /// Returns the report if all went well, or it as an error.
    ///
    /// # Errors
    ///
    /// Everything that [`is_clean`](Self::is_clean) does not call clean.
    pub fn into_result(self) -> Result<Report, Incomplete> {
        if self.is_clean() { Ok(self) } else { Err(Incomplete(Box::new(self))) }
    }
}

/// A run that did not do all it was to do, with its report.
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
            Some(Stop::Spill(_)) => f.write_str("the plan could not be held in temporary files"),
            None => write!(f, "{} failed, {} skipped", report.failed.len(), report.skipped.len()),
        }
    }
}

impl std::error::Error for Incomplete {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.stopped {
            Some(Stop::Listing { error, .. }) => Some(error),
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
