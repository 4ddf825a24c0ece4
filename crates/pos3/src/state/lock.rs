//! One run at a time has a pair's memory.
//!
//! Two runs would each delete what the other knows, and read what the other is about to change.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::directory::OpenDirectory;
use super::error::StateError;

/// How often a lock that another process has is tried again. Its end tells nobody.
const AGAIN: Duration = Duration::from_millis(100);

/// What is done about a pair that another run uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// It is an error at once.
    #[default]
    Fail,
    /// It is an error after this time.
    For(Duration),
}

/// The lock of a pair, released when it is dropped and when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `path` in the directory. The error names the database, which is what people look for.
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
            // Opened again each time: whoever deletes the directory deletes the lock.
            let mut file = directory.open_file(path)?;
            match file.try_lock() {
                Ok(()) => {
                    sign(&mut file).map_err(io)?;
                    return Ok(Self { _file: file });
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
}

/// Writes who has the lock, for the message of who wants it.
fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Returns who has the lock, if that can be read.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
