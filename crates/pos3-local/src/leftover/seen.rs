//! Records the leftovers that walks find, and tidies them up when something is written below the same root.
//!
//! Reading must not change a directory, and a separate walk for leftovers would cost as much as a listing. So a walk
//! records them. The first write removes unfinished files and moves moved files back, because it shows that pos3 may
//! change this directory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use pos3_core::{Operation, is_moved_name};
use rustix::fd::AsFd;
use rustix::io::Errno;
use tokio::task::spawn_blocking;

use super::Leftover;
use crate::moved;
use crate::options::Symlinks;
use crate::path;
use crate::root::Root;

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
    fn take(&self) -> Vec<String> {
        if !self.any.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tidies up the leftovers that were recorded, in the background. Failures are retried next time.
pub(crate) fn sweep(root: &Arc<Root>) {
    let paths = root.seen().take();
    if !paths.is_empty() {
        let root = root.clone();
        spawn_blocking(move || paths.iter().map(|path| tidy(&root, path)).for_each(drop));
    }
}

fn tidy(root: &Root, path: &str) -> Option<()> {
    let (directory, name) = path::split(path);
    let opened = root.open(Operation::Abort).ok()?;
    let directory = path::open(opened.as_fd(), directory, path::STEP, Symlinks::Skip).ok()?;
    if is_moved_name(name) {
        return moved::settle(directory.as_fd(), name, SystemTime::now()).ok();
    }
    let leftover = Leftover::take(directory.as_fd(), name).ok()??;
    let removed = if leftover.is_stale(name) { leftover.remove(directory.as_fd(), name) } else { Err(Errno::BUSY) };
    removed.ok()
}
