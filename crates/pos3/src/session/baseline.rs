//! What a remote place held when it was registered.
//!
//! What others store there while the session runs must survive its end, also where the place is to become like the
//! directory.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use pos3_core::{Deletable, Key, ListOptions, StoreError, Tree};

/// The keys of one listing, as hashes: eight bytes each.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline(Arc<Mutex<Option<Keys>>>);

#[derive(Debug)]
struct Keys {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Baseline {
    /// Takes note of what a tree holds now, unless that was done before.
    pub(super) async fn take(&self, tree: &Tree) -> Result<(), StoreError> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let hasher = RandomState::new();
        let mut hashes = HashSet::new();
        let mut entries = tree.store().list(tree.prefix(), ListOptions::default());
        while let Some(entry) = entries.try_next().await? {
            hashes.insert(hasher.hash_one(&entry.key.as_str()[tree.prefix().len()..]));
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Keys { hasher, hashes });
        Ok(())
    }

    /// Allows to delete what was there then, and what this machine stored itself; nothing if no note was taken.
    pub(super) fn deletable(&self) -> Option<Deletable> {
        let baseline = self.clone();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?;
        Some(Deletable::when(move |target, row| {
            let is_ours = row.is_some_and(|row| target.fingerprint.as_ref() == Some(&row.target));
            is_ours || baseline.has(&target.key)
        }))
    }

    fn has(&self, key: &Key) -> bool {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.as_ref().is_some_and(|keys| keys.hashes.contains(&keys.hasher.hash_one(key.as_str())))
    }
}
