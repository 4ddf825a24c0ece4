//! What a sync reads from or writes to: a store and a prefix.

use std::fmt;
use std::sync::Arc;

use crate::entry::Entry;
use crate::error::StoreError;
use crate::key::Key;
use crate::store::{Content, RemoteStore, Result};

/// A store and the prefix under which one side of a sync lives. The engine speaks of keys relative to it.
#[derive(Clone, Debug)]
pub struct Tree {
    store: Arc<dyn RemoteStore>,
    prefix: Arc<str>,
}

impl Tree {
    /// Returns the tree of everything in `store`.
    pub fn new(store: Arc<dyn RemoteStore>) -> Self {
        Self { store, prefix: "".into() }
    }

    /// Returns the tree below `prefix`, which is text put before every key as it is; a directory's ends in `/`.
    #[must_use]
    pub fn at(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn RemoteStore> {
        &self.store
    }

    /// Returns the prefix, as it is put before every key.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the store's key of a relative key.
    pub fn key(&self, relative: &Key) -> Key {
        relative.under(&self.prefix)
    }

    /// Returns the content of a relative entry, as it was when it was listed.
    pub fn content(&self, relative: &Entry) -> Content {
        let entry = Entry { key: self.key(&relative.key), ..relative.clone() };
        Content::stored(self.store.clone(), entry)
    }

    /// Looks up a relative key and returns its relative entry as it is now; `operation` is what it is wanted for.
    pub(crate) async fn look_up(&self, relative: &Key, operation: &'static str) -> Result<Entry> {
        match self.store.head(&self.key(relative)).await {
            Ok(entry) => Ok(Entry { key: relative.clone(), ..entry }),
            Err(error) => Err(StoreError::new(error.kind(), operation).with_key(relative).with_source(error)),
        }
    }

    /// Returns a relative key as a person would write it: `s3://bucket/prefix/key`, `/directory/file`.
    pub fn locate(&self, relative: &Key) -> String {
        format!("{self}{relative}")
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.store.to_string();
        write!(f, "{store}{}{}", if store.ends_with('/') { "" } else { "/" }, self.prefix)
    }
}
