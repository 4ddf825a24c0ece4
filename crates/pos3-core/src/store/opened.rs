//! What a store keeps open between the ranges of one content.
//!
//! Ranges that are opened one by one by name may come from different files. Who reads several ranges gives all reads the
//! same [`Opened`]; a store that has something to keep open, such as a file, leaves it there.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A place for what a store opened to read one state of one object; clones share it. What is in it is closed when the
/// last clone is dropped.
#[derive(Clone, Default)]
pub struct Opened(Arc<OnceLock<Arc<dyn Any + Send + Sync>>>);

impl Opened {
    /// Returns what is kept here, if it is a `T`.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get()?.clone().downcast().ok()
    }

    /// Keeps `opened` for further reads, unless something is kept here already.
    pub fn keep<T: Send + Sync + 'static>(&self, opened: Arc<T>) {
        self.0.get_or_init(|| opened);
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "Opened(something)" } else { "Opened(nothing)" })
    }
}
