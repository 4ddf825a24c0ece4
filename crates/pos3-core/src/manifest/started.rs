//! Writes that were started and whose result was not recorded.
//!
//! If a process is killed after the target has stored a write and before the row is recorded, both sides differ from
//! the row. Without a record of the write, that looks as if another writer had changed the target.

use crate::entry::{Checksum, Digest, Fingerprint};
use crate::key::Key;
use crate::side::Side;

/// A write that was started. If the written side later has this content, no other writer changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedWrite {
    /// The key, relative to both trees.
    pub key: Key,
    /// The side that is written.
    pub written: Side,
    /// The fingerprint of the other side, whose content is written.
    pub read: Fingerprint,
    /// The size of the content in bytes.
    pub size: u64,
    /// The digest that the written side will report for the content, if known.
    pub digest: Option<Digest>,
    /// The checksum of the content, if known.
    pub checksum: Option<Checksum>,
}

impl StartedWrite {
    /// Returns the same write for the sync in the opposite direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        let written = match self.written {
            Side::Source => Side::Target,
            Side::Target => Side::Source,
        };
        Self { written, ..self }
    }
}
