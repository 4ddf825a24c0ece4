//! What is still to be copied at the end of a session, known from the plan and from what happens: when time is over, what
//! did not make it has to be named.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pos3_core::{Action, Event, Key, Observer, Plan};

/// Notes what is still to be copied, and passes events on.
#[derive(Clone)]
pub(super) struct Watch {
    pending: Arc<Mutex<Option<BTreeSet<Key>>>>,
    next: Option<Arc<dyn Observer>>,
}

impl Watch {
    pub(super) fn new(next: Option<Arc<dyn Observer>>) -> Self {
        Self { pending: Arc::default(), next }
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
