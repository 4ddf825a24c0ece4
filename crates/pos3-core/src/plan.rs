//! A plan: what a sync would do, as data.
//!
//! Making a plan touches nothing; a dry run is a plan that nobody executes. The [`Planner`] makes one as a stream, so
//! that copies can start while listings are still read; [`Plan`] is the same, collected: in memory while it is small, with
//! the rest in temporary files.

mod decide;
mod guard;
mod names;
mod permission;
mod planner;
mod room;
mod whole;

use serde::{Deserialize, Serialize};

use crate::compare::Change;
use crate::entry::{Entry, Protection};
use crate::key::{Key, UnsafeKey};
use crate::options::Archived;

pub use decide::Policy;
pub use guard::{Guards, MaxDelete, Refusal};
pub(crate) use permission::{Permission, Permit};
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

    /// Returns true for what comes after the copies and counts as withheld if it does not happen.
    pub(crate) fn is_last(&self) -> bool {
        match self {
            Self::Delete { target } => target.has_content(),
            Self::Replace { .. } => true,
            Self::Copy { .. } | Self::Skip { .. } => false,
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
    /// It is in an archive, and has to be restored before it can be copied.
    #[error("it is archived and must be restored first")]
    Archived(Archived),
    /// The target has something there that is not touched.
    #[error("in the target, {0}")]
    Target(Protection),
    /// Only the target has it, and it is not touched.
    #[error("only the target has it, and {0}")]
    TargetOnly(Protection),
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
    /// The target has a directory in its place, and something in that directory is not to be deleted.
    #[error("the target has a directory in its place, and '{0}' in it is not to be deleted")]
    Occupied(Key),
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

/// What a key that is left alone means for the rest of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipEffect {
    /// Nothing: the user's own policy leaves it out, or something newer stands there.
    None,
    /// The run is not clean. There is no content that the target should have and has not, so deletes go on.
    Unclean,
    /// The run is not clean, and nothing is deleted: content that was to be copied may have no other copy in the target
    /// than the one that would be deleted.
    WithholdsDeletes,
}

impl SkipReason {
    /// Returns what leaving a key alone for this reason means for the rest of the run.
    pub fn effect(&self) -> SkipEffect {
        match self {
            Self::Source(Protection::Symlink) | Self::Archived(Archived::LeftOut) | Self::Newer | Self::Removed => {
                SkipEffect::None
            }
            Self::Source(Protection::LinkLoop | Protection::Special(_))
            | Self::Archived(Archived::Missing | Archived::Requested)
            | Self::TargetOnly(_) => SkipEffect::Unclean,
            Self::Source(
                Protection::NotUtf8 | Protection::Unreadable(_) | Protection::Ambiguous | Protection::Vanished,
            )
            | Self::Target(_)
            | Self::Shielded { .. }
            | Self::Unsafe(_)
            | Self::Clash(_)
            | Self::Occupied(_)
            | Self::Conflict
            | Self::Later
            | Self::Vanished => SkipEffect::WithholdsDeletes,
        }
    }

    /// Returns true if both sides have data that the other has not, and a person has to choose.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict | Self::Later)
    }

    /// Returns true for what the user's own policy leaves out: reported, but nothing went wrong.
    pub fn is_policy(&self) -> bool {
        self.effect() == SkipEffect::None
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
    /// Files that would be deleted or replaced if every copy could be made. They are not part of the plan.
    pub withheld: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_is_missing_withholds_deletes_whatever_the_reason() {
        let unreadable = || Protection::Unreadable("permission denied".into());
        let special = || Protection::Special("FIFO".into());
        let key = || Key::from("k");
        for (why, effect) in [
            (SkipReason::Source(Protection::Symlink), SkipEffect::None),
            (SkipReason::Newer, SkipEffect::None),
            (SkipReason::Removed, SkipEffect::None),
            (SkipReason::Archived(Archived::LeftOut), SkipEffect::None),
            (SkipReason::Archived(Archived::Missing), SkipEffect::Unclean),
            (SkipReason::Source(special()), SkipEffect::Unclean),
            (SkipReason::Source(Protection::LinkLoop), SkipEffect::Unclean),
            (SkipReason::TargetOnly(unreadable()), SkipEffect::Unclean),
            (SkipReason::Source(Protection::NotUtf8), SkipEffect::WithholdsDeletes),
            (SkipReason::Source(unreadable()), SkipEffect::WithholdsDeletes),
            (SkipReason::Source(Protection::Ambiguous), SkipEffect::WithholdsDeletes),
            (SkipReason::Source(Protection::Vanished), SkipEffect::WithholdsDeletes),
            (SkipReason::Target(Protection::Symlink), SkipEffect::WithholdsDeletes),
            (SkipReason::Target(special()), SkipEffect::WithholdsDeletes),
            (SkipReason::Shielded { by: key(), why: Protection::Symlink }, SkipEffect::WithholdsDeletes),
            (SkipReason::Unsafe(UnsafeKey::DotSegment), SkipEffect::WithholdsDeletes),
            (SkipReason::Clash(key()), SkipEffect::WithholdsDeletes),
            (SkipReason::Occupied(key()), SkipEffect::WithholdsDeletes),
            (SkipReason::Conflict, SkipEffect::WithholdsDeletes),
            (SkipReason::Later, SkipEffect::WithholdsDeletes),
            (SkipReason::Vanished, SkipEffect::WithholdsDeletes),
        ] {
            assert_eq!(why.effect(), effect, "{why}");
            let mut permission = Permission::new();
            permission.after_skip(&why);
            assert_eq!(permission.claim().is_some(), effect != SkipEffect::WithholdsDeletes, "{why}");
            assert_eq!(why.is_policy(), effect == SkipEffect::None, "{why}");
        }
    }
}
