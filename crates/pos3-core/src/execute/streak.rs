//! Detects failures that would affect every further action, so that the run ends early.
//!
//! Otherwise a run whose bucket is gone, or whose credentials have expired, would send a request for each of a million
//! files and fail a million times.

use crate::error::{ErrorKind, Reach};
use crate::report::{Failure, FailureKind};

/// The number of failures with the same cause, without a success in between, that ends a run.
const LENGTH: usize = 64;

/// The latest failures, as long as they have the same cause.
#[derive(Debug, Default)]
pub(super) struct Streak {
    last: Option<Failure>,
    length: usize,
}

impl Streak {
    /// Records a success.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Records a failure and returns true if it would affect every further action too. `succeeded` is the number of
    /// actions of the same kind that have succeeded in this run.
    pub(super) fn goes_on(&mut self, failure: &Failure, succeeded: u64) -> bool {
        let is_suspected = match (failure.kind, failure.error.reach()) {
            (FailureKind::Error, Reach::Everything) => return true,
            // A user with access to some keys may be denied access to any number of others.
            (FailureKind::Error, Reach::Suspected) => failure.error.kind() != ErrorKind::Denied || succeeded == 0,
            _ => false,
        };
        if !is_suspected {
            self.end();
            return false;
        }
        let is_like_last = self.last.as_ref().is_some_and(|last| last.is_like(failure));
        self.length = if is_like_last { self.length + 1 } else { 1 };
        if !is_like_last {
            self.last = Some(failure.clone());
        }
        self.length >= LENGTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Operation, StoreError};
    use crate::key::Key;
    use crate::report::FailedAction;

    fn failure(kind: ErrorKind, reach: Reach) -> Failure {
        let error = StoreError::new(kind, Operation::Write).with_reach(reach);
        Failure { key: Key::from("k"), action: FailedAction::Copy, kind: FailureKind::Error, error }
    }

    /// Returns how many such failures in a row end a run, or `None` if 999 do not.
    fn length(kind: ErrorKind, reach: Reach, succeeded: u64) -> Option<usize> {
        let mut streak = Streak::default();
        (1..1_000).find(|_| streak.goes_on(&failure(kind, reach), succeeded))
    }

    #[test]
    fn what_concerns_everything_ends_a_run_at_once_and_what_may_after_a_while() {
        assert_eq!(length(ErrorKind::NotFound, Reach::Everything, 9), Some(1));
        assert_eq!(length(ErrorKind::Unavailable, Reach::Suspected, 9), Some(LENGTH));
        assert_eq!(length(ErrorKind::Denied, Reach::Suspected, 0), Some(LENGTH));
        assert_eq!(length(ErrorKind::Denied, Reach::Suspected, 1), None, "some keys are allowed");
        assert_eq!(length(ErrorKind::InvalidKey, Reach::Key, 0), None);
    }

    #[test]
    fn a_success_and_another_cause_begin_the_count_anew() {
        let mut streak = Streak::default();
        let fail = |streak: &mut Streak, kind, times: usize| {
            (0..times).any(|_| streak.goes_on(&failure(kind, Reach::Suspected), 1))
        };
        assert!(!fail(&mut streak, ErrorKind::Unavailable, LENGTH - 1));
        streak.end();
        assert!(!fail(&mut streak, ErrorKind::Unavailable, LENGTH - 1));
        assert!(!fail(&mut streak, ErrorKind::Throttled, LENGTH - 1));
        assert!(fail(&mut streak, ErrorKind::Throttled, 1));
    }
}
