//! The failures of a run: counts in memory, rows in a spill.

use serde::{Deserialize, Serialize};

use super::{FailedAction, Failure, FailureKind};
use crate::error::ErrorRecord;
use crate::key::Key;
use crate::spill::{Spill, SpillError};

/// The number of failures that are kept unchanged, with the errors that caused them.
const HEAD: usize = 1000;

/// The actions that failed.
///
/// There can be millions, so all but the first thousand are stored in a temporary file, with their causes as text. If
/// the file cannot be used, the counts are still correct, and [`iter`](Self::iter) ends with the error.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    head: Vec<Failure>,
    rest: Spill<Record>,
    kinds: Vec<((FailedAction, FailureKind), u64)>,
    lost: Option<SpillError>,
}

/// A failure as it is written to the file.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    key: Key,
    action: FailedAction,
    kind: FailureKind,
    error: ErrorRecord,
}

impl Failures {
    /// Adds a failure.
    pub fn push(&mut self, failure: Failure) {
        let kind = (failure.action, failure.kind);
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.kinds.push((kind, 1)),
        }
        if self.head.len() < HEAD {
            self.head.push(failure);
        } else if self.lost.is_none() {
            self.lost = self.rest.push(&failure.into()).err();
        }
    }

    /// Writes rows to the temporary file before [`push`](Self::push) has to.
    pub(super) async fn relieve(&mut self) {
        if self.lost.is_none() {
            self.lost = self.rest.relieve().await.err();
        }
    }

    /// Removes all failures.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the number of failures.
    pub fn len(&self) -> u64 {
        self.kinds.iter().map(|(_, count)| count).sum()
    }

    /// Returns true if there are no failures.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Returns the number of failures of this kind.
    pub fn count(&self, kind: FailureKind) -> u64 {
        self.count_of(|_, known| known == kind)
    }

    /// Returns the number of failures of this action.
    pub fn of(&self, action: FailedAction) -> u64 {
        self.count_of(|known, _| known == action)
    }

    /// Returns the number of failures because one of the sides no longer matched the plan.
    pub fn stale(&self) -> u64 {
        self.count_of(|_, kind| kind.is_stale())
    }

    /// Returns true if any failure is of such an action and kind.
    pub fn any(&self, is: impl Fn(FailedAction, FailureKind) -> bool) -> bool {
        self.count_of(is) > 0
    }

    fn count_of(&self, is_counted: impl Fn(FailedAction, FailureKind) -> bool) -> u64 {
        let counted = self.kinds.iter().filter(|((action, kind), _)| is_counted(*action, *kind));
        counted.map(|(_, count)| count).sum()
    }

    /// Returns the first failures, at most a thousand, with the errors that caused them.
    pub fn head(&self) -> &[Failure] {
        &self.head
    }

    /// Returns the failures in the order in which they were added. If the temporary file fails, its error is the last
    /// item.
    pub fn iter(&self) -> impl Iterator<Item = Result<Failure, SpillError>> + Send + '_ {
        let rest = self.rest.iter().map(|record| record.map(Failure::from));
        self.head.iter().cloned().map(Ok).chain(rest).chain(self.lost.clone().map(Err))
    }
}

impl From<Failure> for Record {
    fn from(failure: Failure) -> Self {
        let Failure { key, action, kind, error } = failure;
        Self { key, action, kind, error: (&error).into() }
    }
}

impl From<Record> for Failure {
    fn from(record: Record) -> Self {
        let Record { key, action, kind, error } = record;
        Self { key, action, kind, error: error.into_error() }
    }
}
