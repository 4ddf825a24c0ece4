//! Makes a plan as a stream of actions: merge, decide, hash where nothing else decides.
//!
//! Copies come as soon as they are known. Deletes come last, after both listings ended well and the guards agreed.

use std::collections::VecDeque;

use tokio_util::task::AbortOnDropHandle;

use super::decide::{Decision, Policy};
use super::guard::{Guards, Refusal, release};
use super::names::Names;
use super::{Action, SkipReason, Tally};
use crate::compare::{Change, Unread, same_content};
use crate::diff::{Diff, ListingFailed, Merge, Side};
use crate::entry::{Entry, Kind, Protection};
use crate::error::ErrorKind;
use crate::event::{Event, Observe};
use crate::filter::Filter;
use crate::listing::{Listing, Order};
use crate::options::{Deletion, SyncOptions};
use crate::tree::Tree;

/// Files hashed at once while the plan keeps its order.
const HASHING: usize = 16;

/// Why there is no plan.
#[derive(Debug)]
pub enum PlanError {
    /// A listing failed; what it did not show is unknown.
    Listing(ListingFailed),
    /// A guard refused.
    Refused(Refusal),
}

/// Makes a plan, action by action.
pub struct Planner {
    source: Tree,
    target: Tree,
    policy: Policy,
    deletion: Deletion,
    guards: Guards,
    observer: Observe,
    merge: Option<Merge>,
    names: Names,
    waiting: VecDeque<Waiting>,
    extra: Vec<Entry>,
    deletes: std::vec::IntoIter<Action>,
    tally: Tally,
}

/// An action in its place in the order.
enum Waiting {
    Made(Box<Action>),
    Hashing(AbortOnDropHandle<Option<Action>>),
}

/// Waits for a task; one that panicked goes on panicking here, for nothing may be taken for unchanged because of it.
async fn join(task: AbortOnDropHandle<Option<Action>>) -> Option<Action> {
    match task.await {
        Ok(action) => action,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Planner {
    /// Starts to list both trees. `order` says how each listing gets its order: the source's, the target's.
    pub fn new(source: &Tree, target: &Tree, options: &SyncOptions, order: (Order, Order)) -> Self {
        let list = |tree: &Tree, filter: &Filter, order| Listing::open(tree, filter, order);
        let policy = Policy {
            compare: options.compare,
            source: source.store().capabilities(),
            target: target.store().capabilities(),
        };
        Self {
            merge: Some(Merge::new(list(source, &options.filter, order.0), list(target, &options.filter, order.1))),
            source: source.clone(),
            target: target.clone(),
            policy,
            deletion: options.deletion,
            guards: options.guards,
            observer: options.observer.clone(),
            names: Names::default(),
            waiting: VecDeque::new(),
            extra: Vec::new(),
            deletes: Vec::new().into_iter(),
            tally: Tally::default(),
        }
    }

    /// Returns what has been counted so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Returns the next action, or `None` at the end of the plan.
    ///
    /// # Errors
    ///
    /// A listing that failed, or the refusal of a guard. There are no deletes then.
    pub async fn next(&mut self) -> Result<Option<Action>, PlanError> {
        loop {
            self.fill().await?;
            match self.waiting.pop_front() {
                Some(Waiting::Made(action)) => return Ok(Some(*action)),
                Some(Waiting::Hashing(task)) => match join(task).await {
                    Some(action) => return Ok(Some(action)),
                    None => self.count_unchanged(),
                },
                None => return Ok(self.deletes.next()),
            }
        }
    }

    /// Reads on until an action is at the front, or enough files are being hashed.
    async fn fill(&mut self) -> Result<(), PlanError> {
        while !matches!(self.waiting.front(), Some(Waiting::Made(_))) && self.waiting.len() < HASHING {
            let Some(merge) = &mut self.merge else { return Ok(()) };
            match merge.next().await.map_err(PlanError::Listing)? {
                Some(diff) => {
                    let decision = self.decide(diff);
                    self.settle(decision);
                }
                None => self.finish()?,
            }
        }
        Ok(())
    }

    fn decide(&mut self, diff: Diff) -> Decision {
        self.count(&diff);
        if let Diff::SourceOnly(Entry { key, kind: Kind::Protected(_), .. }) = &diff
            && self.names.is_second_name(key)
        {
            return Decision::Nothing;
        }
        match self.names.clash(&diff, &self.policy) {
            Some(file) => {
                let (Diff::SourceOnly(entry) | Diff::Both { source: entry, .. }) = diff else {
                    return Decision::Nothing;
                };
                Decision::Act(Action::Skip { key: entry.key, why: SkipReason::Clash(file) })
            }
            None => self.policy.decide(diff),
        }
    }

    fn count(&mut self, diff: &Diff) {
        let (source, target) = match diff {
            Diff::SourceOnly(source) | Diff::Shielded { source, .. } => (Some(source), None),
            Diff::TargetOnly { target, .. } => (None, Some(target)),
            Diff::Both { source, target } => (Some(source), Some(target)),
        };
        self.tally.source += u64::from(source.is_some());
        self.tally.target += u64::from(target.is_some_and(Entry::has_content));
    }

    /// Counts what needs no action, keeps what may have to be deleted, and queues the rest in order.
    fn settle(&mut self, decision: Decision) {
        match decision {
            Decision::Nothing => {}
            Decision::Unchanged => self.count_unchanged(),
            Decision::Extra(entry) if self.deletion == Deletion::Mirror => self.extra.push(entry),
            Decision::Extra(entry) => self.tally.extra += u64::from(entry.has_content()),
            Decision::Act(action) => self.waiting.push_back(Waiting::Made(Box::new(action))),
            Decision::Hash { source, target } => {
                let trees = (self.source.clone(), self.target.clone());
                let task = tokio::spawn(async move {
                    let same = same_content((&trees.0, &source), (&trees.1, &target)).await;
                    judge(same, source, target)
                });
                self.waiting.push_back(Waiting::Hashing(AbortOnDropHandle::new(task)));
            }
        }
    }

    fn count_unchanged(&mut self) {
        self.tally.unchanged += 1;
        self.observer.event(&Event::Unchanged);
    }

    /// Both listings ended well: only now can there be deletes.
    fn finish(&mut self) -> Result<(), PlanError> {
        if let Some((source, target)) = self.merge.take().and_then(Merge::finish)
            && self.deletion == Deletion::Mirror
        {
            let extra = std::mem::take(&mut self.extra);
            let deletes = release(extra, self.guards, self.tally, &source, &target).map_err(PlanError::Refused)?;
            self.deletes = deletes.into_iter();
        }
        Ok(())
    }
}

/// Returns what to do once the contents have been compared; nothing if they are the same.
fn judge(same: Result<bool, Unread>, source: Entry, target: Entry) -> Option<Action> {
    let step = match same {
        Ok(true) => return None,
        Ok(false) => Ok(Change::Content),
        Err(Unread { side: Side::Target, .. }) => Ok(Change::Incomparable),
        Err(Unread { error, .. }) => match error.kind() {
            // A file that changes while it is hashed has certainly changed.
            ErrorKind::Precondition => Ok(Change::Content),
            ErrorKind::NotFound => Err(SkipReason::Vanished),
            _ => Err(SkipReason::Source(Protection::Unreadable(error.cause().into()))),
        },
    };
    Some(match step {
        Ok(why) => Action::Copy { source, target: Some(target), why },
        Err(why) => Action::Skip { key: source.key, why },
    })
}
