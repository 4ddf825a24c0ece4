//! What is still to be copied at the end of a session, known from the plan and from what happens: when time is over, what
//! did not make it has to be named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pos3_core::{Action, Budget, Event, Key, Observer, Plan};

/// If a copy takes less time than this, more can be in flight at once in an end that is hurried.
const QUICK: Duration = Duration::from_secs(1);

/// Notes what is still to be copied, and passes events on. A budget that was narrowed grows with each quick copy.
#[derive(Clone)]
pub(super) struct Watch {
    pending: Arc<Mutex<Option<BTreeSet<Key>>>>,
    begun: Arc<Mutex<BTreeMap<Key, Instant>>>,
    next: Option<Arc<dyn Observer>>,
    budget: Budget,
}

impl Watch {
    pub(super) fn new(next: Option<Arc<dyn Observer>>, budget: Budget) -> Self {
        Self { pending: Arc::default(), begun: Arc::default(), next, budget }
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

    /// Takes note of a plan that is about to be performed. It is all there is to do now, whatever an earlier one said.
    pub(super) fn expect(&self, plan: &Plan) {
        // A plan that cannot be read fails when it is performed.
        let copies = plan.actions().flatten().filter(is_copy).map(|action| action.key().clone());
        *self.pending() = Some(copies.collect());
    }

    /// Returns true if there was a plan, and everything in it has been copied.
    pub(super) fn is_done(&self) -> bool {
        self.pending().as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Returns what was to be copied and was not; nothing while there is no plan, for then it is not known.
    pub(super) fn undone(&self) -> Option<BTreeSet<Key>> {
        self.pending().clone()
    }
}

impl Observer for Watch {
    fn event(&self, event: &Event<'_>) {
        self.measure(event);
        let done = match event {
            Event::Done(action) => Some(action.key()),
            // Others may have brought the same meanwhile.
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
