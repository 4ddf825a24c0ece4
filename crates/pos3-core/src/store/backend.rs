//! The store behind any wrappers, for copies that do not read the data.
//!
//! With it, a store recognises content of another store of its own type. Without this module, a wrapper such as a
//! limiter would turn a copy inside the server into a download and an upload.

use std::any::Any;

use super::RemoteStore;
use crate::key::Key;

/// Names the store that has an object, and the key of the object there; see [`RemoteStore::backend`].
pub struct Backend<'s> {
    store: &'s dyn Any,
    key: Key,
}

impl<'s> Backend<'s> {
    /// Returns the object at `key` of `store`.
    pub fn new(store: &'s impl RemoteStore, key: &Key) -> Self {
        Self { store, key: key.clone() }
    }

    /// Returns the store and the key, if the store is an `S`.
    pub(super) fn into_store<S: RemoteStore>(self) -> Option<(&'s S, Key)> {
        Some((self.store.downcast_ref()?, self.key))
    }
}

impl std::fmt::Debug for Backend<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend").field("key", &self.key).finish_non_exhaustive()
    }
}
