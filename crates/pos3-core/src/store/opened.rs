//! Keeps a resource of a store open between the ranges of one content.
//!
//! If each range opened the file by name, the ranges could come from different files. A caller that reads several
//! ranges passes the same [`Opened`] to every read, and a store with something to keep open, such as a file, stores it
//! there.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A slot for the resource that a store opened to read one state of one object. Clones share it. The resource is closed
/// when the last clone is dropped.
#[derive(Clone, Default)]
pub struct Opened(Arc<OnceLock<Arc<dyn Any + Send + Sync>>>);

impl Opened {
    /// Returns the stored resource if it is a `T`.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get()?.clone().downcast().ok()
    }

    /// Stores `opened` for further reads, unless a resource is already stored.
    pub fn keep<T: Send + Sync + 'static>(&self, opened: Arc<T>) {
        self.0.get_or_init(|| opened);
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "Opened(something)" } else { "Opened(nothing)" })
    }
}
