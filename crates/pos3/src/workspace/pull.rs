//! Makes the directory of a workspace like its location: [`pull`].
//!
//! What exists only in the directory is never lost. The transfer itself leaves such files as they are. They are then
//! moved aside, and a second transfer takes their place.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use pos3_core::{Deletion, FailedAction, Filter, Key, Report, SkipReason, counted};

use super::aside::Aside;
use super::error::WorkspaceError;
use super::inner::{Inner, Sides};
use super::progress::Steps;
use super::record::Lacks;
use super::report::{Way, WorkspaceReport};
use super::rules::PullRules;
use super::scope::Scope;
use super::space;
use super::watch::Watch;
use crate::transfer::Transfer;

/// The largest number of transfers of one stage. A program or another workspace that writes meanwhile can make another
/// one necessary.
const PASSES: usize = 4;

/// Pulls the keys of a scope. A whole pull fetches those with priority first, and then calls `on_priority`.
pub(super) async fn pull(
    inner: &Inner,
    scope: &Scope,
    on_priority: impl FnOnce(),
) -> Result<WorkspaceReport, WorkspaceError> {
    let began = Instant::now();
    let _alone = inner.running.lock().await;
    let _ended = Ended(inner);
    let mut sides = inner.sides(Way::Down).await?;
    let before = sides.remote.store().usage();
    inner.take_lease(&sides).await?;
    let everything = sides.rule(inner, Way::Down).await?;
    let total = space::total(inner, &sides, &scope.within(&everything)?).await?;
    let lacked = sides.record.begin(scope)?;
    let _shared = inner.share(&sides);
    let mut pull = Pull::new(inner, &sides, (everything, total));
    let last = match pull.stages(scope, on_priority).await {
        Ok(last) => last,
        Err(error) => {
            pull.aside.move_all_back(&sides.local).await;
            return Err(error);
        }
    };
    let failed = not_fetched(&last);
    pull.aside.move_back(&sides.local, &failed).await;
    sides.remove_empty(pull.watch.emptied()).await;
    let Pull { mut report, aside, steps, .. } = pull;
    sides.record.end(Lacks::after(failed, refused(&last), lacked))?;
    steps.iter().for_each(|steps| steps.end());
    report.finish(&last);
    if last.tally.source == 0 {
        let what =
            if scope.is_everything() { "there is nothing at" } else { "no object has one of the given paths at" };
        report.warnings.push(format!("{what} '{}'", inner.location));
    }
    report.set_aside = aside.into_report();
    tracing::info!(location = %inner.location, downloaded = report.downloaded, deleted = report.deleted, "pulled");
    report.requests = sides.remote.store().usage().since(&before);
    report.duration = began.elapsed();
    Ok(report)
}

/// Notes the end of a pull, whatever it is.
struct Ended<'a>(&'a Inner);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.has_pulled.store(true, Ordering::Release);
    }
}

/// Returns the transfer of a pull that began at this time.
pub(super) fn transfer(
    inner: &Inner,
    sides: &Sides,
    filter: Filter,
    watch: Watch,
    began: Option<SystemTime>,
) -> Transfer {
    let rules = PullRules { began, largest: inner.settings.largest };
    let options = inner
        .options(Way::Down, filter, watch)
        .with_deletion(Deletion::Extra)
        .with_overwritable(rules.overwritable())
        .with_deletable(rules.deletable());
    sides.transfer(Way::Down, options)
}

/// One pull while it runs.
struct Pull<'a> {
    inner: &'a Inner,
    sides: &'a Sides,
    aside: Aside,
    watch: Watch,
    steps: Option<Arc<Steps>>,
    report: WorkspaceReport,
    /// What is not ignored.
    everything: Filter,
    /// The bytes of all objects.
    total: u64,
}

impl<'a> Pull<'a> {
    fn new(inner: &'a Inner, sides: &'a Sides, (everything, total): (Filter, u64)) -> Self {
        let steps = inner.steps(Way::Down);
        let watch = Watch::new(inner.observer(), steps.clone());
        Self { inner, sides, aside: Aside::new(), watch, steps, report: WorkspaceReport::default(), everything, total }
    }

    /// Pulls what has priority, then everything, and returns the report of the last transfer.
    async fn stages(&mut self, scope: &Scope, on_priority: impl FnOnce()) -> Result<Report, WorkspaceError> {
        let whole = self.transfer(scope)?;
        space::check(self.inner, self.total, &whole).await?;
        let priority = Scope::of(self.inner.settings.priority.iter().cloned());
        if scope.is_everything() && !priority.is_everything() {
            let transfer = self.transfer(&priority)?;
            let _counted = self.passes(&transfer).await?;
        }
        on_priority();
        self.passes(&whole).await
    }

    fn transfer(&self, scope: &Scope) -> Result<Transfer, WorkspaceError> {
        let began = self.sides.record.written();
        Ok(transfer(self.inner, self.sides, scope.within(&self.everything)?, self.watch.clone(), began))
    }

    /// Transfers until nothing has to be moved aside any more, and returns the report of the last transfer.
    ///
    /// # Errors
    ///
    /// Returns an error if a transfer ended early, or if the location has no object and everything here would be moved.
    async fn passes(&mut self, transfer: &Transfer) -> Result<Report, WorkspaceError> {
        let mut pass = 1;
        loop {
            let report = transfer.run(None).await;
            self.report.count(Way::Down, &report);
            if report.stopped.is_some() {
                return Err(WorkspaceError::stopped(report));
            }
            let unsaved = unsaved(&report);
            let is_settled = unsaved.is_empty() && report.failed.stale() == 0;
            if is_settled || pass == PASSES {
                return Ok(report);
            }
            if report.tally.source == 0 && !self.inner.settings.guards.allow_empty {
                return Err(WorkspaceError::NothingToPull {
                    location: self.inner.location.to_string(),
                    directory: self.inner.directory.clone(),
                    files: counted(unsaved.len() as u64, "file"),
                });
            }
            for key in unsaved {
                if let Err(error) = self.aside.move_file(&self.sides.local, &key).await {
                    self.report.add_error(error);
                }
            }
            pass += 1;
        }
    }
}

/// Returns the files that exist only in the directory and are in the way.
fn unsaved(report: &Report) -> Vec<Key> {
    let unsaved = |row: Result<(Key, SkipReason), _>| row.ok().filter(|(_, why)| *why == SkipReason::Unsaved);
    report.skipped.iter().filter_map(unsaved).map(|(key, _)| key).collect()
}

/// Returns the keys of the objects that could not be fetched.
fn not_fetched(report: &Report) -> BTreeSet<Key> {
    let failed = report.failed.iter().filter_map(Result::ok).filter(|failure| failure.action == FailedAction::Copy);
    failed.map(|failure| failure.key).collect()
}

/// Returns the keys of the objects that the directory cannot have as it is. A key that cannot be that of a file is
/// none.
fn refused(report: &Report) -> BTreeSet<Key> {
    let is_file = |why: &SkipReason| !matches!(why, SkipReason::Unsafe(_));
    let lacks = |why: &SkipReason| !why.is_policy() && !why.is_target_only() && is_file(why);
    let skipped = report.skipped.iter().filter_map(|row| row.ok().filter(|(_, why)| lacks(why)));
    skipped.map(|(key, _)| key).collect()
}
