//! Detects that the root is another directory than at the beginning of a run.
//!
//! The path of the root can be renamed or unmounted while a run reads and writes. Without this check, the run would succeed
//! although its files are not at that path, or it would read the files of an older copy that was put there.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use pos3_core::{ErrorKind, OTHER_DIRECTORY, Operation, Result, StoreError};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;

use crate::error;
use crate::facts::{self, Identity};

/// The directory that a run opened first. It stays open during the run: some file systems give a directory another inode
/// number once nobody has it open.
#[derive(Debug, Default)]
pub(crate) struct Steady(Mutex<Stage>);

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Outside,
    Begun,
    Opened {
        identity: Identity,
        _open: OwnedFd,
    },
}

impl Steady {
    pub(crate) fn begin(&self) {
        self.set(Stage::Begun);
    }

    /// Records the open root at `path`, if it is the first one of the run. Fails if it is another directory than the first.
    pub(crate) fn check(&self, root: BorrowedFd<'_>, path: &Path, operation: Operation) -> Result<()> {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*stage, Stage::Outside) {
            return Ok(());
        }
        let unread = |errno: Errno| error::unnamed(operation, errno);
        let found = facts::identity(&rustix::fs::fstat(root).map_err(unread)?);
        match &*stage {
            Stage::Opened { identity, .. } if *identity != found => Err(replaced(path, operation)),
            Stage::Opened { .. } | Stage::Outside => Ok(()),
            Stage::Begun => {
                let open = rustix::io::fcntl_dupfd_cloexec(root, 0).map_err(unread)?;
                *stage = Stage::Opened { identity: found, _open: open };
                Ok(())
            }
        }
    }

    /// Ends the run. Fails if the path does not lead to the directory that the run opened first.
    pub(crate) fn end(&self, path: &Path) -> Result<()> {
        // The directory stays open until the end of this function, so no other one can have its inode number.
        let stage = self.set(Stage::Outside);
        let Stage::Opened { identity, .. } = &stage else { return Ok(()) };
        match rustix::fs::stat(path) {
            Ok(stat) if facts::identity(&stat) == *identity => Ok(()),
            Ok(_) => Err(replaced(path, Operation::Open)),
            Err(errno) => {
                let path = path.display();
                let message = format!("'{path}', which existed at the beginning of the run, cannot be found ({errno})");
                Err(StoreError::new(ErrorKind::NotFound, Operation::Open).with_message(message))
            }
        }
    }

    fn set(&self, stage: Stage) -> Stage {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), stage)
    }
}

fn replaced(path: &Path, operation: Operation) -> StoreError {
    let message = format!("another directory than at the beginning of the run is at '{}'", path.display());
    StoreError::new(ErrorKind::Precondition, operation).with_code(OTHER_DIRECTORY).with_message(message)
}
