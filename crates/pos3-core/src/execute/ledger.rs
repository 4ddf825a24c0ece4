//! Records the results of a run's actions, and their consequences for the remaining actions.

use std::collections::BTreeSet;

use tokio::task::JoinError;

use super::copy::Copied;
use super::streak::Streak;
use crate::action::SkipReason;
use crate::key::Key;
use crate::plan::Permission;
use crate::report::{FailedAction, Failure, Report};

/// The results of a run so far.
pub(super) struct Ledger<'r> {
    pub(super) report: &'r mut Report,
    /// Whether deletes are still allowed. Every copy that was not made revokes the permission.
    pub(super) permission: Permission,
    /// The failure that every further action would meet, once there is one.
    pub(super) fatal: Option<Failure>,
    /// The number of replacements whose content is stored.
    pub(super) staged: usize,
    /// The replacements that were reported because their content could not be stored.
    pub(super) unstaged: BTreeSet<Key>,
    streak: Streak,
}

impl<'r> Ledger<'r> {
    pub(super) fn new(report: &'r mut Report) -> Self {
        Self {
            report,
            permission: Permission::new(),
            fatal: None,
            staged: 0,
            unstaged: BTreeSet::new(),
            streak: Streak::default(),
        }
    }

    /// Records the result of a copy. Every result except success may revoke the permission to delete.
    pub(super) fn copy_ended(&mut self, done: Result<Copied, JoinError>) {
        match done {
            Ok(Copied::Done { size, verified }) => {
                self.report.copied += 1;
                self.report.copied_bytes += size;
                self.report.unverified += u64::from(!verified);
                self.streak.end();
            }
            Ok(Copied::Staged { verified }) => {
                self.staged += 1;
                self.report.unverified += u64::from(!verified);
            }
            Ok(Copied::Skipped(key, why)) => self.skip(key, why),
            Ok(Copied::Failed(failure)) => self.fail(failure),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_aborted) => self.permission.lose(),
        }
    }

    /// Records a successful delete.
    pub(super) fn deleted(&mut self, has_content: bool) {
        self.report.deleted += u64::from(has_content);
        self.streak.end();
    }

    /// Records a replacement that is not made, because not everything in its place was deleted.
    pub(super) fn withhold(&mut self, key: &Key, obstacle: Option<Key>) {
        self.report.withheld += 1;
        if let Some(obstacle) = obstacle.filter(|_| self.report.stopped.is_none()) {
            self.skip(key.clone(), SkipReason::Withheld(obstacle));
        }
    }

    /// Records the replacements that were reported since there were so many failures and skips.
    pub(super) fn note_unstaged(&mut self, (failed, skipped): (u64, u64)) {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let failed = self.report.failed.iter().skip(count(failed)).filter_map(|failure| Some(failure.ok()?.key));
        let skipped = self.report.skipped.iter().skip(count(skipped)).filter_map(|skip| Some(skip.ok()?.0));
        self.unstaged = failed.chain(skipped).collect();
    }

    pub(super) fn skip(&mut self, key: Key, why: SkipReason) {
        self.permission.after_skip(&why);
        self.report.skipped.push((key, why));
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.permission.lose();
        let succeeded = match failure.action {
            FailedAction::Copy => self.report.copied,
            FailedAction::Delete => self.report.deleted,
        };
        if self.streak.goes_on(&failure, succeeded) {
            self.fatal.get_or_insert_with(|| failure.clone());
        }
        self.report.failed.push(failure);
    }
}
