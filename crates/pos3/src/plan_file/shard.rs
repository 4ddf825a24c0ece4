//! Divides a plan between machines.
//!
//! The parts are chosen by a stable hash of the keys. So machines execute each action exactly once without
//! communicating. Copies are distributed by their whole keys. Deletes and replacements are distributed by the first
//! segment of the key, because they may depend on each other: a directory is deleted after its contents, and a
//! replacement runs after the deletes that free its path.

use std::fmt;
use std::str::FromStr;

use pos3_core::Action;
use sha2::{Digest, Sha256};

/// One part of a plan, written `i/n`: from `1/n` to `n/n`. The default is the whole plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

/// The text is not a part of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the part as i/n, such as 1/3, 2/3 and 3/3")]
pub struct ShardError;

impl Shard {
    /// Returns true if the action belongs to this part.
    pub fn takes(self, action: &Action) -> bool {
        self.count == 1 || hash(action) % u64::from(self.count) == u64::from(self.index - 1)
    }

    /// Returns true if this part is the whole plan.
    pub fn is_whole(self) -> bool {
        self.count == 1
    }
}

fn hash(action: &Action) -> u64 {
    let key = action.key().as_str();
    let name = match action {
        Action::Copy { .. } | Action::Skip { .. } => key,
        Action::Delete { .. } | Action::Replace { .. } => key.split('/').next().unwrap_or(key),
    };
    let hash = Sha256::digest(name);
    hash.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 1, count: 1 }
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| ShardError);
        let shard = Self { index: number(index)?, count: number(count)? };
        if (1..=shard.count).contains(&shard.index) { Ok(shard) } else { Err(ShardError) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}
