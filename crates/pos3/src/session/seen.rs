//! The files that a session has seen: [`Noted`], and [`Beginning`] for those from before it.
//!
//! Remote deletes depend on the files that existed during the session. Storing every name would need too much memory,
//! and another listing for each transfer would cost too much. So a set has hashes of eight bytes each.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use pos3_core::{Digest, Entries, Entry, Key, ListOptions, StoreError, Tree};
use pos3_local::last_modification;

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

    pub(super) fn forget(&self, key: &Key) {
        let mut hashes = self.hashes();
        let hash = hashes.hasher.hash_one(key.as_str());
        hashes.hashes.remove(&hash);
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

/// The files of an output when the session began. Clones share them.
///
/// They are not output of this session's program, whatever happens to them, until their content changes. A failed run
/// may have left them, and another writer may have stored a newer object since.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginning {
    /// Every file with its fingerprint, and every key.
    files: Noted,
    /// The files whose content was not known to be stored.
    leftovers: Arc<Mutex<HashMap<Key, Leftover>>>,
    /// Whether all files are treated as if they had existed.
    is_everything: bool,
}

/// A file whose content was not known to be stored when the session began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leftover {
    size: u64,
    digest: Option<Digest>,
    modified: Option<SystemTime>,
}

/// Where the current content of a file is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The program of this session wrote it, or it was stored when the session began and has another fingerprint now.
    Program,
    /// It is unchanged since before the session.
    Before,
    /// It is from before the session if it has this digest, and otherwise from the program. Without a digest, this is
    /// unknown.
    Either {
        digest: Option<Digest>,
        /// The time at which the file had been modified when the session began.
        modified: Option<SystemTime>,
    },
}

impl Beginning {
    /// Returns one to which all files belong, for a path that leads to other files than those of the program.
    pub(super) fn of_everything() -> Self {
        Self { is_everything: true, ..Self::default() }
    }

    /// Records a file. `digest` is that of its content, if it is not known to be stored.
    pub(super) fn take(&self, file: &Entry, digest: Option<Digest>, is_leftover: bool) {
        self.files.note_file(file);
        if is_leftover {
            let modified = file.fingerprint.as_ref().and_then(last_modification);
            let leftover = Leftover { size: file.size, digest, modified };
            self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).insert(file.key.clone(), leftover);
        }
    }

    /// Returns where the content of a file is from.
    pub(super) fn origin(&self, file: &Entry) -> Origin {
        if self.is_everything || self.files.has_file(file) {
            return Origin::Before;
        }
        let leftover = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).get(&file.key).copied();
        match leftover {
            Some(Leftover { size, digest, modified }) if size == file.size => Origin::Either { digest, modified },
            Some(_) | None => Origin::Program,
        }
    }
}
