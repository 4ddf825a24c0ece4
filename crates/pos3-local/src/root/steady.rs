//! Detects that the root is another directory than at the beginning of a run.
//!
//! The path of the root can be renamed or unmounted while a run writes. Without this check, the run would succeed although
//! its files are not at that path.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use pos3_core::{ErrorKind, Operation, Result, StoreError};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::facts;

/// The directory that a run opened first. It stays open during the run: some file systems give a directory another inode
/// number once nobody has it open.
#[derive(Debug, Default)]
pub(crate) struct Steady(Mutex<Stage>);

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Outside,
    Begun,
    Opened(OwnedFd),
}

impl Steady {
    pub(crate) fn begin(&self) {
        self.set(Stage::Begun);
    }

    /// Records the open root, if it is the first one of the run.
    pub(crate) fn note(&self, root: BorrowedFd<'_>) {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*stage, Stage::Begun)
            && let Ok(root) = root.try_clone_to_owned()
        {
            *stage = Stage::Opened(root);
        }
    }

    /// Ends the run. Fails if the path does not lead to the directory that the run opened first.
    pub(crate) fn end(&self, path: &Path) -> Result<()> {
        let Stage::Opened(root) = self.set(Stage::Outside) else { return Ok(()) };
        let begun = rustix::fs::fstat(root.as_fd()).map(|stat| facts::identity(&stat));
        let found = rustix::fs::stat(path).map(|stat| facts::identity(&stat));
        if begun == found {
            return Ok(());
        }
        let path = path.display();
        let message = match found {
            Ok(_) => format!("another directory than at the beginning of the run is at '{path}'"),
            Err(errno) => format!("'{path}', which existed at the beginning of the run, cannot be found ({errno})"),
        };
        let kind = if found.is_ok() { ErrorKind::Precondition } else { ErrorKind::NotFound };
        Err(StoreError::new(kind, Operation::Open).with_message(message))
    }

    fn set(&self, stage: Stage) -> Stage {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), stage)
    }
}
