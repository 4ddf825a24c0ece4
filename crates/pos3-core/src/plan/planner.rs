//! Makes a plan as a stream of actions: merge, decide, read where nothing else decides.
//!
//! Copies come as soon as they are known. Deletes come last, after both listings ended well and the guards agreed.

mod contents;
mod ending;
mod excluded;
mod hidden;
mod only_target;
mod records;

use std::collections::VecDeque;

use futures::stream::BoxStream;
use tokio_util::task::AbortOnDropHandle;

use super::Permission;
use super::decide::{Decision, Policy};
use super::guard::{Deletes, Extra};
use super::names::Names;
use super::room::Room;
use super::shapes::Shapes;
use crate::action::{Action, SkipReason};
use crate::compare::Known;
use crate::diff::{Diff, ListingFailed, Merge};
use crate::entry::{Entry, Kind, Protection};
use crate::event::{Event, Observe};
use crate::evidence::{Change, Proof};
use crate::filter::{Filter, Stray};
use crate::hash::Own;
use crate::key::Key;
use crate::listing::{Listing, Order};
use crate::manifest::{Recorder, Row, Rows};
use crate::options::{
    Deletable, Deletion, Guards, HiddenEntries, Objection, Overwritable, SyncOptions, UnmatchedPatterns,
    WithheldDeletes,
};
use crate::report::{Refusal, Tally};
use crate::side::Side;
use crate::spill::{Spill, SpillError};
use crate::store::Budget;
use crate::tree::Tree;

use contents::{Judged, Question, Sides, join};
use excluded::Looked;
use records::learn;

/// Why there is no plan.
#[derive(Debug)]
pub enum PlanError {
    /// A listing failed. The keys that it did not return are unknown.
    Listing(ListingFailed),
    /// A guard refused.
    Refused(Refusal),
    /// A temporary file for a part of the plan could not be used.
    Spill(SpillError),
}

impl From<SpillError> for PlanError {
    fn from(error: SpillError) -> Self {
        Self::Spill(error)
    }
}

/// Makes a plan, action by action.
pub struct Planner {
    source: Tree,
    target: Tree,
    policy: Policy,
    deletion: Deletion,
    guards: Guards,
    deletable: Deletable,
    overwritable: Overwritable,
    filter: Filter,
    /// The filter of the listings, which knows what its patterns matched.
    watched: Filter,
    stray: Stray,
    observer: Observe,
    merge: Option<Merge>,
    rows: Option<Rows>,
    recorder: Option<Recorder>,
    names: Names,
    looked: Looked,
    shapes: Shapes,
    /// The last protected directory of either side. What is below it is unknown.
    unseen: Option<Key>,
    waiting: VecDeque<Waiting>,
    budget: Budget,
    memory: usize,
    extra: Extra,
    replacing: Spill<Action>,
    room: Room,
    last: Last,
    permission: Permission,
    withheld_deletes: WithheldDeletes,
    unmatched_patterns: UnmatchedPatterns,
    hidden: HiddenEntries,
    source_files: u64,
    tally: Tally,
    warnings: Vec<String>,
}

/// An action in its place in the order.
enum Waiting {
    Made(Box<Action>),
    Reading(AbortOnDropHandle<Judged>),
}

/// The deletes and replacements, which follow the copies.
enum Last {
    /// The plan is not complete yet.
    Open,
    /// They are known, but not returned yet.
    Decided(Deletes),
    /// They are withheld. Each replacement is reported.
    Withheld(BoxStream<'static, Result<Action, SpillError>>),
    /// They are being returned.
    Given(BoxStream<'static, Result<Action, SpillError>>),
}

impl Planner {
    /// Starts to list both trees. `order` says how each listing gets its order: the source's, the target's.
    pub fn new(source: &Tree, target: &Tree, options: &SyncOptions, order: (Order, Order)) -> Self {
        let watched = match options.deletion {
            Deletion::Extra => options.filter.watched(),
            Deletion::Keep => options.filter.clone(),
        };
        let list = |tree: &Tree, order| Listing::open(tree, &watched, order);
        let listings = (list(source, order.0), list(target, order.1));
        Self { watched, ..Self::over(source, target, options, listings) }
    }

    /// Plans a sync of the trees from these listings.
    pub(crate) fn over(source: &Tree, target: &Tree, options: &SyncOptions, listings: (Listing, Listing)) -> Self {
        let policy = Policy {
            compare: options.compare,
            source: source.store().capabilities(),
            target: target.store().capabilities(),
            archived: options.archived,
            empty_directories: options.empty_directories,
        };
        Self {
            merge: Some(Merge::new(listings.0, listings.1)),
            rows: options.manifest.as_ref().map(Rows::of),
            recorder: None,
            source: source.clone(),
            target: target.clone(),
            names: Names::new(policy.target.namespace, options.deletion),
            looked: Looked::new(),
            shapes: Shapes::new(policy.source.namespace, policy.target.namespace, options.other_shapes),
            unseen: None,
            policy,
            deletion: options.deletion,
            guards: options.guards,
            deletable: options.deletable.clone(),
            overwritable: options.overwritable.clone(),
            filter: options.filter.clone(),
            watched: options.filter.clone(),
            stray: Stray::default(),
            observer: options.observer.clone(),
            waiting: VecDeque::new(),
            budget: options.budget.clone(),
            memory: options.plan_memory,
            extra: Extra::with_memory(options.plan_memory),
            replacing: Spill::with_limit(options.plan_memory),
            room: Room::default(),
            last: Last::Open,
            permission: Permission::new(),
            withheld_deletes: options.withheld_deletes,
            unmatched_patterns: options.unmatched_patterns,
            hidden: options.hidden_entries,
            source_files: 0,
            tally: Tally::default(),
            warnings: Vec::new(),
        }
    }

    /// Sets the recorder of keys that turn out to be equal.
    pub(crate) fn with_recorder(mut self, recorder: Option<Recorder>) -> Self {
        self.recorder = recorder;
        self
    }

    /// Returns the counts so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Returns the warnings so far.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns how many bytes of a plan may be held in memory.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// Returns the next action, or `None` at the end of the plan.
    ///
    /// # Errors
    ///
    /// A listing that failed, the refusal of a guard, or a temporary file that cannot be used. There are no deletes then.
    pub async fn next(&mut self) -> Result<Option<Action>, PlanError> {
        match self.next_first().await? {
            Some(action) => Ok(Some(action)),
            None => Ok(self.next_last().await?),
        }
    }

    /// Returns the next copy or skip, or `None` when all are known. Only then is it known what comes after them.
    pub(super) async fn next_first(&mut self) -> Result<Option<Action>, PlanError> {
        loop {
            self.fill().await?;
            match self.waiting.pop_front() {
                Some(Waiting::Made(action)) => return Ok(Some(self.passed(*action))),
                Some(Waiting::Reading(task)) => match join(task).await {
                    Judged::Act(action, learned) => {
                        learn(self.recorder.as_ref(), learned).await;
                        return Ok(Some(self.passed(*action)));
                    }
                    Judged::Same { key, proof, learned } => self.count_unchanged(&key, proof, learned).await,
                },
                None => {
                    self.withhold();
                    return Ok(self.next_withheld().await?);
                }
            }
        }
    }

    /// Records the effect on the deletes of an action that comes before them.
    fn passed(&mut self, action: Action) -> Action {
        let action = self.policy.if_ready(action);
        if let Action::Skip { why, .. } = &action {
            self.permission.after_skip(why);
        }
        action
    }

    /// Reads on until an action is at the front, or enough files are being read.
    async fn fill(&mut self) -> Result<(), PlanError> {
        while !matches!(self.waiting.front(), Some(Waiting::Made(_))) && self.waiting.len() < self.budget.reads() {
            let Some(merge) = &mut self.merge else { return Ok(()) };
            match merge.next().await.map_err(PlanError::Listing)? {
                Some(Diff::Hidden { .. }) if self.hidden == HiddenEntries::Untouched => {}
                Some(diff) => {
                    self.count(&diff);
                    let decision = self.decide(diff).await?;
                    self.settle(decision).await?;
                }
                None => self.finish().await?,
            }
        }
        Ok(())
    }

    async fn decide(&mut self, diff: Diff) -> Result<Decision, SpillError> {
        self.note_unseen(&diff).await;
        let held = self.names.pass(diff.key());
        held.into_iter().try_for_each(|source| self.queue(new(source)))?;
        if let Some(action) = self.names.directory_found(&diff) {
            self.queue(action)?;
        }
        let hidden = if self.hidden == HiddenEntries::Reported { hidden::report(&diff) } else { None };
        if let (Some(Entry { key, kind: Kind::Protected(_), .. }), _) = diff.entries()
            && self.names.is_second_name(key)
        {
            return Ok(hidden.map_or(Decision::Nothing, Decision::Act));
        }
        if let Some(action) = self.names.clash(&diff)
            && self.can_be_named(&action)
        {
            if let Action::Replace { source, .. } = &action {
                self.names.remember_replacement(source);
            }
            return Ok(Decision::Act(action));
        }
        self.names.remember(&diff);
        let row = self.row(&diff).await;
        let known = match (&self.rows, &row) {
            (None, _) => Known::NoManifest,
            (Some(_), None) => Known::Unknown,
            (Some(_), Some(row)) => Known::Row(row),
        };
        let objection = match &diff {
            Diff::Both { source, target } => self.overwritable.objection(source, Some(target), row.as_ref()),
            Diff::SourceOnly(source) => self.overwritable.objection(source, None, row.as_ref()),
            Diff::Shielded { source, why, .. } => {
                let there = Entry::protected(source.key.clone(), why.clone());
                self.overwritable.objection(source, Some(&there), row.as_ref())
            }
            _ => Objection::None,
        };
        let entry = match &diff {
            Diff::SourceOnly(entry) | Diff::Both { source: entry, .. } | Diff::TargetOnly { target: entry, .. } => {
                self.shapes.are_reported().then(|| entry.clone())
            }
            Diff::Shielded { .. } | Diff::Hidden { .. } => None,
        };
        let only_target = matches!(diff, Diff::TargetOnly { .. });
        let is_newer_there = objection == Objection::Stay(SkipReason::Newer);
        let decision = match self.policy.decide(diff, known) {
            Decision::Act(Action::Skip { key, why }) if is_newer_there && is_behind_link(&why) => {
                Decision::Act(Action::Skip { key, why: SkipReason::NewerLink })
            }
            Decision::Act(Action::Copy { source, target, why }) => match objection {
                Objection::None => Decision::Act(Action::Copy { source, target, why }),
                Objection::Stay(reason) => Decision::Act(Action::Skip { key: source.key, why: reason.given(why) }),
                Objection::ByContent(question) => Decision::Ask { source, target, why, question, row },
            },
            Decision::Read { source, target, reading, times_decide, .. } => {
                let times_decide = times_decide && self.overwritable.trusts_times(&source, &target);
                Decision::Read { source, target, reading, times_decide, objection, row }
            }
            Decision::Extra(entry) => self.unless_kept(entry, row.as_ref()),
            decision => decision,
        };
        let decision = self.unless_excluded(decision).await;
        let decision = hidden.map_or(decision, Decision::Act);
        self.report_other_shape(entry.as_ref(), only_target, &decision)?;
        Ok(decision)
    }

    fn can_be_named(&self, action: &Action) -> bool {
        !matches!(action, Action::Replace { source, .. } if self.policy.target.namespace.check(source).is_err())
    }

    fn count(&mut self, diff: &Diff) {
        let (source, target) = diff.entries();
        for (side, entry) in [(Side::Source, source), (Side::Target, target)] {
            if let Some(Entry { key, kind: Kind::Protected(Protection::Own), .. }) = entry {
                let side = side.as_str();
                self.warnings.push(format!("'{key}' in the {side} is left out, because this command writes it itself"));
            }
        }
        self.tally.source += u64::from(source.is_some());
        self.source_files += u64::from(source.is_some_and(Entry::is_file));
        self.tally.target += u64::from(target.is_some_and(Entry::has_content));
    }

    /// Counts what needs no action, keeps what may have to be deleted, and queues the rest in order.
    async fn settle(&mut self, decision: Decision) -> Result<(), SpillError> {
        match decision {
            Decision::Nothing => {}
            Decision::Unchanged { key, proof, learned } => self.count_unchanged(&key, proof, learned).await,
            Decision::Extra(entry) if self.deletion == Deletion::Extra => {
                if entry.has_content() {
                    self.watched.note_delete(&entry.key, &mut self.stray);
                }
                self.extra.push(&entry).await?;
            }
            Decision::Extra(entry) => self.tally.extra += u64::from(entry.has_content()),
            Decision::Act(Action::Copy { source, target: None, why: Change::New }) => {
                if let Some(source) = self.names.hold(source) {
                    self.queue(new(source))?;
                }
            }
            Decision::Act(action) => self.queue(action)?,
            Decision::Read { source, target, reading, times_decide, objection, row } => {
                let sides = self.sides();
                let own = if self.overwritable.needs_evidence() { Own::Wanted } else { Own::NotNeeded };
                let is_recorded = self.recorder.is_some();
                let question = Question { reading, times_decide, own, is_recorded, objection, row };
                self.read(async move { sides.compare(source, target, question).await });
            }
            Decision::Ask { source, target, why, question, row } => {
                let sides = self.sides();
                self.read(async move { sides.ask(question, source, target, why, (None, row)).await });
            }
        }
        Ok(())
    }

    fn sides(&self) -> Sides {
        Sides { source: self.source.clone(), target: self.target.clone() }
    }

    /// Queues what reading contents will lead to. It has a slot of the budget.
    fn read(&mut self, judging: impl Future<Output = Judged> + Send + 'static) {
        let budget = self.budget.clone();
        let reading = async move {
            let _slot = budget.slot().await;
            judging.await
        };
        self.waiting.push_back(Waiting::Reading(AbortOnDropHandle::new(tokio::spawn(reading))));
    }

    /// Queues an action; what replaces something waits for the deletes.
    fn queue(&mut self, action: Action) -> Result<(), SpillError> {
        match action {
            Action::Replace { ref obstacle, .. } => {
                self.room.want(obstacle);
                self.replacing.push(&action)?;
            }
            action => self.waiting.push_back(Waiting::Made(Box::new(action))),
        }
        Ok(())
    }

    async fn count_unchanged(&mut self, key: &Key, proof: Proof, learned: Option<Row>) {
        self.tally.unchanged += 1;
        self.observer.event(&Event::Unchanged(key, proof));
        learn(self.recorder.as_ref(), learned).await;
    }
}

/// Returns true if a key is skipped because the target has a symbolic link there, or above it.
fn is_behind_link(why: &SkipReason) -> bool {
    matches!(why, SkipReason::Target(Protection::Symlink) | SkipReason::Shielded { why: Protection::Symlink, .. })
}

fn new(source: Entry) -> Action {
    Action::Copy { source, target: None, why: Change::New }
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner").field("source", &self.source).field("target", &self.target).finish_non_exhaustive()
    }
}
