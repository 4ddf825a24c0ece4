//! Counts what an upload does when it happens: the counts are true also if the upload is cancelled before it can report.

use std::sync::{Arc, Mutex, PoisonError};

use pos3_core::{Action, Event, Observer};

use super::registration::History;

/// Adds to the history of a registration, and passes events on.
pub(super) struct Counting {
    pub(super) history: Arc<Mutex<History>>,
    pub(super) next: Arc<dyn Observer>,
}

impl Observer for Counting {
    fn event(&self, event: &Event<'_>) {
        if let Event::Done(action) = event {
            let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
            match action {
                Action::Copy { source, .. } | Action::Replace { source, .. } => {
                    history.uploaded += 1;
                    history.uploaded_bytes += source.size;
                }
                Action::Delete { target } => history.deleted += u64::from(target.has_content()),
                Action::Skip { .. } => {}
            }
        }
        self.next.event(event);
    }
}
