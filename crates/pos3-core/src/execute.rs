//! Doing what a plan says, or less.
//!
//! The executor decides nothing. Copies run side by side within one budget; deletes wait until every copy has ended
//! well, and are withheld if one has not; what replaces something deleted comes last.

mod backup;
mod copy;
mod delete;
mod precondition;
mod same_place;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::entry::Entry;
use crate::error::StoreError;
use crate::event::Event;
use crate::key::Key;
use crate::manifest::Recorder;
use crate::options::SyncOptions;
use crate::plan::{Action, Plan, SkipReason};
use crate::report::{FailedAction, Failure, FailureKind, Report, Stop};
use crate::spill::SpillError;
use crate::store::Slot;
use crate::tree::Tree;

use copy::{Copied, Copy};
use same_place::Doubt;

pub(crate) use precondition::SOURCE;

/// How long copies in flight may go on after a cancellation.
const GRACE: Duration = Duration::from_secs(10);

/// Performs actions between two trees.
#[derive(Debug)]
pub struct Executor {
    run: Arc<Run>,
    cancel: CancellationToken,
    keep: CancellationToken,
}

/// What every action of a run needs.
#[derive(Debug)]
struct Run {
    source: Tree,
    target: Tree,
    options: SyncOptions,
    recorder: Option<Recorder>,
    /// The first that was copied.
    first: OnceLock<Entry>,
}

/// What is put off until all copies have ended.
enum Deferred {
    /// It comes with the actions.
    Gathered(Plan),
    /// It is known from the start; that it comes with the actions as well adds nothing.
    Planned(Plan),
}

impl Executor {
    /// Returns an executor for plans between these trees.
    pub fn new(source: &Tree, target: &Tree, options: &SyncOptions, cancel: CancellationToken) -> Self {
        Self::recording(source, target, options, cancel, None)
    }

    pub(crate) fn recording(
        source: &Tree,
        target: &Tree,
        options: &SyncOptions,
        cancel: CancellationToken,
        recorder: Option<Recorder>,
    ) -> Self {
        let run = Run {
            source: source.clone(),
            target: target.clone(),
            options: options.clone(),
            recorder,
            first: OnceLock::new(),
        };
        Self { run: Arc::new(run), cancel, keep: CancellationToken::new() }
    }

    /// Withholds what is not yet deleted once `keep` is cancelled, and what needed its place.
    #[must_use]
    pub fn with_keep(mut self, keep: CancellationToken) -> Self {
        self.keep = keep;
        self
    }

    /// Performs actions as they come and adds what happened to the report.
    ///
    /// An `Err` in the stream ends it: copies that were begun are finished, nothing is deleted.
    pub async fn run(&self, actions: impl Stream<Item = Result<Action, Stop>>, report: &mut Report) {
        let deferred = Deferred::Gathered(Plan::with_memory(self.run.options.plan_memory));
        self.perform(actions, deferred, report).await;
    }

    /// Performs a plan and adds what happened to the report.
    pub async fn run_plan(&self, plan: Plan, report: &mut Report) {
        let actions = stream::iter(plan.actions().map(|action| action.map_err(Stop::Spill)));
        self.perform(actions, Deferred::Planned(plan), report).await;
    }

    async fn perform(
        &self,
        actions: impl Stream<Item = Result<Action, Stop>>,
        mut deferred: Deferred,
        report: &mut Report,
    ) {
        let observer = &self.run.options.observer;
        let mut copies = JoinSet::new();
        let mut doubt = Doubt::of(&self.run);
        let mut actions = std::pin::pin!(actions);
        loop {
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => Some(Err(Stop::Cancelled)),
                next = actions.next() => next,
            };
            match next {
                Some(Ok(action)) => {
                    observer.event(&Event::Decided(&action));
                    if let Err(error) = self.begin(action, &mut copies, &mut deferred, report).await {
                        report.stopped = Some(Stop::Spill(error));
                        break;
                    }
                    if doubt.waits_for_first() && !copies.is_empty() {
                        self.drain(std::mem::take(&mut copies), report).await;
                        if let Err(stop) = doubt.look_for_written(&self.run).await {
                            report.stopped = Some(stop);
                            break;
                        }
                    }
                }
                Some(Err(stop)) => {
                    report.stopped = Some(stop);
                    break;
                }
                None => {
                    observer.event(&Event::PlanComplete);
                    break;
                }
            }
            while let Some(done) = copies.try_join_next() {
                note(done, report);
            }
        }
        self.drain(copies, report).await;
        self.finish(deferred, doubt, report).await;
    }

    async fn begin(
        &self,
        action: Action,
        copies: &mut JoinSet<Copied>,
        deferred: &mut Deferred,
        report: &mut Report,
    ) -> Result<(), SpillError> {
        match action {
            Action::Copy { .. } => {
                if let Some(slot) = self.slot().await {
                    copies.spawn(self.copy(action).run(slot));
                }
            }
            Action::Delete { .. } | Action::Replace { .. } => deferred.add(&action)?,
            Action::Skip { key, why } => report.skipped.push((key, why)),
        }
        Ok(())
    }

    /// Waits for a free slot, unless the run is cancelled.
    async fn slot(&self) -> Option<Slot> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => None,
            slot = self.run.options.budget.slot() => Some(slot),
        }
    }

    fn copy(&self, action: Action) -> Copy {
        Copy { run: self.run.clone(), action }
    }

    /// Waits for the copies in flight; once cancelled, only for the time of grace. What is aborted leaves nothing
    /// half-written under a final name: that is each store's promise.
    async fn drain(&self, mut copies: JoinSet<Copied>, report: &mut Report) {
        let late = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let mut late = std::pin::pin!(late);
        loop {
            tokio::select! {
                done = copies.join_next() => match done {
                    Some(done) => note(done, report),
                    None => break,
                },
                () = &mut late => {
                    copies.shutdown().await;
                    break;
                }
            }
        }
        if self.cancel.is_cancelled() {
            report.stopped.get_or_insert(Stop::Cancelled);
        }
    }

    /// Deletes, and then copies what needed the place of something deleted, if everything else went well.
    async fn finish(&self, deferred: Deferred, doubt: Doubt, report: &mut Report) {
        let (Deferred::Gathered(plan) | Deferred::Planned(plan)) = deferred;
        if report.stopped.is_none() && !plan.deletes().is_empty() {
            report.stopped = self.overlap(doubt, &plan).await.err();
        }
        let clash = report.skipped.any(|why| matches!(why, SkipReason::Clash(_)) || why.is_conflict());
        if report.stopped.is_some() || !report.failed.is_empty() || clash || self.keep.is_cancelled() {
            report.withheld = plan.counts().last();
            return;
        }
        delete::run(&self.run, (&self.cancel, &self.keep), &plan, report).await;
        if report.stopped.is_some() || !report.failed.is_empty() || self.keep.is_cancelled() {
            report.withheld += plan.counts().replacements;
            return;
        }
        self.replace(&plan, report).await;
    }

    async fn replace(&self, plan: &Plan, report: &mut Report) {
        let mut copies = JoinSet::new();
        let mut left = plan.counts().replacements;
        for action in plan.replacements().iter() {
            let action = match action {
                Ok(action) => action,
                Err(error) => {
                    report.stopped = Some(Stop::Spill(error));
                    break;
                }
            };
            let Some(slot) = self.slot().await else { break };
            copies.spawn(self.copy(action).run(slot));
            left -= 1;
            while let Some(done) = copies.try_join_next() {
                note(done, report);
            }
        }
        report.withheld += left;
        self.drain(copies, report).await;
    }

    /// Fails if source and target show themselves to be one place, which nothing may be deleted from.
    async fn overlap(&self, mut doubt: Doubt, plan: &Plan) -> Result<(), Stop> {
        doubt.look_for_written(&self.run).await?;
        doubt.look_for_deleted(&self.run, plan).await
    }
}

impl Deferred {
    fn add(&mut self, action: &Action) -> Result<(), SpillError> {
        match self {
            Self::Gathered(plan) => plan.push(action),
            Self::Planned(_) => Ok(()),
        }
    }
}

fn note(done: Result<Copied, JoinError>, report: &mut Report) {
    match done {
        Ok(Copied::Done { size, verified }) => {
            report.copied += 1;
            report.copied_bytes += size;
            report.unverified += u64::from(!verified);
        }
        Ok(Copied::Vanished(key)) => report.skipped.push((key, SkipReason::Vanished)),
        Ok(Copied::Failed(failure)) => report.failed.push(failure),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_aborted) => {}
    }
}

fn failure(key: &Key, action: FailedAction, kind: FailureKind, error: StoreError) -> Failure {
    Failure { key: key.clone(), action, kind, error }
}
