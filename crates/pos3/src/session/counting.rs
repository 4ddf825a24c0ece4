//! Counts the actions of an upload as they complete, so the counts are correct even if the upload is cancelled before
//! it returns a report.

use std::sync::{Arc, Mutex, PoisonError};

use pos3_core::{Action, Event, Observer};

use super::registration::History;

/// Adds events to the history of a registration and passes them on.
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
