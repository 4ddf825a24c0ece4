//! A plan: what a sync would do, as data.
//!
//! Making a plan touches nothing; a dry run is a plan that nobody executes. The [`Planner`] makes one as a stream, so
//! that copies can start while listings are still read; [`Plan`] is the same, collected: in memory while it is small, with
//! the rest in temporary files.

mod decide;
mod guard;
mod names;
mod planner;
mod whole;

use serde::{Deserialize, Serialize};

use crate::compare::Change;
use crate::entry::{Entry, Protection};
use crate::key::{Key, UnsafeKey};

pub use decide::Policy;
pub use guard::{Guards, MaxDelete, Refusal};
pub use planner::{PlanError, Planner};
pub use whole::{Plan, PlanCounts};

/// One decided step, with what was seen when it was decided. Keys are relative to both trees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Make the target equal to the source.
    Copy {
        /// What was listed in the source.
        source: Entry,
        /// What was listed in the target, if anything.
        target: Option<Entry>,
        /// Why.
        why: Change,
    },
    /// Remove what the source does not have. Comes only after both listings ended well.
    Delete {
        /// What was listed in the target.
        target: Entry,
    },
    /// Make the target equal to the source where something of another kind stands: a file where a directory has to be,
    /// or a directory where a file. Comes after the deletes that clear its way.
    Replace {
        /// What was listed in the source.
        source: Entry,
        /// What stands in the way, and is deleted first.
        obstacle: Key,
    },
    /// Leave a key alone that would otherwise be copied.
    Skip {
        /// The key.
        key: Key,
        /// Why.
        why: SkipReason,
    },
}

impl Action {
    /// Returns the relative key this is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Copy { source, .. } | Self::Replace { source, .. } => &source.key,
            Self::Delete { target } => &target.key,
            Self::Skip { key, .. } => key,
        }
    }
}

/// Why a key is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The source has something there that is not read.
    #[error("{0}")]
    Source(Protection),
    /// The target has something there that is not touched.
    #[error("in the target, {0}")]
    Target(Protection),
    /// In the target it would lie below something that is not touched.
    #[error("in the target it would lie below '{by}', and {why}")]
    Shielded {
        /// The protected directory.
        by: Key,
        /// Why it is protected.
        why: Protection,
    },
    /// The target cannot hold the key.
    #[error("the key cannot be a file name: {0}")]
    Unsafe(UnsafeKey),
    /// A name would have to be a file and a directory at once; the key is what it clashes with.
    #[error("'{0}' is there, and a name cannot be a file and a directory at once")]
    Clash(Key),
    /// The target's was changed since both sides were equal, and the source's was not.
    #[error("the target's is newer: it changed since both sides were equal")]
    Newer,
    /// Both were changed since they were equal.
    #[error("both sides changed since they were equal")]
    Conflict,
    /// The sides differ, no manifest row says which one changed, and the target's is not the older one.
    #[error("the sides differ, no manifest row says which one changed, and the one to be overwritten is not older")]
    Later,
    /// The target's was removed since both sides were equal, and the source's has not changed.
    #[error("it was removed from the target since both sides were equal")]
    Removed,
    /// It was gone when it was to be read.
    #[error("it vanished while the sync ran")]
    Vanished,
}

impl SkipReason {
    /// Returns true if both sides have data that the other has not, and a person has to choose.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict | Self::Later)
    }

    /// Returns true for what the user's own policy leaves out: reported, but nothing went wrong.
    pub fn is_policy(&self) -> bool {
        match self {
            Self::Source(why) => why.is_policy(),
            why => matches!(why, Self::Newer | Self::Removed),
        }
    }
}

/// What was counted while a plan was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Entries the source listing gave, after the filter.
    pub source: u64,
    /// Files and objects the target listing gave, after the filter.
    pub target: u64,
    /// Files found equal on both sides.
    pub unchanged: u64,
    /// Files only the target has, which are kept because deleting was not asked for.
    pub extra: u64,
}
