//! Why two entries are treated as equal, or as different.

use serde::{Deserialize, Serialize};

/// The evidence that two entries are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Proof {
    /// Both are directories.
    Kind,
    /// The sizes are equal, and the options compare nothing else.
    Size,
    /// The times agree, by the rule of the comparison.
    Time,
    /// Both fingerprints are unchanged since the two sides were last equal.
    Manifest,
    /// The digests are equal.
    Digest,
    /// The checksums are equal.
    Checksum,
    /// The contents are equal, byte by byte.
    Content,
}

impl Proof {
    /// Returns a description of the evidence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "both are directories",
            Self::Size => "sizes are equal",
            Self::Time => "sizes are equal and times agree",
            Self::Manifest => "neither side changed since they were equal",
            Self::Digest => "digests are equal",
            Self::Checksum => "checksums are equal",
            Self::Content => "contents are equal",
        }
    }
}

/// Why an entry is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// The target does not have the key.
    New,
    /// The sizes differ.
    Size,
    /// The times differ, by the rule of the comparison.
    Modified,
    /// The digests differ.
    Content,
    /// There is no digest that both sides can be compared by.
    Incomparable,
    /// The options copy every file.
    Always,
}

impl Change {
    /// Returns a description of the reason.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Size => "size differs",
            Self::Modified => "time differs",
            Self::Content => "content differs",
            Self::Incomparable => "cannot be compared",
            Self::Always => "always copied",
        }
    }
}
