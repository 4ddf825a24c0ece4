//! Sets of keys and files, stored as hashes of eight bytes each.
//!
//! Remote deletes depend on the files that existed during the session. Storing every name would need too much memory,
//! and another listing for each transfer would cost too much.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pos3_core::{Entries, Entry, Key, ListOptions, StoreError, Tree};

/// A set of keys and files that several tasks add to.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted(Arc<Mutex<Hashes>>);

#[derive(Debug, Default)]
struct Hashes {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Noted {
    /// Adds every key of a tree.
    pub(super) async fn note_tree(&self, tree: &Tree) -> Result<(), StoreError> {
        let mut entries = Entries::open(tree, ListOptions::default());
        while let Some((relative, _entry)) = entries.next().await? {
            self.note(relative.as_str());
        }
        Ok(())
    }

    pub(super) fn note(&self, key: &str) {
        let mut hashes = self.hashes();
        let hash = hashes.hasher.hash_one(key);
        hashes.hashes.insert(hash);
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        let hashes = self.hashes();
        hashes.hashes.contains(&hashes.hasher.hash_one(key.as_str()))
    }

    /// Adds a file with its current fingerprint.
    pub(super) fn note_file(&self, file: &Entry) {
        let mut hashes = self.hashes();
        let hash = hashes.of_file(file);
        hashes.hashes.insert(hash);
    }

    /// Returns true if the file was added and its fingerprint has not changed since.
    pub(super) fn has_file(&self, file: &Entry) -> bool {
        let hashes = self.hashes();
        hashes.hashes.contains(&hashes.of_file(file))
    }

    pub(super) fn count(&self) -> u64 {
        self.hashes().hashes.len() as u64
    }

    fn hashes(&self) -> MutexGuard<'_, Hashes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hashes {
    fn of_file(&self, file: &Entry) -> u64 {
        self.hasher.hash_one((file.key.as_str(), &file.fingerprint))
    }
}
