//! The operations of a store, as errors name them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The operation that failed. Its `Display` is the verb in an error message: "cannot look up 'a'".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Operation {
    /// Opening the store itself.
    Open,
    /// Listing keys.
    List,
    /// Looking up one key without reading its content.
    LookUp,
    /// Reading content.
    Read,
    /// Storing content.
    Write,
    /// Copying content inside a store.
    Copy,
    /// Deleting keys.
    Delete,
    /// Listing unfinished writes.
    ListUploads,
    /// Removing the remains of an unfinished write.
    Abort,
    /// Copying an object to the backup location before it is overwritten or deleted.
    BackUp,
    /// Comparing a copy with its original.
    Verify,
    /// Sending a request, whatever it is for.
    Send,
    /// Resuming work that was interrupted.
    GoOn,
}

impl Operation {
    /// Returns the verb.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::List => "list",
            Self::LookUp => "look up",
            Self::Read => "read",
            Self::Write => "write",
            Self::Copy => "copy",
            Self::Delete => "delete",
            Self::ListUploads => "list uploads",
            Self::Abort => "abort",
            Self::BackUp => "back up",
            Self::Verify => "verify",
            Self::Send => "send",
            Self::GoOn => "go on",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
