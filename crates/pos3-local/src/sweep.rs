//! Tidies up the leftovers that walks found, when something is written below the same root.
//!
//! The first write removes unfinished files and moves moved files back, because it shows that pos3 may change this
//! directory. Only the end of a successful run removes staged content.

use std::sync::Arc;
use std::time::SystemTime;

use pos3_core::{Operation, is_moved_name};
use rustix::fd::AsFd;
use rustix::io::Errno;
use tokio::task::spawn_blocking;

use crate::leftover::Leftover;
use crate::moved;
use crate::options::Symlinks;
use crate::path;
use crate::root::Root;

/// Tidies up the leftovers that were recorded, in the background. Failures are retried next time.
pub(crate) fn sweep(root: &Arc<Root>) {
    let paths = root.seen().take();
    if !paths.is_empty() {
        let root = root.clone();
        spawn_blocking(move || paths.iter().map(|path| tidy(&root, path)).for_each(drop));
    }
}

/// Tidies up all leftovers that were recorded, also staged content, and waits for it.
pub(crate) async fn sweep_all(root: &Arc<Root>) {
    let (staged, others) = (root.seen().take_staged(), root.seen().take());
    if staged.is_empty() && others.is_empty() {
        return;
    }
    let root = root.clone();
    // If this fails, the leftovers stay until another run.
    let _not_tidied = spawn_blocking(move || {
        staged.iter().chain(&others).map(|path| tidy(&root, path)).for_each(drop);
    })
    .await;
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
