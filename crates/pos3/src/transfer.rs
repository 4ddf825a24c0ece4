//! One transfer: two trees, the sync state, the options with the policy, and what may end it early.
//!
//! Every entry point makes its transfers here. So none of them can forget to compare the mount points of the source before
//! a delete, or to record them after a run.

mod contention;
mod mount_points;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pos3_core::{
    CancellationToken, Deletion, Explanation, Key, LastLook, Plan, Refusal, Report, Side, SkipEffect, SkipReason, Stop,
    SyncJob, SyncOptions, Tree, Usage, run_blocking,
};
use pos3_local::LocalStore;

use crate::error::Error;
use crate::hidden::{Hidden, Standing};
use crate::ignore_files::{IgnoreFiles, Ruled};
use crate::registry::local_store;
use crate::state::{State, SyncState};

use mount_points::Recording;

/// A transfer that has not been started.
#[derive(Debug)]
pub(crate) struct Transfer {
    source: Tree,
    target: Tree,
    /// The source, as warnings name it.
    source_name: String,
    options: SyncOptions,
    /// The sync state that contains the mount points of earlier runs.
    state: Option<State>,
    /// The known files that a mount hides. If this is `None`, each run determines them again.
    hidden: Option<Hidden>,
    deletes: DeletedFiles,
    contention: Contention,
    ending: Ending,
}

/// Which files of the target a transfer may delete, if it deletes any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeletedFiles {
    /// Also those of earlier runs, so the mount points of earlier runs matter.
    Any,
    /// Only those whose source this process has seen.
    Seen,
}

/// How a transfer reacts if its files change while it runs.
#[derive(Debug)]
enum Contention {
    /// It reports them.
    Reported,
    /// It lists and plans again if this permits it; see [`contention`].
    Repeated(Permission),
}

/// Returns true as long as the paths of a transfer lead to the files that it listed. May block.
#[derive(Clone)]
pub(crate) struct Permission(Arc<dyn Fn() -> bool + Send + Sync>);

/// The conditions that end a transfer early.
#[derive(Debug, Default)]
struct Ending {
    cancel: CancellationToken,
    keep: CancellationToken,
    last_look: LastLook,
    grace: Option<Duration>,
    small_first: bool,
}

impl Transfer {
    /// Returns a transfer that makes `target` like `source`.
    pub(crate) fn new(source: Tree, target: Tree, options: SyncOptions) -> Self {
        keep_apart(&source, &target);
        Self {
            source_name: source.to_string(),
            source,
            target,
            options,
            state: None,
            hidden: None,
            deletes: DeletedFiles::Any,
            contention: Contention::Reported,
            ending: Ending::default(),
        }
    }

    /// Sets the name of the source in warnings.
    pub(crate) fn with_source_name(mut self, name: String) -> Self {
        self.source_name = name;
        self
    }

    /// Also applies the ignore files of both sides. Their remote listings are read here, and not again.
    pub(crate) async fn with_ignore_files(mut self, files: &IgnoreFiles) -> Result<Self, Error> {
        let Ruled { source, target, filter } = files.rule(&self.source, &self.target, &self.options.filter).await?;
        (self.source, self.target) = (source, target);
        Ok(self.map_options(|options| options.with_filter(filter)))
    }

    /// Changes the options.
    pub(crate) fn map_options(mut self, change: impl FnOnce(SyncOptions) -> SyncOptions) -> Self {
        self.options = change(self.options);
        self
    }

    /// Backs up entries to this tree before they are replaced or deleted.
    pub(crate) fn with_backup(self, backup: Tree) -> Self {
        keep_away_from_backup(&[&self.source, &self.target], &backup);
        self.map_options(|options| options.with_backup(backup))
    }

    /// Uses the rows, notes and mount points of a sync state, and records new ones in it.
    pub(crate) fn with_state(self, state: &SyncState) -> Self {
        let open = state.state().cloned();
        self.map_options(|options| state.add_to(options)).with_mount_points_in(open)
    }

    /// Uses only the mount points of a sync state, and records new ones in it. The options have the rows and notes.
    pub(crate) fn with_mount_points_in(mut self, state: Option<State>) -> Self {
        self.state = state;
        self
    }

    /// Sets what is known about files that a mount hides, for several transfers of one source.
    pub(crate) fn with_hidden(mut self, hidden: Hidden) -> Self {
        self.hidden = Some(hidden);
        self
    }

    /// States that the options permit only deletes of files that this process has seen in the source.
    pub(crate) fn deleting_only_seen(mut self) -> Self {
        self.deletes = DeletedFiles::Seen;
        self
    }

    /// Makes the transfer list and plan again if its files change while it runs, because other processes may write the
    /// same files.
    pub(crate) fn repeated_if_changed(self) -> Self {
        self.repeated_if_changed_while(Permission::new(|| true))
    }

    /// Makes the transfer list and plan again like [`repeated_if_changed`](Self::repeated_if_changed), if that is
    /// permitted then.
    pub(crate) fn repeated_if_changed_while(mut self, permission: Permission) -> Self {
        self.contention = Contention::Repeated(permission);
        self
    }

    /// See [`SyncJob::with_cancel`].
    pub(crate) fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.ending.cancel = cancel;
        self
    }

    /// See [`SyncJob::with_keep`].
    pub(crate) fn with_keep(mut self, keep: CancellationToken) -> Self {
        self.ending.keep = keep;
        self
    }

    /// See [`SyncJob::with_last_look`].
    pub(crate) fn with_last_look(mut self, look: LastLook) -> Self {
        self.ending.last_look = look;
        self
    }

    /// See [`SyncJob::with_grace`].
    pub(crate) fn with_grace(mut self, grace: Duration) -> Self {
        self.ending.grace = Some(grace);
        self
    }

    /// See [`SyncJob::small_first`].
    pub(crate) fn small_first(mut self) -> Self {
        self.ending.small_first = true;
        self
    }

    /// Returns the source and the target.
    pub(crate) fn into_trees(self) -> (Tree, Tree) {
        (self.source, self.target)
    }

    pub(crate) fn options(&self) -> &SyncOptions {
        &self.options
    }

    /// Returns the number of requests that both stores have sent so far, by kind.
    pub(crate) fn usage(&self) -> Usage {
        self.job(self.options.clone()).usage()
    }

    /// Makes the plan and changes nothing.
    pub(crate) async fn plan(&self) -> Result<Plan, Stop> {
        let hidden = self.hidden().await;
        let mut plan = self.job_without(&hidden).plan().await?;
        plan.warnings.extend(hidden.warnings(&self.source_name));
        Ok(plan)
    }

    /// Explains what the transfer would do with one key.
    pub(crate) async fn explain(&self, key: &Key) -> Result<Explanation, Stop> {
        self.job_without(&self.hidden().await).explain(key).await
    }

    /// Plans and executes the transfer. If `see` is set, it receives each whole plan before it is executed.
    pub(crate) async fn run(&self, see: Option<&(dyn Fn(&Plan) + Sync)>) -> Report {
        let hidden = self.hidden().await;
        let recording = match &self.state {
            Some(state) => Some(Recording::start(state, &self.source, &self.target).await),
            None => None,
        };
        let job = self.job_without(&hidden);
        self.begin();
        let restored = Restored::in_listings_of(&self.target);
        let mut report = match &self.contention {
            Contention::Reported => contention::run_once(&job, see).await,
            Contention::Repeated(permission) => contention::run(&job, see, permission).await,
        };
        drop(restored);
        self.end(&mut report);
        self.tidy_after(&report).await;
        hidden.note(&self.source);
        report.warnings.extend(hidden.warnings(&self.source_name));
        if let Some(recording) = recording {
            // A run that ended early has shown nothing about the deletes below a mount point.
            recording.end(if report.stopped.is_none() { self.standing() } else { Standing::New }).await;
        }
        report
    }

    /// Executes a plan.
    pub(crate) async fn execute(&self, plan: Plan) -> Report {
        self.begin();
        let mut report = self.job(self.options.clone()).execute(plan).await;
        self.end(&mut report);
        report
    }

    fn begin(&self) {
        [&self.source, &self.target].into_iter().filter_map(local_root).for_each(LocalStore::begin_run);
    }

    /// Checks that the path of each local side leads to the same directory as before the run. For a source, this matters
    /// only if something was deleted by it, and not if only files that this process has seen may be deleted.
    fn end(&self, report: &mut Report) {
        for (side, tree) in [(Side::Target, &self.target), (Side::Source, &self.source)] {
            let Some(Err(error)) = local_root(tree).map(LocalStore::end_run) else { continue };
            let matters = match side {
                Side::Target => true,
                Side::Source => report.deleted > 0 && self.deletes == DeletedFiles::Any,
            };
            if matters && report.stopped.is_none() {
                report.stopped = Some(Stop::Displaced { side, error });
            }
        }
    }

    /// Removes what killed runs left in the target, if this run has made everything.
    async fn tidy_after(&self, report: &Report) {
        let lacks = |why: &SkipReason| why.effect() == SkipEffect::WithholdsDeletes;
        let is_whole = report.stopped.is_none() && report.failed.is_empty() && !report.skipped.any(lacks);
        if is_whole && let Some(target) = local_root(&self.target) {
            target.tidy().await;
        }
    }

    fn job(&self, options: SyncOptions) -> SyncJob {
        let Ending { cancel, keep, last_look, grace, small_first } = &self.ending;
        let job = SyncJob::new(self.source.clone(), self.target.clone(), options);
        let job = job.with_cancel(cancel.clone()).with_keep(keep.clone()).with_last_look(last_look.clone());
        let job = if *small_first { job.small_first() } else { job };
        match grace {
            Some(grace) => job.with_grace(*grace),
            None => job,
        }
    }

    /// Returns the job without deletes of keys that the source may hide.
    fn job_without(&self, hidden: &Hidden) -> SyncJob {
        let deletable = hidden.guard(self.options.deletable.clone(), &self.source);
        self.job(self.options.clone().with_deletable(deletable))
    }

    /// Returns the detector of keys that the source may hide.
    async fn hidden(&self) -> Hidden {
        let hidden = self.hidden.clone().unwrap_or_default();
        if let Some(state) = self.state.as_ref().filter(|_| self.standing() == Standing::Known) {
            hidden.remember(state.mount_points(Side::Source).await);
        }
        hidden
    }

    /// Returns the standing of the mount points that this transfer finds, once it has ended.
    fn standing(&self) -> Standing {
        let deletes_any = self.options.deletion == Deletion::Extra && self.deletes == DeletedFiles::Any;
        if deletes_any { Standing::Known } else { Standing::New }
    }
}

fn local_root(tree: &Tree) -> Option<&LocalStore> {
    local_store(&**tree.store())
}

/// Makes the listings of a local target give moved files their names back, until it is dropped.
struct Restored<'t>(Option<&'t LocalStore>);

impl<'t> Restored<'t> {
    fn in_listings_of(target: &'t Tree) -> Self {
        let store = local_root(target);
        store.inspect(|store| store.restore_moved(true));
        Self(store)
    }
}

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        self.0.inspect(|store| store.restore_moved(false));
    }
}

impl Permission {
    pub(crate) fn new(is_given: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_given))
    }

    async fn is_given(&self) -> bool {
        let Self(is_given) = self.clone();
        run_blocking(move || is_given()).await
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permission").finish_non_exhaustive()
    }
}

/// Returns true if the source of a run was empty, even if this is why nothing was done.
pub(crate) fn found_nothing(report: &Report) -> bool {
    report.stopped.as_ref().map_or(report.tally.source == 0, refused_as_empty)
}

/// Returns true if the source of a plan was empty, even if this is why there is no plan.
pub(crate) fn planned_nothing(plan: &Result<Plan, Stop>) -> bool {
    match plan {
        Ok(plan) => plan.tally.source == 0,
        Err(stop) => refused_as_empty(stop),
    }
}

fn refused_as_empty(stop: &Stop) -> bool {
    matches!(stop, Stop::Refused(Refusal::SourceEmpty { .. }))
}

/// Makes the listings of two local directories detect each other. This is the last check, if the table of mounts shows
/// no overlap.
fn keep_apart(source: &Tree, target: &Tree) {
    if let (Some(source), Some(target)) = (local_root(source), local_root(target)) {
        LocalStore::keep_apart(source, target);
    }
}

/// Makes the listings of local directories detect the local directory of backups. A followed link or a mount may lead to it,
/// and then the backups would be synced.
fn keep_away_from_backup(sides: &[&Tree], backup: &Tree) {
    let Some(backup) = local_store(&**backup.store()) else { return };
    for side in sides.iter().filter_map(|side| local_store(&**side.store())) {
        side.keep_away_from(backup);
    }
}
