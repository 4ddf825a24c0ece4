//! Why a sync goes without a memory of the runs before it.

use std::io;
use std::path::PathBuf;

/// Why the memory of two places could not be opened. A sync can do without: it is slower, and no less right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another run uses it.
    #[error("{} uses '{}': a sync between these two places is running", process(*.holder), path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// The process that holds the lock, where it says so.
        holder: Option<u32>,
    },
    /// The file is of a newer version of this program, which will want it again.
    #[error("'{}' is of a newer version of pos3: its format is {found}, and this version knows {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// A store that ends with the process: its next one may say the same of other content.
    #[error("'{location}' ends with this process: there is nothing to remember of it")]
    Fleeting {
        /// The location.
        location: String,
    },
    /// The file, its lock or its directory cannot be made, read or written.
    #[error("cannot use '{}'", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The directory or one of its files is open to other users, who could have planted it.
    #[error("'{}' is not safe to use: {why}", path.display())]
    Unsafe {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it, and what to do about it.
        why: &'static str,
    },
    /// The database refuses a file that was just made.
    #[error("cannot use '{}': {message}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What happened.
        message: String,
    },
}

fn process(holder: Option<u32>) -> String {
    holder.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
}
