//! Stores the changes of a workspace at its location: [`push`].
//!
//! A transfer replaces only objects that are as this workspace knows them. Where another writer was faster, the version
//! of this workspace becomes a copy with another name, and the other version takes its place here, too.

use std::sync::Arc;
use std::time::Instant;

use pos3_core::{Deletion, EmptyDirectories, Filter, Key, Report, SkipReason};

use super::conflict::move_to_copy;
use super::error::WorkspaceError;
use super::inner::{Inner, Sides};
use super::one_file::fetch;
use super::progress::Steps;
use super::report::{ConflictCopy, Way, WorkspaceReport};
use super::rules::PushRules;
use super::watch::Watch;
use crate::transfer::Transfer;

/// How often the other version of a file is fetched, if it changes again meanwhile.
const FETCHES: usize = 3;

/// The largest number of transfers of one push. Each one resolves the conflicts of the one before, and decides again
/// about what others have changed meanwhile.
const PASSES: usize = 4;

/// Pushes all changes.
pub(super) async fn push(inner: &Inner) -> Result<WorkspaceReport, WorkspaceError> {
    let began = Instant::now();
    let _alone = inner.running.lock().await;
    let mut sides = inner.sides(Way::Up).await?;
    sides.record.keep()?;
    inner.take_lease(&sides).await?;
    let before = sides.remote.store().usage();
    let filter = sides.rule(inner, Way::Up).await?;
    let mut push = Push::new(inner, &sides, filter);
    let last = push.passes(inner, &sides).await?;
    let Push { mut report, steps, .. } = push;
    steps.iter().for_each(|steps| steps.end());
    report.finish(&last);
    for key in sides.record.lacks().keys() {
        report.add_protected(key.clone());
    }
    if !sides.record.lacks().is_nothing() {
        let why = "the last pull was not complete, so this push deletes nothing; pull again";
        report.warnings.push(why.to_owned());
    }
    tracing::info!(location = %inner.location, uploaded = report.uploaded, deleted = report.deleted, "pushed");
    report.requests = sides.remote.store().usage().since(&before);
    report.duration = began.elapsed();
    Ok(report)
}

/// One push while it runs.
struct Push {
    transfer: Transfer,
    steps: Option<Arc<Steps>>,
    report: WorkspaceReport,
}

/// Returns the transfer of a push.
pub(super) fn transfer(inner: &Inner, sides: &Sides, filter: Filter, watch: Watch) -> Transfer {
    let rules = PushRules {
        lacks: Arc::new(sides.record.lacks().clone()),
        recorded: sides.record.written(),
        deletes: inner.settings.push_deletes,
    };
    let options = inner
        .options(Way::Up, filter, watch)
        .with_empty_directories(EmptyDirectories::LeftOut)
        .with_deletion(Deletion::Extra)
        .with_overwritable(rules.overwritable())
        .with_deletable(rules.deletable());
    sides.transfer(Way::Up, options)
}

impl Push {
    fn new(inner: &Inner, sides: &Sides, filter: Filter) -> Self {
        let steps = inner.steps(Way::Up);
        let watch = Watch::new(inner.observer(), steps.clone());
        Self { transfer: transfer(inner, sides, filter, watch), steps, report: WorkspaceReport::default() }
    }

    /// Transfers until there is no conflict any more and nobody changes anything meanwhile, and returns the report of
    /// the last transfer.
    ///
    /// # Errors
    ///
    /// Returns an error if a transfer ended early.
    async fn passes(&mut self, inner: &Inner, sides: &Sides) -> Result<Report, WorkspaceError> {
        for pass in 1.. {
            let report = self.transfer.run(None).await;
            self.report.count(Way::Up, &report);
            if report.stopped.is_some() {
                return Err(WorkspaceError::stopped(report));
            }
            let conflicts = conflicts(&report);
            let is_settled = conflicts.is_empty() && report.failed.stale() == 0;
            if is_settled || pass == PASSES {
                return Ok(report);
            }
            for key in conflicts {
                if let Err(error) = self.keep_both(inner, sides, &key).await {
                    self.report.add_error(error);
                }
            }
        }
        unreachable!("the last pass returns")
    }

    /// Gives the version of this workspace another name, and fetches the other version. The next transfer stores the
    /// copy. If the process is killed in between, the copy is a new file of this workspace, and nothing is deleted for
    /// it.
    async fn keep_both(&mut self, inner: &Inner, sides: &Sides, key: &Key) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("'{key}' has changed on both sides: {error}");
        sides.forget(key).await.map_err(|error| failed(&error))?;
        let copy = move_to_copy(&sides.local, &sides.remote, key).await.map_err(|error| failed(&error.cause()))?;
        self.report.conflicts.push(ConflictCopy { path: key.as_str().to_owned(), copy: copy.as_str().to_owned() });
        let mut fetched = fetch(inner, sides, key, None).await;
        for _ in 1..FETCHES {
            if fetched.is_err() {
                fetched = fetch(inner, sides, key, None).await;
            }
        }
        let fetched = fetched.map_err(|why| failed(&format!("its other version was not fetched: {why}")))?;
        self.report.count(Way::Down, &fetched);
        Ok(())
    }
}

/// Returns the files that another writer has changed, too.
fn conflicts(report: &Report) -> Vec<Key> {
    let conflict = |row: Result<(Key, SkipReason), _>| row.ok().filter(|(_, why)| why.is_conflict());
    report.skipped.iter().filter_map(conflict).map(|(key, _)| key).collect()
}
