//! The progress of a run. It is shown while the inputs are downloaded and while the last outputs are uploaded, but not in
//! between, because the terminal is then the program's. Warnings are printed at any time.

use std::sync::{Arc, Mutex, PoisonError};

use pos3::{Event, Registered, SessionObserver};

use crate::args::Show;
use crate::progress::{Progress, Watcher};
use crate::warnings::Warnings;

/// The observer of the session.
#[derive(Clone)]
pub(super) struct Audience {
    watcher: Arc<Mutex<Option<Watcher>>>,
    warnings: Warnings,
}

/// A part of the run that is shown.
pub(super) struct Stage {
    audience: Audience,
    progress: Option<Progress>,
}

impl Audience {
    pub(super) fn new(warnings: &Warnings) -> Self {
        Self { watcher: Arc::default(), warnings: warnings.clone() }
    }

    /// Shows what happens until the stage is dropped.
    pub(super) fn stage(&self, show: Show) -> Stage {
        let progress = Progress::start(show);
        self.set(Some(progress.counter()));
        Stage { audience: self.clone(), progress: Some(progress) }
    }

    fn set(&self, watcher: Option<Watcher>) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = watcher;
    }
}

impl SessionObserver for Audience {
    fn session_event(&self, registration: Option<&Registered>, event: &Event<'_>) {
        if let Event::Warning(warning) = event {
            self.warnings.warn(warning);
        }
        if let Some(watcher) = &*self.watcher.lock().unwrap_or_else(PoisonError::into_inner) {
            watcher.session_event(registration, event);
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.audience.set(None);
        if let Some(progress) = self.progress.take() {
            progress.end();
        }
    }
}
