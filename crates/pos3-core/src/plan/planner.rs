//! Makes a plan as a stream of actions: merge, decide, read where nothing else decides.
//!
//! Copies come as soon as they are known. Deletes come last, after both listings ended well and the guards agreed.

use std::collections::VecDeque;

use tokio_util::task::AbortOnDropHandle;

use super::decide::{Decision, Policy};
use super::guard::{Deletes, Extra, Guards, Refusal};
use super::names::Names;
use super::room::{Room, Unreplaced};
use super::shapes::{self, Shapes};
use super::{Action, Permission, SkipReason, Tally};
use crate::compare::{Change, Compared, Known, Own, Proof, Sameness, Unread, agreement, comparable, same_content};
use crate::diff::{Diff, ListingFailed, Merge, Side};
use crate::digest::Agreement;
use crate::entry::{Digest, Entry, Kind, Protection};
use crate::error::ErrorKind;
use crate::event::{Event, Observe};
use crate::filter::{Filter, Stray};
use crate::key::Key;
use crate::listing::{Complete, Listing, Order};
use crate::manifest::{Recorder, Row, RowChange, Rows, StartedWrite};
use crate::options::{
    ByContent, Deletable, Deletion, Objection, Overwritable, SyncOptions, UnmatchedPatterns, WithheldDeletes,
};
use crate::spill::{self, Spill, SpillError};
use crate::tree::Tree;

/// The most files read at once while the plan keeps its order.
const READING: usize = 16;

/// Why there is no plan.
#[derive(Debug)]
pub enum PlanError {
    /// A listing failed; what it did not show is unknown.
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
    shapes: Shapes,
    /// The last protected directory of either side. What is below it is unknown.
    unseen: Option<Key>,
    waiting: VecDeque<Waiting>,
    reading: usize,
    memory: usize,
    extra: Extra,
    replacing: Spill<Action>,
    room: Room,
    last: Last,
    permission: Permission,
    withheld_deletes: WithheldDeletes,
    unmatched_patterns: UnmatchedPatterns,
    source_files: u64,
    tally: Tally,
    warnings: Vec<String>,
}

/// An action in its place in the order.
enum Waiting {
    Made(Box<Action>),
    Reading(AbortOnDropHandle<Judged>),
}

/// What comes after the copies.
enum Last {
    /// It is not known yet.
    Open,
    /// It is known, and nobody has asked for it.
    Decided(Deletes),
    /// It is given out.
    Given(Box<(spill::Iter<Entry>, spill::Iter<Action>)>),
}

/// What reading contents led to.
enum Judged {
    /// The action, and what is known of the pair now, although nothing is copied.
    Act(Box<Action>, Option<Row>),
    Same {
        key: Key,
        proof: Proof,
        learned: Option<Row>,
    },
}

/// Waits for a task; one that panicked goes on panicking here, for nothing may be taken for unchanged because of it.
async fn join(task: AbortOnDropHandle<Judged>) -> Judged {
    match task.await {
        Ok(judged) => judged,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Planner {
    /// Starts to list both trees. `order` says how each listing gets its order: the source's, the target's.
    pub fn new(source: &Tree, target: &Tree, options: &SyncOptions, order: (Order, Order)) -> Self {
        let watched = match options.deletion {
            Deletion::Mirror => options.filter.watched(),
            Deletion::Keep => options.filter.clone(),
        };
        let list = |tree: &Tree, order| Listing::open(tree, &watched, order);
        let listings = (list(source, order.0), list(target, order.1));
        Self { watched, ..Self::over(source, target, options, listings) }
    }

    /// Plans for what these listings show of the trees.
    pub(crate) fn over(source: &Tree, target: &Tree, options: &SyncOptions, listings: (Listing, Listing)) -> Self {
        let policy = Policy {
            compare: options.compare,
            source: source.store().capabilities(),
            target: target.store().capabilities(),
            archived: options.archived,
        };
        Self {
            merge: Some(Merge::new(listings.0, listings.1)),
            rows: options.manifest.as_ref().map(Rows::of),
            recorder: None,
            source: source.clone(),
            target: target.clone(),
            names: Names::new(policy.target.keys, options.deletion),
            shapes: Shapes::new(policy.source.keys, policy.target.keys, options.other_shapes),
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
            reading: READING.min(options.budget.concurrency()),
            memory: options.plan_memory,
            extra: Extra::with_memory(options.plan_memory),
            replacing: Spill::with_limit(options.plan_memory),
            room: Room::default(),
            last: Last::Open,
            permission: Permission::new(),
            withheld_deletes: options.withheld_deletes,
            unmatched_patterns: options.unmatched_patterns,
            source_files: 0,
            tally: Tally::default(),
            warnings: Vec::new(),
        }
    }

    /// Lets what comparing teaches be remembered.
    pub(crate) fn with_recorder(mut self, recorder: Option<Recorder>) -> Self {
        self.recorder = recorder;
        self
    }

    /// Returns what has been counted so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Returns what was wrong so far but did not stop anything.
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
            None => Ok(self.next_last()?),
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
                    return Ok(None);
                }
            }
        }
    }

    /// Takes note of what an action that comes before the deletes means for them.
    fn passed(&mut self, action: Action) -> Action {
        let action = self.policy.if_ready(action);
        if let Action::Skip { why, .. } = &action {
            self.permission.after_skip(why);
        }
        action
    }

    /// Leaves out what comes after the copies, where a copy cannot be made.
    fn withhold(&mut self) {
        if !self.permission.is_given()
            && self.withheld_deletes == WithheldDeletes::Omitted
            && let Last::Decided(deletes) = &self.last
        {
            self.tally.withheld += deletes.files() + self.replacing.len();
            self.last = Last::Open;
        }
    }

    fn next_last(&mut self) -> Result<Option<Action>, SpillError> {
        if let Last::Decided(_) = self.last
            && let Last::Decided(deletes) = std::mem::replace(&mut self.last, Last::Open)
        {
            self.last = Last::Given(Box::new((deletes.into_entries().into_iter(), self.replacing.iter())));
        }
        let Last::Given(given) = &mut self.last else { return Ok(None) };
        let (deletes, replacing) = &mut **given;
        match deletes.next() {
            Some(target) => Ok(Some(Action::Delete { target: target? })),
            None => replacing.next().transpose(),
        }
    }

    /// Returns the deletes and the replacements, after the last copy.
    pub(super) fn into_last(self) -> Option<(Deletes, Spill<Action>)> {
        match self.last {
            Last::Decided(deletes) => Some((deletes, self.replacing)),
            Last::Open | Last::Given(..) => None,
        }
    }

    /// Reads on until an action is at the front, or enough files are being read.
    async fn fill(&mut self) -> Result<(), PlanError> {
        while !matches!(self.waiting.front(), Some(Waiting::Made(_))) && self.waiting.len() < self.reading {
            let Some(merge) = &mut self.merge else { return Ok(()) };
            match merge.next().await.map_err(PlanError::Listing)? {
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
        if let Diff::SourceOnly(Entry { key, kind: Kind::Protected(_), .. }) = &diff
            && self.names.is_second_name(key)
        {
            return Ok(Decision::Nothing);
        }
        if let Some(action) = self.names.directory_found(&diff) {
            self.queue(action)?;
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
            Diff::Shielded { .. } => None,
        };
        let only_target = matches!(diff, Diff::TargetOnly { .. });
        let is_newer_there = objection == Objection::Stay(SkipReason::Newer);
        let decision = match self.policy.decide(diff, known) {
            Decision::Act(Action::Skip { key, why }) if is_newer_there && is_behind_link(&why) => {
                Decision::Act(Action::Skip { key, why: SkipReason::NewerLink })
            }
            Decision::Act(Action::Copy { source, target, why }) => match objection {
                Objection::None => Decision::Act(Action::Copy { source, target, why }),
                Objection::Stay(why) => Decision::Act(Action::Skip { key: source.key, why }),
                Objection::ByContent(question) => Decision::Ask { source, target, why, question, row },
            },
            Decision::Read { source, target, reading, times_decide, .. } => {
                Decision::Read { source, target, reading, times_decide, objection, row }
            }
            Decision::Extra(entry) => self.unless_kept(entry, row.as_ref()),
            decision => decision,
        };
        self.report_other_shape(entry.as_ref(), only_target, &decision)?;
        Ok(decision)
    }

    /// Reports an entry that only the target has, if it keeps the source's entries from being downloaded together with it.
    fn report_other_shape(
        &mut self,
        entry: Option<&Entry>,
        only_target: bool,
        decision: &Decision,
    ) -> Result<(), SpillError> {
        let Some(entry) = entry else { return Ok(()) };
        let side = if only_target { Side::Target } else { Side::Source };
        let will_be_there = match decision {
            Decision::Extra(_) => self.deletion == Deletion::Keep,
            // One action for a key is enough, also where two are skips.
            Decision::Act(Action::Skip { .. }) => false,
            Decision::Nothing => only_target,
            _ => true,
        };
        let found = if will_be_there { self.shapes.meet(entry, side) } else { None };
        found.map_or(Ok(()), |action| self.queue(action))
    }

    /// Decides whether an entry that only the target has stays, although others are deleted.
    fn unless_kept(&mut self, entry: Entry, row: Option<&Row>) -> Decision {
        let is_allowed = self.deletable.allows(&entry, row);
        let would_go = is_allowed && self.deletion == Deletion::Mirror;
        let hidden = if would_go { self.deletable.hidden(&entry.key) } else { None };
        let impossible = if would_go { self.policy.source.keys.check(&entry).err() } else { None };
        if is_allowed && hidden.is_none() && impossible.is_none() {
            return Decision::Extra(entry);
        }
        self.names.note_kept(&entry.key);
        self.room.note_kept(&entry.key);
        if let Some(why) = impossible {
            return Decision::Act(Action::Skip { key: entry.key, why: SkipReason::NotInSource(why) });
        }
        let files = u64::from(entry.has_content());
        match hidden {
            Some(why) if entry.has_content() => {
                self.tally.withheld += files;
                Decision::Act(Action::Skip { key: entry.key, why: SkipReason::Source(why) })
            }
            Some(_) => Decision::Nothing,
            None => {
                match self.deletable.reason().filter(|_| entry.has_content() && self.deletion == Deletion::Mirror) {
                    Some(why) => Decision::Act(Action::Skip { key: entry.key, why: why.clone() }),
                    None => {
                        self.tally.extra += files;
                        Decision::Nothing
                    }
                }
            }
        }
    }

    fn can_be_named(&self, action: &Action) -> bool {
        !matches!(action, Action::Replace { source, .. } if self.policy.target.keys.check(source).is_err())
    }

    /// Returns what is remembered of a key. What is remembered of keys before it, which neither side has, is out of date.
    async fn row(&mut self, diff: &Diff) -> Option<Row> {
        self.forget_before(diff.key()).await;
        let rows = self.rows.as_mut()?;
        let (row, started) = rows.take(diff.key()).await;
        self.warnings.extend(rows.take_failure().map(|error| format!("{error}; files are compared without it")));
        self.row_of_started(diff, row.as_ref(), started).await.or(row)
    }

    /// Returns and records the row of a write whose result was not recorded, if one side has exactly what was written.
    async fn row_of_started(&mut self, diff: &Diff, row: Option<&Row>, started: Vec<StartedWrite>) -> Option<Row> {
        let (source, target) = diff.entries();
        for write in started.iter().rev() {
            let (tree, written, recorded) = match write.written {
                Side::Source => (&self.source, source, row.map(|row| &row.source)),
                Side::Target => (&self.target, target, row.map(|row| &row.target)),
            };
            let Some(written) = written else { continue };
            // The written side is as it was before, so this write was not executed.
            if recorded.is_some() && written.fingerprint.as_ref() == recorded {
                return None;
            }
            if let Some(found) = write.row(tree, written).await {
                if let (Some(rows), Some(_)) = (&mut self.rows, &self.recorder) {
                    rows.record(found.clone()).await;
                }
                return Some(found);
            }
        }
        None
    }

    /// Forgets the manifest rows before a key that were not asked for: neither side has these keys.
    async fn forget_before(&mut self, key: &Key) {
        while let Some(rows) = self.rows.as_mut()
            && let Some(stale) = rows.next_before(key).await
        {
            self.forget(stale).await;
        }
    }

    /// Forgets a key that neither side has. If the filter excludes it, or if it is below a protected directory, pos3 does not
    /// know whether a side has it.
    async fn forget(&mut self, key: Key) {
        let is_unseen = self.unseen.as_ref().is_some_and(|directory| key.as_str().starts_with(directory.as_str()));
        if let Some(recorder) = self.recorder.as_ref().filter(|_| !is_unseen && self.filter.admits(key.as_str())) {
            recorder.note(RowChange::Forget(key)).await;
        }
    }

    /// Remembers a protected directory of either side, unless it is below the last one.
    async fn note_unseen(&mut self, diff: &Diff) {
        let is_protected = match diff {
            Diff::SourceOnly(entry) | Diff::TargetOnly { target: entry, .. } => is_protected(entry),
            Diff::Both { source, target } => is_protected(source) || is_protected(target),
            Diff::Shielded { .. } => false,
        };
        let key = diff.key();
        let is_below = self.unseen.as_ref().is_some_and(|last| key.as_str().starts_with(last.as_str()));
        if is_protected && key.is_marker() && !is_below {
            self.forget_before(key).await;
            self.unseen = Some(key.clone());
        }
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
            Decision::Extra(entry) if self.deletion == Deletion::Mirror => {
                if entry.has_content() {
                    self.watched.note_delete(&entry.key, &mut self.stray);
                }
                self.extra.push(&entry)?;
            }
            Decision::Extra(entry) => self.tally.extra += u64::from(entry.has_content()),
            Decision::Act(Action::Copy { source, target: None, why: Change::New }) => {
                if let Some(source) = self.names.hold(source) {
                    self.queue(new(source))?;
                }
            }
            Decision::Act(action) => self.queue(action)?,
            Decision::Read { source, target, reading, times_decide, objection, row } => {
                let sides = Sides { source: self.source.clone(), target: self.target.clone() };
                let own = if self.overwritable.is_some() { Own::Wanted } else { Own::NotNeeded };
                let needs_digest = self.recorder.is_some() && own == Own::Wanted;
                self.read(async move {
                    let compared = same_content((&sides.source, &source), (&sides.target, &target), reading, own).await;
                    let found = compared.as_ref().ok().and_then(|compared| compared.local);
                    let same = compared.map(|Compared { same, .. }| same);
                    let digest = match (&same, found) {
                        (_, Some((_, digest))) => Some(digest),
                        (Ok(Sameness::Same(Proof::Checksum)), None) if needs_digest => {
                            sides.digest(&source, &target).await
                        }
                        _ => None,
                    };
                    match judge(same, source, target, times_decide, digest) {
                        Judged::Act(action, learned) => match *action {
                            Action::Copy { source, target, why } => {
                                sides.copy_unless(objection, source, target, why, (found, row)).await
                            }
                            action => Judged::Act(Box::new(action), learned),
                        },
                        judged => judged,
                    }
                });
            }
            Decision::Ask { source, target, why, question, row } => {
                let sides = Sides { source: self.source.clone(), target: self.target.clone() };
                self.read(async move { sides.ask(question, source, target, why, (None, row)).await });
            }
        }
        Ok(())
    }

    /// Queues what reading contents will lead to.
    fn read(&mut self, judging: impl Future<Output = Judged> + Send + 'static) {
        self.waiting.push_back(Waiting::Reading(AbortOnDropHandle::new(tokio::spawn(judging))));
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

    /// Both listings ended well: only now can there be deletes.
    async fn finish(&mut self) -> Result<(), PlanError> {
        let held = self.names.end();
        held.into_iter().try_for_each(|source| self.queue(new(source)))?;
        while let Some(key) = self.next_recorded().await {
            self.forget(key).await;
        }
        if self.shapes.are_reported()
            && self.tally.source > 0
            && let Some(report) = shapes::around_single(&self.target).await
        {
            self.queue(report)?;
        }
        if let Some(ends) = self.merge.take().and_then(Merge::finish) {
            self.warn(Side::Source, &ends.0);
            self.warn(Side::Target, &ends.1);
            if self.deletion == Deletion::Mirror {
                self.make_room().await?;
                let extra = std::mem::replace(&mut self.extra, Extra::with_memory(0));
                let counts = (self.tally, self.source_files);
                let deletes = extra.release(!self.replacing.is_empty(), self.guards, counts, (&ends.0, &ends.1));
                let deletes = self.without_stray(deletes).map_err(PlanError::Refused)?;
                if self.unmatched_patterns == UnmatchedPatterns::Reported {
                    self.warnings.extend(self.watched.unmatched());
                }
                self.last = Last::Decided(deletes);
            }
        }
        Ok(())
    }

    /// Refuses deletes that an exclude pattern was probably meant to prevent. Their number is of no interest then.
    fn without_stray(&self, deletes: Result<Deletes, Refusal>) -> Result<Deletes, Refusal> {
        let is_counted = matches!(deletes, Ok(_) | Err(Refusal::TooManyDeletes { .. }));
        match self.watched.first_stray(&self.stray) {
            Some((pattern, key)) if is_counted && !self.guards.allow_unmatched => {
                Err(Refusal::UnmatchedPattern { pattern, key })
            }
            _ => deletes,
        }
    }

    /// Warns of what is wrong with a listing that ended well.
    fn warn(&mut self, side: Side, listing: &Complete) {
        let tree = match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        };
        self.warnings.extend(listing.doubts().warnings(format_args!("the {} '{tree}'", side.as_str())));
    }

    /// Makes skips of the replacements whose place cannot be cleared or whose content cannot be read. What they would have
    /// replaced stays.
    async fn make_room(&mut self) -> Result<(), PlanError> {
        let wanted = std::mem::replace(&mut self.replacing, Spill::with_limit(self.memory));
        let mut unreplaced = Unreplaced::default();
        for action in wanted {
            let action = action?;
            let obstacle = action.obstacle().cloned();
            let checked = self.room.check(action, &self.target, &self.filter).await;
            let failed = |error| PlanError::Listing(ListingFailed { side: Side::Target, error });
            let action = self.policy.if_ready(checked.map_err(failed)?);
            obstacle.into_iter().for_each(|obstacle| unreplaced.note(obstacle, &action));
            self.queue(action)?;
        }
        if !unreplaced.is_empty() {
            self.tally.extra += self.extra.leave_out(self.memory, |key| unreplaced.has(key))?;
        }
        Ok(())
    }

    async fn next_recorded(&mut self) -> Option<Key> {
        self.rows.as_mut()?.next().await
    }
}

/// Records a pair that is known to be equal, or to have been.
async fn learn(recorder: Option<&Recorder>, learned: Option<Row>) {
    if let (Some(recorder), Some(row)) = (recorder, learned) {
        recorder.note(RowChange::Equal(row)).await;
    }
}

/// The two trees, for tasks that read from them.
struct Sides {
    source: Tree,
    target: Tree,
}

impl Sides {
    /// Returns the copy, or that the target stays as it is.
    async fn copy_unless(
        &self,
        objection: Objection,
        source: Entry,
        target: Option<Entry>,
        why: Change,
        known: (Option<(Side, Digest)>, Option<Row>),
    ) -> Judged {
        match objection {
            Objection::None => Judged::Act(Box::new(Action::Copy { source, target, why }), None),
            Objection::Stay(why) => Judged::Act(Box::new(Action::Skip { key: source.key, why }), None),
            Objection::ByContent(question) => self.ask(question, source, target, why, known).await,
        }
    }

    /// Returns the same, where the content of one side decides. It is not read again if its digest was found before.
    async fn ask(
        &self,
        question: ByContent,
        source: Entry,
        target: Option<Entry>,
        why: Change,
        (found, row): (Option<(Side, Digest)>, Option<Row>),
    ) -> Judged {
        let read = match (question.side, &target) {
            (Side::Source, _) => Some(self.source.content(&source)),
            (Side::Target, target) => target.as_ref().map(|target| self.target.content(target)),
        };
        let answered = found.and_then(|(side, digest)| question.compared(side, digest));
        let mut learned = None;
        let objection = match (answered, read) {
            (None, None) => question.unknown,
            (answered, read) => {
                let answer = match (answered, read) {
                    (None, Some(content)) => agreement(&content, &question.digests).await,
                    (answered, _) => Ok(answered.unwrap_or(Agreement::Unknown)),
                };
                if matches!(answer, Ok(Agreement::Same)) {
                    learned = row.and_then(|row| touched(row, &question, &source, target.as_ref()));
                }
                question.answer(answer)
            }
        };
        match objection {
            None => Judged::Act(Box::new(Action::Copy { source, target, why }), None),
            Some(why) => Judged::Act(Box::new(Action::Skip { key: source.key, why }), learned),
        }
    }

    /// Returns a digest of the content that both sides have, by reading the one that is local.
    async fn digest(&self, source: &Entry, target: &Entry) -> Option<Digest> {
        let is_local = |tree: &Tree| tree.store().capabilities().local_reads;
        match (is_local(&self.source), is_local(&self.target)) {
            (true, _) => comparable(self.source.content(source)).await,
            (false, true) => comparable(self.target.content(target)).await,
            (false, false) => None,
        }
    }
}

/// Returns a manifest row with the new fingerprint of a side whose content is still the recorded one, so that it need not be
/// read for that again.
fn touched(row: Row, question: &ByContent, source: &Entry, target: Option<&Entry>) -> Option<Row> {
    if question.digests.iter().any(|digest| Some(*digest) != row.digest) {
        return None;
    }
    Some(match question.side {
        Side::Source => Row { source: source.fingerprint.clone()?, ..row },
        Side::Target => Row { target: target?.fingerprint.clone()?, ..row },
    })
}

fn is_protected(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Protected(_))
}

/// Returns true if a key is skipped because the target has a symbolic link there, or above it.
fn is_behind_link(why: &SkipReason) -> bool {
    matches!(why, SkipReason::Target(Protection::Symlink) | SkipReason::Shielded { why: Protection::Symlink, .. })
}

fn new(source: Entry) -> Action {
    Action::Copy { source, target: None, why: Change::New }
}

/// Returns what to do once the contents have been compared. The digest is one that was made of what is equal.
fn judge(
    same: Result<Sameness, Unread>,
    source: Entry,
    target: Entry,
    times_decide: bool,
    digest: Option<Digest>,
) -> Judged {
    let step = match same {
        Ok(Sameness::Same(proof)) => {
            let learned = Row::of(&source, &target);
            // After a checksum decided, the listing shows no digest of the content.
            let is_listed = proof != Proof::Checksum;
            let learned = learned.map(|row| Row { digest: digest.or(row.digest.filter(|_| is_listed)), ..row });
            return Judged::Same { key: source.key, proof, learned };
        }
        Ok(Sameness::Unknown) if times_decide => {
            return Judged::Same { key: source.key, proof: Proof::Time, learned: None };
        }
        Ok(Sameness::Unknown) => Ok(Change::Incomparable),
        Ok(Sameness::Different) => Ok(Change::Content),
        Err(Unread { side: Side::Target, .. }) => Ok(Change::Incomparable),
        Err(Unread { error, .. }) => match error.kind() {
            // A file that changes while it is read has certainly changed.
            ErrorKind::Precondition => Ok(Change::Content),
            ErrorKind::NotFound => Err(SkipReason::Vanished),
            _ => Err(SkipReason::Source(Protection::Unreadable(error.cause().into()))),
        },
    };
    let action = match step {
        Ok(why) => Action::Copy { source, target: Some(target), why },
        Err(why) => Action::Skip { key: source.key, why },
    };
    Judged::Act(Box::new(action), None)
}
