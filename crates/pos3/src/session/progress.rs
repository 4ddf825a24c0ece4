//! Follows an upload by its events, so that its counts and its missing files are known even if it returns no report.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pos3_core::{Action, Budget, Event, Key, Observer, Plan};

use super::known::Way;
use super::registration::History;

/// If a copy takes less than this during a hurried end, one more may be in flight.
const QUICK: Duration = Duration::from_secs(1);

/// Adds the events of a transfer in this direction to the history of its registration, and passes them on.
pub(super) struct Counting {
    pub(super) history: Arc<Mutex<History>>,
    pub(super) way: Way,
    pub(super) next: Option<Arc<dyn Observer>>,
}

impl Observer for Counting {
    fn event(&self, event: &Event<'_>) {
        if let Event::Done(action) = event {
            let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            let totals = match self.way {
                Way::Up => &mut history.uploaded,
                Way::Down => &mut history.downloaded,
            };
            match action {
                Action::Copy { source, .. } | Action::Replace { source, .. } => {
                    totals.files += 1;
                    totals.bytes += source.size;
                }
                Action::Delete { target } => totals.deleted += u64::from(target.has_content()),
                Action::Skip { .. } => {}
            }
        }
        if let Some(next) = &self.next {
            next.event(event);
        }
    }
}

/// Tracks the remaining copies and deletes, and passes events on. A narrowed budget grows with each quick copy.
#[derive(Clone)]
pub(super) struct Watch {
    pending: Arc<Mutex<Option<BTreeSet<Key>>>>,
    deletes: Arc<AtomicU64>,
    begun: Arc<Mutex<BTreeMap<Key, Instant>>>,
    next: Option<Arc<dyn Observer>>,
    budget: Budget,
}

impl Watch {
    pub(super) fn new(next: Option<Arc<dyn Observer>>, budget: Budget) -> Self {
        Self { pending: Arc::default(), deletes: Arc::default(), begun: Arc::default(), next, budget }
    }

    fn measure(&self, event: &Event<'_>) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started(action) if is_copy(action) => drop(begun.insert(action.key().clone(), Instant::now())),
            Event::Done(action) => {
                let is_quick = begun.remove(action.key()).is_some_and(|begun| begun.elapsed() < QUICK);
                is_quick.then(|| self.budget.widen());
            }
            Event::Failed(action, _) => drop(begun.remove(action.key())),
            _ => {}
        }
    }

    fn pending(&self) -> MutexGuard<'_, Option<BTreeSet<Key>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the remaining copies by those of a plan that is about to be executed.
    pub(super) fn expect(&self, plan: &Plan) {
        // A plan that cannot be read fails when it is executed.
        let copies = plan.actions().flatten().filter(is_copy).map(|action| action.key().clone());
        *self.pending() = Some(copies.collect());
        self.deletes.store(plan.counts().deletes, Ordering::Relaxed);
    }

    /// Returns true if there was a plan and all its copies are complete.
    pub(super) fn is_done(&self) -> bool {
        self.pending().as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Returns the number of deletes of the plan that are not known to be done.
    pub(super) fn deletes(&self) -> u64 {
        self.deletes.load(Ordering::Relaxed)
    }

    /// Returns the copies of the plan that are not complete, or `None` if there is no plan yet.
    pub(super) fn undone(&self) -> Option<BTreeSet<Key>> {
        self.pending().clone()
    }
}

impl Observer for Watch {
    fn event(&self, event: &Event<'_>) {
        self.measure(event);
        if let Event::Done(Action::Delete { target }) = event {
            self.deletes.fetch_sub(u64::from(target.has_content()), Ordering::Relaxed);
        }
        let done = match event {
            Event::Done(action) => Some(action.key()),
            // Another process may have written the same content meanwhile.
            Event::Unchanged(key, _) => Some(*key),
            _ => None,
        };
        if let (Some(key), Some(pending)) = (done, self.pending().as_mut()) {
            pending.remove(key);
        }
        if let Some(next) = &self.next {
            next.event(event);
        }
    }
}

fn is_copy(action: &Action) -> bool {
    matches!(action, Action::Copy { .. } | Action::Replace { .. })
}
