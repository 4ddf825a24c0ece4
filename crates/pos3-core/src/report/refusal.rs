//! Why a whole plan was refused.

use crate::key::Key;
use crate::side::Side;
use crate::text::counted;

/// Why the whole plan was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The source is empty, and the target is not.
    #[error("the source is empty, so {} would be deleted from the target", counted(*files, "file"))]
    SourceEmpty {
        /// The number of files in the target.
        files: u64,
    },
    /// Entries would be deleted based on an unreliable listing.
    #[error("the listing of the {} cannot be trusted with deletes: {why}", side.as_str())]
    Unreliable {
        /// The side of the listing.
        side: Side,
        /// Why the listing is unreliable.
        why: String,
    },
    /// The source has no files, only empty directories, empty markers, links or unreadable entries.
    #[error("the source is empty except for directories and links, so {} would be deleted from the target", counted(*files, "file"))]
    NoSourceFile {
        /// The number of files that would be deleted.
        files: u64,
    },
    /// The plan deletes more files than allowed.
    #[error("{deletes} of {} in the target would be deleted, which is more than the allowed {limit}", counted(*files, "file"))]
    TooManyDeletes {
        /// The number of files that would be deleted.
        deletes: u64,
        /// The number of files in the target.
        files: u64,
        /// The number of files that may be deleted.
        limit: u64,
    },
    /// Something would be deleted that an exclude pattern was probably meant to spare.
    #[error("the exclude pattern '{pattern}' matches a directory and no key, and '{key}' in it would be deleted")]
    UnmatchedPattern {
        /// The pattern.
        pattern: String,
        /// The first key that would be deleted.
        key: Key,
    },
    /// An entry of the target also appears in the source: both are the same location under two names. This is found
    /// during the run, from an object that was written or is to be deleted.
    #[error("the source and the target overlap under two names: '{key}' in the target also appears in the source")]
    SamePlace {
        /// The key that appears in both, relative to the target.
        key: Key,
    },
    /// An object that was written to the target also appears in the source: they are one location under two names.
    #[error(
        "the source and the target overlap under two names: '{key}', which this run wrote to the target, also appears \
         in the source; '{path}' is left there"
    )]
    WroteIntoSource {
        /// The key of the object, relative to the target.
        key: Key,
        /// The location of the object.
        path: String,
    },
    /// A directory of one side is, or lies in, the directory of the other side or of the backups.
    #[error(
        "the locations overlap: '{key}' in the {} leads to another one of them (source, target or backup location)",
        side.as_str()
    )]
    LeadsToOtherSide {
        /// Where the directory was met.
        side: Side,
        /// The directory, relative to that side.
        key: Key,
    },
}
