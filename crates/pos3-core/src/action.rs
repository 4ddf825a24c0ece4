//! One step of a plan, and why a key is skipped.

use serde::{Deserialize, Serialize};

use crate::entry::{Entry, Protection};
use crate::evidence::Change;
use crate::key::{Key, UnsafeKey};

/// One step of a plan, with the state of both sides when the step was decided. Keys are relative to both trees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Makes the target equal to the source.
    Copy {
        /// The source's entry in the listing.
        source: Entry,
        /// The target's entry in the listing, if it has one.
        target: Option<Entry>,
        /// Why the entry is copied.
        why: Change,
    },
    /// Deletes an entry that the source does not have. Planned only after both listings have completed without error.
    Delete {
        /// The target's entry in the listing.
        target: Entry,
    },
    /// Makes the target equal to the source where the kinds conflict: the target has a file where the source needs a
    /// directory, or a directory where the source has a file. It runs after the deletes that free the path.
    Replace {
        /// The source's entry in the listing.
        source: Entry,
        /// The entry in the way, which is deleted first.
        obstacle: Key,
    },
    /// Leaves a key alone that would otherwise be copied.
    Skip {
        /// The key.
        key: Key,
        /// Why it is skipped.
        why: SkipReason,
    },
}

impl Action {
    /// Returns the relative key of the action.
    pub fn key(&self) -> &Key {
        match self {
            Self::Copy { source, .. } | Self::Replace { source, .. } => &source.key,
            Self::Delete { target } => &target.key,
            Self::Skip { key, .. } => key,
        }
    }

    /// Returns the entry in the way of a replacement.
    pub(crate) fn obstacle(&self) -> Option<&Key> {
        match self {
            Self::Replace { obstacle, .. } => Some(obstacle),
            Self::Copy { .. } | Self::Delete { .. } | Self::Skip { .. } => None,
        }
    }

    /// Returns the report of a replacement that is withheld. Other actions are returned as they are.
    pub(crate) fn into_withheld(self) -> Self {
        match self {
            Self::Replace { source, obstacle } => Self::Skip { key: source.key, why: SkipReason::Withheld(obstacle) },
            action => action,
        }
    }

    /// Returns true for an action that runs after the copies, and that is counted as withheld if it is not executed.
    pub(crate) fn is_last(&self) -> bool {
        match self {
            Self::Delete { target } => target.has_content(),
            Self::Replace { .. } => true,
            Self::Copy { .. } | Self::Skip { .. } => false,
        }
    }
}

/// Why a key is skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The source has an entry at the key that pos3 does not read.
    #[error("{0}")]
    Source(Protection),
    /// The object is archived and must be restored before it can be copied.
    #[error("it is archived and must be restored first")]
    Archived(Archived),
    /// The target has an entry at the key that pos3 does not change.
    #[error("in the target, {0}")]
    Target(Protection),
    /// Only the target has the entry, and pos3 does not change it.
    #[error("only the target has it, and {0}")]
    TargetOnly(Protection),
    /// Only the target has the key, and the source could never have it, so its absence from the source means nothing.
    #[error(
        "only the target has it, and the source cannot have a file of this name, so pos3 keeps it: {0} (to delete it, use a tool that deletes single objects)"
    )]
    NotInSource(UnsafeKey),
    /// The source has an empty directory at the key, and the target has an object with content there. No directory can
    /// hold that content, so the directory is no newer version of it.
    #[error(
        "the source has an empty directory there, and the target has an object with content, which a directory cannot \
         have, so pos3 keeps it (to delete it, use a tool that deletes single objects)"
    )]
    MarkerWithContent,
    /// In the target, the key would be below a protected directory.
    #[error("in the target it would be below '{by}', and {why}")]
    Shielded {
        /// The protected directory.
        by: Key,
        /// Why it is protected.
        why: Protection,
    },
    /// The target has the entry, and the source has a protected entry there, or at a directory above it. It is only
    /// reported with [`HiddenEntries::Reported`](crate::HiddenEntries::Reported).
    #[error("the target has it, but the source has '{by}', and {why}")]
    Hidden {
        /// The protected entry of the source.
        by: Key,
        /// Why it is protected.
        why: Protection,
    },
    /// The target cannot store the key.
    #[error("the key cannot be a file name: {0}")]
    Unsafe(UnsafeKey),
    /// A name would have to be both a file and a directory. The key is the entry that it clashes with.
    #[error("'{0}' exists, and a name cannot be a file and a directory at once")]
    Clash(Key),
    /// The target has an entry that the filter excludes: a file where the entry needs a directory, or a directory at the
    /// entry's own path.
    #[error("'{0}' in the target is excluded and in the way")]
    Excluded(Key),
    /// Only the target has the entry, and the source has an entry with which it cannot be on a disk: one of the two would
    /// have to be a directory. The target, an object store, holds both, but a download of both fails.
    #[error("only the target has it, and a download will fail because a disk cannot hold both it and '{0}'")]
    OtherShape(Key),
    /// The target has a directory at this key, and an entry in that directory must not be deleted.
    #[error("the target has a directory in its place, and '{0}' in it must not be deleted")]
    Occupied(Key),
    /// The entry would replace the target's entry at this key, and deletes are withheld.
    #[error("the target has '{0}' in its place, and deletes are withheld")]
    Withheld(Key),
    /// The target's entry was changed since both sides were equal, and the source's was not.
    #[error("the target is newer: it has changed since both sides were equal")]
    Newer,
    /// Both sides were changed since they were equal.
    #[error("both sides have changed since they were equal")]
    Conflict,
    /// The sides differ, and no manifest row shows which one changed. The target may have data that exists nowhere
    /// else.
    #[error(
        "both exist and differ, and pos3 does not know which one is newer, for example after a run that was killed during an \
         upload"
    )]
    Later,
    /// Like [`Later`](Self::Later), but it is not even known whether the sides differ.
    #[error(
        "both exist, no digest or checksum shows whether they differ, and pos3 does not know which one is newer, for example \
         after a run that was killed during an upload"
    )]
    Incomparable,
    /// Only one side was changed since both sides were equal, but its file was modified before the one that both sides
    /// had. So it may be an earlier copy.
    #[error("only one file has changed since both were equal, but it is the older one, for example from a backup")]
    Older,
    /// The target has a symbolic link, which is newer: it was created since both sides were equal, and the source's entry
    /// has not changed.
    #[error("the target has a symbolic link in its place, which is newer: it was created since both sides were equal")]
    NewerLink,
    /// The target may be output of a program, and is not known to be stored.
    #[error("the target may be output of an earlier run, and is not known to be stored")]
    Unsaved,
    /// The entry was removed from the target since both sides were equal, and the source's has not changed.
    #[error("it was removed from the target since both sides were equal")]
    Removed,
    /// The entry was removed from the target since both sides were equal, where a program may still write its output. That
    /// program may have removed it.
    #[error(
        "it was removed from the target since both sides were equal, and the session whose output is there has not ended"
    )]
    RemovedOutput,
    /// Only the target has the entry, and it was changed there since both sides were equal, so it is not deleted.
    #[error("only the target has it, and it has changed since both sides were equal, so it stays")]
    TargetChanged,
    /// Only the target has the entry. Another transfer may have removed it from the source, and not the program.
    #[error("only the target has it, and another transfer may have removed the file, so it stays")]
    RemovedByOthers,
    /// The object is larger than the limit for files of a workspace.
    #[error("it is larger than the limit for files of the workspace")]
    OverLimit,
    /// The last pull of a workspace could not fetch the object, and the file is from before that pull.
    #[error("the last pull could not fetch the object, so the file from before that pull does not replace it")]
    NotPulled,
    /// The source's entry no longer existed when it was to be read.
    #[error("it vanished while the sync ran")]
    Vanished,
}

/// The effect of a skipped key on the rest of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipEffect {
    /// None: the user's own policy leaves the key out, or the target's entry is newer.
    None,
    /// The run is not clean. The target lacks no content that it should have, so deletes continue.
    Unclean,
    /// The run is not clean, and pos3 deletes nothing: an entry that would be deleted may be the target's only copy of
    /// the content that was not copied.
    WithholdsDeletes,
}

impl SkipReason {
    /// Returns the effect of this reason on the rest of the run.
    pub fn effect(&self) -> SkipEffect {
        match self {
            Self::Source(Protection::Symlink | Protection::Own)
            | Self::Archived(Archived::LeftOut)
            | Self::Newer
            | Self::NewerLink
            | Self::OverLimit
            | Self::Removed
            | Self::RemovedByOthers
            | Self::TargetChanged => SkipEffect::None,
            Self::Source(Protection::LinkLoop | Protection::Special(_))
            | Self::Archived(Archived::Missing | Archived::Requested)
            | Self::TargetOnly(_)
            | Self::Hidden { .. }
            | Self::OtherShape(_)
            | Self::MarkerWithContent
            | Self::NotPulled
            | Self::NotInSource(_) => SkipEffect::Unclean,
            Self::Source(
                Protection::NotUtf8
                | Protection::Unreadable(_)
                | Protection::Ambiguous
                | Protection::Vanished
                | Protection::Moved(_)
                | Protection::Staged,
            )
            | Self::Target(_)
            | Self::Shielded { .. }
            | Self::Unsafe(_)
            | Self::Clash(_)
            | Self::Excluded(_)
            | Self::Occupied(_)
            | Self::Withheld(_)
            | Self::Conflict
            | Self::Later
            | Self::Incomparable
            | Self::Older
            | Self::Unsaved
            | Self::RemovedOutput
            | Self::Vanished => SkipEffect::WithholdsDeletes,
        }
    }

    /// Returns the reason for a pair that would have been copied because of this change.
    pub(crate) fn given(self, change: Change) -> Self {
        match (self, change) {
            (Self::Later, Change::Incomparable) => Self::Incomparable,
            (why, _) => why,
        }
    }

    /// Returns true if both sides have data that the other one lacks, so a user must choose.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict | Self::Later | Self::Incomparable | Self::Older | Self::Unsaved)
    }

    /// Returns true if the key names content that only the target has, so no copy of it is missing.
    pub fn is_target_only(&self) -> bool {
        matches!(
            self,
            Self::TargetOnly(_)
                | Self::NotInSource(_)
                | Self::MarkerWithContent
                | Self::OtherShape(_)
                | Self::RemovedByOthers
                | Self::TargetChanged
        )
    }

    /// Returns true if the user's own policy leaves the key out: pos3 reports it, but the run is clean.
    pub fn is_policy(&self) -> bool {
        self.effect() == SkipEffect::None
    }
}

/// How archived objects of the source are treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Archived {
    /// As missing copies: the run is not clean.
    #[default]
    Missing,
    /// As intentionally left out: pos3 reports them, and the run is clean.
    LeftOut,
    /// As any other object: pos3 requests the content, and the store refuses it unless the object has been restored.
    Requested,
}
