//! The reasons why a sync runs without its sync state.

use std::io;
use std::path::PathBuf;

/// The reason why the sync state of two locations could not be opened. A sync is correct without it, only slower.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another run uses the sync state.
    #[error("{} uses '{}': a sync between these two locations is running", process(*.holder), path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// The process that holds the lock, if it is recorded.
        holder: Option<u32>,
    },
    /// The file was written by a newer version, which still needs it.
    #[error("'{}' was written by a newer version of pos3: its format is {found}, and this version supports {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest supported format.
        known: u32,
    },
    /// The environment selects no directory for the sync state.
    #[error("none of POS3_STATE_DIR, XDG_STATE_HOME and HOME is set")]
    NoDirectory,
    /// A store does not outlive the process. In the next process, its fingerprints could stand for other content.
    #[error("'{location}' is lost when the process ends, so it has no sync state")]
    Fleeting {
        /// The location.
        location: String,
    },
    /// The file, its lock or its directory cannot be created, read or written.
    #[error("cannot use '{}'", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Other users have access to the directory or one of its files, so one of them could have planted it.
    #[error("'{}' is not safe to use: {why}", path.display())]
    Unsafe {
        /// The directory or file.
        path: PathBuf,
        /// The problem, and how to fix it.
        why: &'static str,
    },
    /// The database library fails to open a file that was just created.
    #[error("cannot use '{}': {message}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The cause.
        message: String,
    },
}

impl StateError {
    /// Returns the process that holds the lock, if it is recorded.
    pub(crate) fn holder(&self) -> Option<u32> {
        match self {
            Self::Locked { holder, .. } => *holder,
            _ => None,
        }
    }
}

fn process(holder: Option<u32>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
}
