//! Allows one run at a time to use a pair's sync state.
//!
//! Two parallel runs would delete each other's rows, and read what the other is about to change.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process;
use std::time::Duration;

use tokio::time::Instant;

use super::directory::OpenDirectory;
use crate::error::StateError;

/// The interval between attempts to take a lock that another process holds. There is no notification when it is
/// released.
const AGAIN: Duration = Duration::from_millis(100);

/// How to handle a pair that another run uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Fail immediately.
    #[default]
    Fail,
    /// Fail after this time.
    For(Duration),
}

/// The lock of a pair. It is released when it is dropped, and when the process ends for any reason.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// The process that took it.
    process: u32,
}

impl Drop for Lock {
    /// Releases the lock also while a child process, which has not begun its program yet, has a copy of the open file. A
    /// copy of this process, made by a fork, leaves it to the process that took it.
    fn drop(&mut self) {
        if self.process == process::id() {
            // Closing the file releases it, too.
            let _ignored = self.file.unlock();
        }
    }
}

impl Lock {
    /// Takes the lock with this path in the directory. The error names the database, because users look for that.
    pub(super) async fn take(
        directory: &OpenDirectory,
        path: &Path,
        database: &Path,
        wait: Wait,
    ) -> Result<Self, StateError> {
        let io = |source| StateError::Io { path: path.to_owned(), source };
        let end = match wait {
            Wait::Fail => None,
            Wait::For(time) => Instant::now().checked_add(time),
        };
        loop {
            // The file is opened again for each attempt, because it may be deleted together with the directory.
            let mut file = directory.open_file(path)?;
            match file.try_lock() {
                Ok(()) => {
                    sign(&mut file).map_err(io)?;
                    return Ok(Self { file, process: process::id() });
                }
                Err(TryLockError::Error(source)) => return Err(io(source)),
                Err(TryLockError::WouldBlock) if end.is_some_and(|end| Instant::now() < end) => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StateError::Locked { path: database.to_owned(), holder: holder(&mut file) });
                }
            }
        }
    }

    /// Takes the lock with this path only to read, without waiting. Returns `None` if it is taken.
    pub(super) fn try_take(directory: &OpenDirectory, path: &Path) -> Result<Option<Self>, StateError> {
        let file = directory.open_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, process: process::id() })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(StateError::Io { path: path.to_owned(), source }),
        }
    }
}

/// Writes the process id of this process into the lock file, for the error message of others.
fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

/// Returns the process id in the lock file, if it can be read.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
