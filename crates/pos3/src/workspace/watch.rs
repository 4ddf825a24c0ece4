//! What a workspace learns from the events of its transfers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use pos3_core::{Action, Event, Key, Observer};

use super::progress::Steps;

/// The observer of the transfers of one pull or push.
#[derive(Clone)]
pub(super) struct Watch {
    observer: Option<Arc<dyn Observer>>,
    steps: Option<Arc<Steps>>,
    emptied: Arc<Mutex<BTreeSet<String>>>,
}

impl Watch {
    pub(super) fn new(observer: Option<Arc<dyn Observer>>, steps: Option<Arc<Steps>>) -> Self {
        Self { observer, steps, emptied: Arc::default() }
    }

    /// Returns the directories above the deleted files.
    pub(super) fn emptied(&self) -> BTreeSet<String> {
        self.emptied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_directories(&self, key: &Key) {
        let mut emptied = self.emptied.lock().unwrap_or_else(PoisonError::into_inner);
        for (end, _) in key.as_str().rmatch_indices('/') {
            if !emptied.insert(key.as_str()[..end].to_owned()) {
                return;
            }
        }
    }
}

impl Observer for Watch {
    fn event(&self, event: &Event<'_>) {
        if let Event::Done(Action::Delete { target }) = event {
            self.note_directories(&target.key);
        }
        if let Some(steps) = &self.steps {
            steps.event(event);
        }
        if let Some(observer) = &self.observer {
            observer.event(event);
        }
    }
}
