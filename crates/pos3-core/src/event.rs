//! What happens, told while it happens.
//!
//! The engine never talks to a person. Progress bars, logs and tests are observers; a channel is an adapter.

use std::fmt;
use std::sync::Arc;

use crate::compare::Proof;
use crate::diff::Side;
use crate::key::Key;
use crate::plan::Action;
use crate::report::Failure;

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A key was found equal on both sides, and by what.
    Unchanged(&'a Key, Proof),
    /// An action was decided and will be done when its turn comes.
    Decided(&'a Action),
    /// No further action will be decided: the totals are final.
    PlanComplete,
    /// An action was begun.
    Started(&'a Action),
    /// Bytes of content were moved. What has to be sent again is told again.
    Moved(u64),
    /// An action was done.
    Done(&'a Action),
    /// An action failed.
    Failed(&'a Action, &'a Failure),
    /// A listing turned out to be out of order; it is listed again and sorted. The text names the keys.
    Disorder(Side, &'a str),
    /// Nothing is done, because another run has the same in hand: the place, and the process that has it, where that is
    /// known.
    Waiting(&'a str, Option<u32>),
    /// Something is not as a person may expect it, and stops nothing.
    Warning(&'a str),
}

/// Told of events, from any thread; it should return soon.
pub trait Observer: Send + Sync + 'static {
    /// Takes note of an event.
    fn event(&self, event: &Event<'_>);
}

/// A shared observer, or none.
#[derive(Clone, Default)]
pub struct Observe(Option<Arc<dyn Observer>>);

impl Observe {
    /// Returns a handle on an observer.
    pub fn new(observer: impl Observer) -> Self {
        Self(Some(Arc::new(observer)))
    }

    /// Tells the observer, if there is one.
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
