//! Records the leftovers that walks find, and removes them when something is written below the same root.
//!
//! Reading must not change a directory, and a separate walk for leftovers would cost as much as a listing. So a walk
//! records them, and the first write removes them, because it shows that pos3 may change this directory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pos3_core::Operation;
use rustix::fd::AsFd;
use rustix::io::Errno;
use tokio::task::spawn_blocking;

use super::Leftover;
use crate::options::Symlinks;
use crate::path;
use crate::root::Root;

/// The largest number of recorded leftovers. A later walk finds the others again.
const MOST: usize = 1024;

/// The paths of unfinished files that walks of one root found.
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
    fn take(&self) -> Vec<String> {
        if !self.any.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Removes the stale leftovers that were recorded, in the background. Failures are retried next time.
pub(crate) fn sweep(root: &Arc<Root>) {
    let paths = root.seen().take();
    if !paths.is_empty() {
        let root = root.clone();
        spawn_blocking(move || paths.iter().map(|path| remove_if_stale(&root, path)).for_each(drop));
    }
}

fn remove_if_stale(root: &Root, path: &str) -> Option<()> {
    let (directory, name) = path::split(path);
    let opened = root.open(Operation::Abort).ok()?;
    let directory = path::open(opened.as_fd(), directory, path::STEP, Symlinks::Skip).ok()?;
    let leftover = Leftover::take(directory.as_fd(), name).ok()??;
    let removed = if leftover.is_stale(name) { leftover.remove(directory.as_fd(), name) } else { Err(Errno::BUSY) };
    removed.ok()
}
