//! Executes the actions of a plan.
//!
//! The executor decides nothing. It runs copies in parallel within one budget. It starts deletes only after every copy has
//! succeeded, and withholds them otherwise. Replacements run last, because they need a path that a delete frees.

mod backup;
mod copy;
mod delete;
mod last_look;
mod ledger;
mod precondition;
mod replace;
mod same_place;
mod spelling;
mod starting;
mod streak;

pub use last_look::LastLook;
pub use spelling::OTHER_SPELLING;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::action::Action;
use crate::entry::Entry;
use crate::error::StoreError;
use crate::event::Event;
use crate::key::Key;
use crate::manifest::Recorder;
use crate::options::SyncOptions;
use crate::plan::Plan;
use crate::report::{FailedAction, Failure, FailureKind, NotBegun, Report, Stop};
use crate::spill::{SpillError, streamed};
use crate::store::{Budget, Slot};
use crate::tree::Tree;

use backup::Keeping;
use copy::{Copied, Copy};
use ledger::Ledger;
use same_place::Doubt;

/// How long copies and deletes in flight may continue after a cancellation.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// How long a run that ended early continues to list, so that it can report how many copies it did not start.
const COUNTING: Duration = Duration::from_secs(2);

impl Sequence {
    /// Returns the number of ranks. The actions of one rank start in the order of the plan.
    fn ranks(self) -> u8 {
        match self {
            Self::ByKey => 1,
            Self::SmallFirst => 4,
        }
    }

    fn rank(self, action: &Action) -> u8 {
        match (self, action) {
            (Self::SmallFirst, Action::Copy { source, target, .. }) => {
                let is_large = source.size > Budget::SMALL;
                2 * u8::from(is_large) + u8::from(target.is_some())
            }
            (Self::ByKey | Self::SmallFirst, _) => 0,
        }
    }
}

/// Executes actions between two trees.
#[derive(Debug)]
pub struct Executor {
    run: Arc<Run>,
    cancel: CancellationToken,
    keep: CancellationToken,
    last_look: LastLook,
    grace: Duration,
    sequence: Sequence,
}

/// The order in which the copies of a plan start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// In the order of their keys.
    ByKey,
    /// Small files first, and among them those that the target does not have.
    SmallFirst,
}

/// The data that every action of a run needs.
#[derive(Debug)]
struct Run {
    source: Tree,
    target: Tree,
    options: SyncOptions,
    recorder: Option<Recorder>,
    /// The first object that was copied.
    first: OnceLock<Entry>,
    keeping: Keeping,
    staged: replace::Names,
}

/// The actions that wait until all copies have ended.
struct Deferred {
    plan: Plan,
    gathering: Gathering,
}

/// Whether the actions that wait still have to be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gathering {
    /// They are among the other actions.
    Needed,
    /// The plan contains all of them from the start.
    Complete,
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
            keeping: Keeping::default(),
            staged: replace::Names::default(),
        };
        Self {
            run: Arc::new(run),
            cancel,
            keep: CancellationToken::new(),
            last_look: LastLook::default(),
            grace: GRACE,
            sequence: Sequence::ByKey,
        }
    }

    /// Withholds the remaining deletes, and the replacements that need them, once `keep` is cancelled.
    #[must_use]
    pub fn with_keep(mut self, keep: CancellationToken) -> Self {
        self.keep = keep;
        self
    }

    /// Sets the check before the first delete.
    #[must_use]
    pub fn with_last_look(mut self, look: LastLook) -> Self {
        self.last_look = look;
        self
    }

    /// Sets how long copies and deletes in flight may continue after a cancellation.
    #[must_use]
    pub(crate) fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the order in which the copies of a plan start.
    #[must_use]
    pub(crate) fn in_sequence(mut self, sequence: Sequence) -> Self {
        self.sequence = sequence;
        self
    }

    /// Executes actions as the stream yields them, and adds the results to the report.
    ///
    /// An `Err` in the stream ends the run, and so does a failure that every further action would meet. Copies in flight
    /// are finished then, and nothing is deleted.
    pub async fn run(&self, actions: impl Stream<Item = Result<Action, Stop>>, report: &mut Report) {
        let plan = Plan::with_memory(self.run.options.plan_memory);
        let deferred = Deferred { plan, gathering: Gathering::Needed };
        self.perform(actions, deferred, report).await;
    }

    /// Executes a plan and adds the results to the report.
    pub async fn run_plan(&self, plan: Plan, report: &mut Report) {
        let (sequence, listed) = (self.sequence, plan.clone());
        let actions = (0..sequence.ranks()).flat_map(move |rank| {
            listed.actions().filter(move |action| action.as_ref().map_or(0, |action| sequence.rank(action)) == rank)
        });
        let actions = streamed(actions.map(|action| action.map_err(Stop::Spill)));
        self.perform(actions, Deferred { plan, gathering: Gathering::Complete }, report).await;
    }

    async fn perform(
        &self,
        actions: impl Stream<Item = Result<Action, Stop>>,
        deferred: Deferred,
        report: &mut Report,
    ) {
        let doubt = Doubt::of(&self.run, deferred.plan.counts().deletes);
        let mut course = Course::new(deferred, doubt, report);
        let mut actions = std::pin::pin!(actions.fuse());
        if let Err(stop) = self.begin_all(&mut actions, &mut course).await {
            course.ledger.report.stopped = Some(stop);
        }
        self.drain(&mut course).await;
        self.count_rest(actions, &mut course).await;
        self.finish(course).await;
    }

    /// Starts copies as the stream yields them, and collects the actions that must wait for them.
    async fn begin_all<A>(&self, actions: &mut A, course: &mut Course<'_>) -> Result<(), Stop>
    where
        A: Stream<Item = Result<Action, Stop>> + Unpin,
    {
        let observer = &self.run.options.observer;
        loop {
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(Stop::Cancelled),
                Some(done) = course.copies.join_next() => {
                    course.ledger.copy_ended(done);
                    course.ledger.report.relieve().await;
                    match course.ledger.fatal.take() {
                        Some(failure) => return Err(Stop::Fatal(failure)),
                        None => continue,
                    }
                }
                next = actions.next() => next.transpose()?,
            };
            let Some(action) = next else {
                observer.event(&Event::PlanComplete);
                return Ok(());
            };
            observer.event(&Event::Decided(&action));
            match action {
                Action::Delete { .. } | Action::Replace { .. } => {
                    course.deferred.add(&action).await.map_err(Stop::Spill)?;
                }
                Action::Skip { key, why } => {
                    course.ledger.skip(key, why);
                    course.ledger.report.relieve().await;
                }
                Action::Copy { .. } => {
                    let looked = self.unless_cancelled(async {
                        course.doubt.look_before(&self.run, action.key()).await;
                        Ok(())
                    });
                    let looked = looked.await;
                    course.not_begun += u64::from(looked.is_err());
                    looked?;
                    if let Some(copy) = Copy::of(&self.run, action) {
                        let begun = self.begin(course, copy.source.size, |slot| copy.run(slot)).await;
                        course.not_begun += u64::from(begun.is_err());
                        begun?;
                    }
                    self.look_at_first(course).await?;
                }
            }
        }
    }

    /// Waits for the first copy, if only the written object can show that both sides are the same place.
    async fn look_at_first(&self, course: &mut Course<'_>) -> Result<(), Stop> {
        if !course.doubt.waits_for_first() {
            return Ok(());
        }
        self.drain(course).await;
        match course.ledger.report.stopped.take() {
            Some(stop) => Err(stop),
            None => self.unless_cancelled(course.doubt.look_for_written(&self.run)).await,
        }
    }

    /// Starts a copy of this many bytes as soon as a slot is free.
    async fn begin<W>(&self, course: &mut Course<'_>, size: u64, work: impl FnOnce(Slot) -> W) -> Result<(), Stop>
    where
        W: Future<Output = Copied> + Send + 'static,
    {
        let slot = self.slot(size).await;
        course.note_ended();
        match (slot, course.ledger.fatal.take()) {
            (Some(slot), None) => {
                course.copies.spawn(work(slot));
                Ok(())
            }
            (_, fatal) => Err(fatal.map_or(Stop::Cancelled, Stop::Fatal)),
        }
    }

    /// Waits for a lookup that changes nothing, unless the run is cancelled.
    async fn unless_cancelled(&self, look: impl Future<Output = Result<(), Stop>>) -> Result<(), Stop> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Stop::Cancelled),
            looked = look => looked,
        }
    }

    /// Waits for a free slot, unless the run is cancelled.
    async fn slot(&self, size: u64) -> Option<Slot> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => None,
            slot = self.run.options.budget.slot_for(size) => Some(slot),
        }
    }

    /// Waits for the copies in flight. After a cancellation, it waits only for the grace period and then aborts them. An
    /// aborted copy leaves nothing incomplete under a final name, because each store guarantees this.
    async fn drain(&self, course: &mut Course<'_>) {
        let mut late = std::pin::pin!(self.signals().late());
        loop {
            tokio::select! {
                done = course.copies.join_next() => match done {
                    Some(done) => course.ledger.copy_ended(done),
                    None => break,
                },
                () = &mut late => {
                    course.copies.shutdown().await;
                    break;
                }
            }
        }
        let stopped = &mut course.ledger.report.stopped;
        if let Some(failure) = course.ledger.fatal.take() {
            stopped.get_or_insert(Stop::Fatal(failure));
        }
        if self.cancel.is_cancelled() {
            stopped.get_or_insert(Stop::Cancelled);
        }
    }

    /// Counts the actions that an early end left in the plan. If the plan is still being made, counting stops after a short
    /// time.
    async fn count_rest(&self, mut actions: impl Stream<Item = Result<Action, Stop>> + Unpin, course: &mut Course<'_>) {
        let patience = match course.ledger.report.stopped {
            Some(Stop::Fatal(_)) => COUNTING,
            Some(Stop::Cancelled) if course.deferred.gathering == Gathering::Needed => Duration::ZERO,
            Some(Stop::Cancelled) => COUNTING,
            Some(Stop::Listing { .. } | Stop::Refused(_) | Stop::Spill(_) | Stop::Displaced { .. }) | None => {
                return;
            }
        };
        let counting = async {
            while let Some(action) = actions.next().await {
                let Ok(action) = action else { return Counted::Partly };
                course.not_begun += u64::from(matches!(action, Action::Copy { .. }));
                if course.deferred.gathering == Gathering::Needed {
                    course.ledger.report.withheld += u64::from(action.is_last());
                }
            }
            Counted::Whole
        };
        let counted = tokio::time::timeout(patience, counting).await;
        course.ledger.report.not_begun = match (counted, course.not_begun) {
            (Ok(Counted::Whole), 0) => NotBegun::Nothing,
            (Ok(Counted::Whole), count) => NotBegun::Copies(count),
            (Ok(Counted::Partly) | Err(_), count) => NotBegun::AtLeast(count),
        };
    }

    /// Executes the deletes, if everything else succeeded. The content of replacements is stored before the deletes, and
    /// gets its name after them.
    async fn finish(&self, mut course: Course<'_>) {
        let plan = course.deferred.plan.clone();
        if self.may_delete(&course) && !plan.deletes().is_empty() {
            let overlap = self.overlap(&plan, &mut course.doubt);
            course.ledger.report.stopped = self.unless_cancelled(overlap).await.err();
        }
        if self.may_delete(&course) {
            self.stage(&plan, &mut course).await;
        }
        if self.may_delete(&course) && course.ledger.permission.is_given() && !plan.deletes().is_empty() {
            course.ledger.report.stopped = self.unless_cancelled(self.look_last()).await.err();
        }
        let permit = if self.may_delete(&course) { course.ledger.permission.claim() } else { None };
        let Some(permit) = permit else {
            course.ledger.report.withheld += plan.counts().last();
            self.report_withheld(&plan, &mut course);
            self.unstage(&plan).await;
            return;
        };
        let outcome = delete::run(&self.run, permit, self.signals(), &plan, &mut course.ledger).await;
        if self.place(&plan, outcome, &mut course).await == delete::Outcome::Partly {
            self.unstage(&plan).await;
        }
        self.drain(&mut course).await;
    }

    fn signals(&self) -> Signals<'_> {
        Signals { cancel: &self.cancel, keep: &self.keep, grace: self.grace }
    }

    fn may_delete(&self, course: &Course<'_>) -> bool {
        course.ledger.report.stopped.is_none() && !self.keep.is_cancelled()
    }

    /// Makes the check of the caller, unless the deletes are withheld anyway.
    async fn look_last(&self) -> Result<(), Stop> {
        tokio::select! {
            biased;
            () = self.keep.cancelled() => {}
            () = self.last_look.make() => {}
        }
        Ok(())
    }

    /// Fails if source and target turn out to be the same place. Nothing may be deleted then.
    async fn overlap(&self, plan: &Plan, doubt: &mut Doubt) -> Result<(), Stop> {
        doubt.look_for_written(&self.run).await?;
        doubt.look_for_deleted(&self.run, plan).await
    }
}

impl Deferred {
    async fn add(&mut self, action: &Action) -> Result<(), SpillError> {
        match self.gathering {
            Gathering::Needed => self.plan.push(action)?,
            Gathering::Complete => return Ok(()),
        }
        self.plan.relieve().await
    }
}

/// The signals that end a run early: the first ends everything, the second only the deletes.
#[derive(Clone, Copy, Debug)]
struct Signals<'s> {
    cancel: &'s CancellationToken,
    keep: &'s CancellationToken,
    grace: Duration,
}

impl Signals<'_> {
    fn say_stop(self) -> bool {
        self.cancel.is_cancelled() || self.keep.is_cancelled()
    }

    /// Waits until no more deletes may start.
    async fn stop(self) {
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = self.keep.cancelled() => {}
        }
    }

    /// Waits until the grace period after a cancellation is over.
    async fn late(self) {
        self.cancel.cancelled().await;
        tokio::time::sleep(self.grace).await;
    }
}

/// Whether all actions were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Whole,
    Partly,
}

/// The state of a run: the copies in flight, and the actions that wait until all copies have ended.
struct Course<'r> {
    ledger: Ledger<'r>,
    copies: JoinSet<Copied>,
    deferred: Deferred,
    doubt: Doubt,
    not_begun: u64,
}

impl<'r> Course<'r> {
    fn new(deferred: Deferred, doubt: Doubt, report: &'r mut Report) -> Self {
        Self { ledger: Ledger::new(report), copies: JoinSet::new(), deferred, doubt, not_begun: 0 }
    }

    fn note_ended(&mut self) {
        while let Some(done) = self.copies.try_join_next() {
            self.ledger.copy_ended(done);
        }
    }
}

fn failure(key: &Key, action: FailedAction, kind: FailureKind, error: StoreError) -> Failure {
    Failure { key: key.clone(), action, kind, error }
}
