//! The directories that contain staged content of this store.
//!
//! Staged content is a complete file that waits for its name (see `is_staged_name`), so no writer has it open. Without a
//! lock, another process would treat it as a leftover of a killed run and remove it. So its directory is locked while
//! it waits. One lock per directory needs few open files.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use pos3_core::{Key, is_staged_name};
use rustix::fd::OwnedFd;

use crate::path;

/// The locked directories, by path.
#[derive(Debug, Default)]
pub(crate) struct Staging(Mutex<HashMap<String, Staged>>);

/// A locked directory, and the names of the content in it.
#[derive(Debug)]
struct Staged {
    names: HashSet<String>,
    _directory: OwnedFd,
}

/// Returns true if the last part of a key is the name of staged content.
pub(crate) fn is_staged(key: &Key) -> bool {
    is_staged_name(path::split(key.as_str()).1)
}

impl Staging {
    /// Records staged content. `lock` opens and locks its directory, unless that is locked already.
    pub(crate) fn hold(&self, key: &Key, lock: impl FnOnce(&str) -> Option<OwnedFd>) {
        let (directory, name) = path::split(key.as_str());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(staged) = all.get_mut(directory) {
            staged.names.insert(name.to_owned());
        } else if let Some(locked) = lock(directory) {
            let names = HashSet::from([name.to_owned()]);
            all.insert(directory.to_owned(), Staged { names, _directory: locked });
        }
    }

    /// Unlocks the directory of a key if it contains no other staged content.
    pub(crate) fn release(&self, key: &Key) {
        if !is_staged(key) {
            return;
        }
        let (directory, name) = path::split(key.as_str());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(staged) = all.get_mut(directory)
            && staged.names.remove(name)
            && staged.names.is_empty()
        {
            all.remove(directory);
        }
    }
}
