//! Events that report the progress of a run.
//!
//! The engine never prints. Progress bars, logs and tests are observers; to use a channel, write an observer that sends
//! to it.

use std::fmt;
use std::sync::Arc;

use crate::action::Action;
use crate::evidence::Proof;
use crate::key::Key;
use crate::report::Failure;
use crate::side::Side;
use crate::tree::Tree;

/// A step of a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run began to work from the first tree to the second.
    Begun(&'a Tree, &'a Tree),
    /// A key was found to be equal on both sides, with the evidence.
    Unchanged(&'a Key, Proof),
    /// An action was decided and will be executed later.
    Decided(&'a Action),
    /// No further action will be decided: the totals are final.
    PlanComplete,
    /// An action was started.
    Started(&'a Action),
    /// This many bytes of content were transferred. Bytes that are sent again are reported again.
    Moved(u64),
    /// An action succeeded.
    Done(&'a Action),
    /// An action failed.
    Failed(&'a Action, &'a Failure),
    /// A listing turned out to be unordered, so it is listed again and sorted. The text names the keys.
    Disorder(Side, &'a str),
    /// This run is waiting because another process holds the lock for the same pair. The event contains the location
    /// and the ID of that process, if it is known.
    Waiting(&'a str, Option<u32>),
    /// A problem that does not stop the run.
    Warning(&'a str),
}

/// Receives events, on any thread. It should return quickly, because the engine waits for it.
pub trait Observer: Send + Sync + 'static {
    /// Handles an event.
    fn event(&self, event: &Event<'_>);
}

/// A shared observer, or none.
#[derive(Clone, Default)]
pub struct Observe(Option<Arc<dyn Observer>>);

impl Observe {
    /// Returns a handle to an observer.
    pub fn new(observer: impl Observer) -> Self {
        Self(Some(Arc::new(observer)))
    }

    /// Passes an event to the observer, if there is one.
    pub fn event(&self, event: &Event<'_>) {
        if let Some(observer) = &self.0 {
            observer.event(event);
        }
    }
}

impl fmt::Debug for Observe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observe(observer)" } else { "Observe(nobody)" })
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn event(&self, event: &Event<'_>) {
        (**self).event(event);
    }
}
