//! Shows other processes that staged content has a writer.

use std::sync::Arc;

use pos3_core::{Key, Operation};
use rustix::fd::{AsFd, OwnedFd};

use crate::blocking::blocking;
use crate::leftover::lock_for_staged;
use crate::options::Symlinks;
use crate::path;
use crate::root::{Root, is_staged};

/// Locks the directory of a key that is the name of staged content. If that fails, the content can still be stored:
/// the source has it, too.
pub(crate) async fn hold(root: &Arc<Root>, key: &Key) {
    if !is_staged(key) {
        return;
    }
    let (root, key) = (root.clone(), key.clone());
    let _unlocked = blocking(Operation::Write, move |_| {
        root.staging().hold(&key, |directory| locked(&root, directory));
        Ok(())
    })
    .await;
}

fn locked(root: &Root, directory: &str) -> Option<OwnedFd> {
    let opened = root.open(Operation::Write).ok()?;
    let directory = path::open(opened.as_fd(), directory, path::STEP, Symlinks::Skip).ok()?;
    lock_for_staged(directory.as_fd())
}
