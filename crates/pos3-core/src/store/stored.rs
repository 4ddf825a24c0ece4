//! The result of a put.

use crate::entry::Entry;

/// The entry that a put created, with what the store knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The new entry.
    pub entry: Entry,
    /// True if the stored bytes were compared with a checksum of the source's content at the receiving end. The engine treats
    /// content that never leaves this machine, and empty content, as verified.
    pub verified: bool,
}

impl Stored {
    /// Returns the result of a put whose bytes were not compared with a checksum.
    pub fn new(entry: Entry) -> Self {
        Self { entry, verified: false }
    }

    /// Sets whether the bytes were compared with a checksum.
    #[must_use]
    pub fn with_verified(mut self, verified: bool) -> Self {
        self.verified = verified;
        self
    }

    /// Replaces the entry and preserves the rest, for a wrapper that shows entries differently.
    #[must_use]
    pub fn map_entry(mut self, show: impl FnOnce(Entry) -> Entry) -> Self {
        self.entry = show(self.entry);
        self
    }
}
