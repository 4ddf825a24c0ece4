//! Records the leftovers that walks find.
//!
//! Reading must not change a directory, and a separate walk for leftovers would cost as much as a listing. So a walk
//! records them, and the first write tidies them up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The largest number of recorded leftovers. A later walk finds the others again.
const MOST: usize = 1024;

/// The paths of unfinished and moved files that walks of one root found.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    paths: Mutex<Vec<String>>,
    any: AtomicBool,
}

impl Seen {
    /// Records the file `name` in `directory`, a key that is empty or ends in `/`.
    pub(crate) fn note(&self, directory: &str, name: &str) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if paths.len() < MOST {
            paths.push(format!("{directory}{name}"));
            self.any.store(true, Ordering::Release);
        }
    }

    /// Returns the paths recorded since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        if !self.any.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
