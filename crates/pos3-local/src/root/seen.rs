//! Records the leftovers that walks find.
//!
//! Reading must not change a directory, and a separate walk for leftovers would cost as much as a listing. So a walk
//! records them, and the first write tidies them up. Staged content is tidied up only by a run that has made everything:
//! until then, it may be all that is left of an entry.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pos3_core::is_staged_name;

/// The largest number of recorded leftovers. A later walk finds the others again.
const MOST: usize = 1024;

/// The paths of unfinished and moved files that walks of one root found.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    paths: Mutex<Vec<String>>,
    any: AtomicBool,
    staged: Mutex<Vec<String>>,
}

impl Seen {
    /// Records the file `name` in `directory`, a key that is empty or ends in `/`.
    pub(crate) fn note(&self, directory: &str, name: &str) {
        let is_staged = is_staged_name(name);
        let paths = if is_staged { &self.staged } else { &self.paths };
        let mut paths = paths.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() < MOST {
            paths.push(format!("{directory}{name}"));
            self.any.fetch_or(!is_staged, Ordering::AcqRel);
        }
    }

    /// Returns the paths of staged content recorded since the last call.
    pub(crate) fn take_staged(&self) -> Vec<String> {
        std::mem::take(&mut *self.staged.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the other paths recorded since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        if !self.any.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
