//! The two sides of a sync.

use serde::{Deserialize, Serialize};

/// A side of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The side that is read.
    Source,
    /// The side that is made equal to the source.
    Target,
}

impl Side {
    /// Returns the side's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}
