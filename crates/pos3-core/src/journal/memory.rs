//! A journal in memory, for tests and for programs whose disk does not persist.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Journal, Unfinished};
use crate::key::Key;

/// A journal in memory.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<BTreeMap<Key, Unfinished>>);

impl MemoryJournal {
    fn notes(&self) -> MutexGuard<'_, BTreeMap<Key, Unfinished>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn load(&self, key: &Key) -> Option<Unfinished> {
        self.notes().get(key).cloned()
    }

    async fn save(&self, key: &Key, unfinished: &Unfinished) {
        self.notes().insert(key.clone(), unfinished.clone());
    }

    async fn remove(&self, key: &Key) {
        self.notes().remove(key);
    }

    async fn all(&self) -> Vec<(Key, Unfinished)> {
        self.notes().iter().map(|(key, unfinished)| (key.clone(), unfinished.clone())).collect()
    }
}
