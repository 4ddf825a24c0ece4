//! One side of a sync: a store and a prefix.

use std::fmt;
use std::sync::Arc;

use futures::{StreamExt, stream};

use crate::entry::{Digest, Entry};
use crate::error::{ErrorKind, Operation, StoreError};
use crate::hash::comparable;
use crate::key::Key;
use crate::store::{Content, EntryStream, ListOptions, Reads, Recorded, RemoteStore, Result};

/// One side of a sync: a store and either everything below a prefix, or one object. The engine uses keys relative to
/// it.
#[derive(Clone, Debug)]
pub struct Tree {
    store: Arc<dyn RemoteStore>,
    prefix: Arc<str>,
    object: Option<Single>,
}

/// One object that is the whole tree.
#[derive(Clone, Debug)]
struct Single {
    whole: Key,
    name: Key,
}

impl Tree {
    /// Returns the tree of everything in `store`.
    pub fn new(store: Arc<dyn RemoteStore>) -> Self {
        Self { store, prefix: "".into(), object: None }
    }

    /// Returns the tree below `prefix`, which is put before every key as it is. The prefix of a directory ends in `/`.
    #[must_use]
    pub fn at(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Returns the tree of exactly one object, `whole`, in `store`. Its relative key is `name`, so that it is the same
    /// on both sides of a sync even if the objects have different names.
    pub fn object(store: Arc<dyn RemoteStore>, whole: Key, name: Key) -> Self {
        Self { store, prefix: "".into(), object: Some(Single { whole, name }) }
    }

    /// Returns this tree with a listing that is read from the store once and then replayed; see [`Recorded`].
    #[must_use]
    pub fn recorded(&self) -> Self {
        let store = Recorded::new(self.store.clone(), self.prefix.clone());
        Self { store: Arc::new(store), prefix: self.prefix.clone(), object: self.object.clone() }
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn RemoteStore> {
        &self.store
    }

    /// Returns true if the content is on this machine ([`Reads::Local`]).
    pub fn is_local(&self) -> bool {
        self.store.capabilities().reads == Reads::Local
    }

    /// Returns the prefix that is put before every key. It is empty for a tree of one object.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the key in the store for a relative key.
    pub fn key(&self, relative: &Key) -> Key {
        match &self.object {
            Some(single) => single.whole.clone(),
            None => relative.under(&self.prefix),
        }
    }

    /// Returns the relative key for a key of the store, or `None` if that key is outside this tree: a server may return
    /// more keys than were requested. The key of the prefix itself becomes an empty key. Do not remove the
    /// prefix in any other way.
    pub fn relative(&self, key: &Key) -> Option<Key> {
        match &self.object {
            Some(single) => (*key == single.whole).then(|| single.name.clone()),
            None if self.prefix.is_empty() => Some(key.clone()),
            None => key.as_str().strip_prefix(&*self.prefix).map(Key::from),
        }
    }

    /// Returns true for a tree of one object.
    pub fn is_object(&self) -> bool {
        self.object.is_some()
    }

    /// Returns the full key of a tree of one object.
    pub(crate) fn single(&self) -> Option<&Key> {
        self.object.as_ref().map(|single| &single.whole)
    }

    /// Lists the tree as its store does: with full keys, and possibly with keys from outside the tree.
    pub(crate) fn list(&self, options: ListOptions) -> EntryStream {
        let Some(Single { whole, .. }) = self.object.clone() else { return self.store.list(&self.prefix, options) };
        let store = self.store.clone();
        let found = async move {
            match store.head_confirmed(&whole).await {
                Ok(entry) => Some(Ok(Entry { key: whole, ..entry })),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => Some(Err(error)),
            }
        };
        stream::once(found).filter_map(|found| async { found }).boxed()
    }

    /// Returns the content of a relative entry, as it was when it was listed.
    pub fn content(&self, relative: &Entry) -> Content {
        let entry = Entry { key: self.key(&relative.key), ..relative.clone() };
        Content::stored(self.store.clone(), entry)
    }

    /// Reads the content of a relative entry and returns its MD5, or `None` if the content cannot be read as it was
    /// listed.
    pub async fn md5(&self, relative: &Entry) -> Option<Digest> {
        comparable(self.content(relative)).await
    }

    /// Looks up a relative key and returns its current entry, with the relative key. An error names `operation` as what
    /// failed.
    pub(crate) async fn look_up(&self, relative: &Key, operation: Operation) -> Result<Entry> {
        Self::looked_up(self.store.head(&self.key(relative)).await, relative, operation)
    }

    /// Looks up a relative key like [`look_up`](Self::look_up), but not by a lookup alone that a cache may have answered
    /// ([`RemoteStore::head_confirmed`]).
    pub(crate) async fn confirm(&self, relative: &Key, operation: Operation) -> Result<Entry> {
        Self::looked_up(self.store.head_confirmed(&self.key(relative)).await, relative, operation)
    }

    fn looked_up(found: Result<Entry>, relative: &Key, operation: Operation) -> Result<Entry> {
        match found {
            Ok(entry) => Ok(Entry { key: relative.clone(), ..entry }),
            Err(error) => {
                let found = StoreError::new(error.kind(), operation).with_reach(error.reach());
                Err(found.with_key(relative).with_source(error))
            }
        }
    }

    /// Returns a relative key as a user would write it: `s3://bucket/prefix/key`, `/directory/file`.
    pub fn locate(&self, relative: &Key) -> String {
        match &self.object {
            Some(_) => self.to_string(),
            None => format!("{self}{relative}"),
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.store.to_string();
        let place = self.object.as_ref().map_or(&*self.prefix, |single| single.whole.as_str());
        write!(f, "{store}{}{place}", if store.ends_with('/') { "" } else { "/" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[test]
    fn only_keys_below_the_prefix_have_a_relative_one() {
        let tree = |prefix: &str| Tree::new(Arc::new(MemoryStore::new())).at(prefix);
        for (prefix, key, relative) in [
            ("", "a/b", Some("a/b")),
            ("a/", "a/b", Some("b")),
            ("a/", "a/", Some("")),
            ("a/", "a", None),
            ("a/", "", None),
            ("1/", "100/x", None),
            ("/d/", "d/\u{e9}", None),
            ("abc/", "ab\u{e9}/x", None),
            ("\u{e9}/", "\u{e9}/\u{e9}", Some("\u{e9}")),
        ] {
            let found = tree(prefix).relative(&Key::from(key));
            assert_eq!(found.as_ref().map(Key::as_str), relative, "{prefix:?} {key:?}");
        }
    }

    #[test]
    fn a_tree_of_one_object_has_one_relative_key() {
        let tree = Tree::object(Arc::new(MemoryStore::new()), "d/whole".into(), "name".into());
        assert_eq!(tree.relative(&"d/whole".into()), Some("name".into()));
        assert_eq!(tree.relative(&"d/wholesale".into()), None);
        assert_eq!(tree.relative(&"name".into()), None);
    }
}
