//! The permission to delete, and the ways to lose it.
//!
//! A renamed file is a new name to copy and an old name to delete. If the copy is not made, for whatever reason,
//! deleting the old name would remove the last copy of the content. So each plan and each run starts with one
//! permission, and everything that fails revokes it for good.

use crate::action::{SkipEffect, SkipReason};

/// Whether deletes are still allowed.
#[derive(Debug)]
pub(crate) struct Permission(Option<Permit>);

/// The permission itself. Every delete requires one, and only [`Permission::claim`] returns it.
#[derive(Debug)]
pub(crate) struct Permit(());

impl Permission {
    /// Returns the permission that a plan or a run starts with.
    pub(crate) fn new() -> Self {
        Self(Some(Permit(())))
    }

    /// Revokes the permission.
    pub(crate) fn lose(&mut self) {
        self.0 = None;
    }

    /// Revokes the permission if this reason for a skip means that a copy is missing.
    pub(crate) fn after_skip(&mut self, why: &SkipReason) {
        match why.effect() {
            SkipEffect::None | SkipEffect::Unclean => {}
            SkipEffect::WithholdsDeletes => self.lose(),
        }
    }

    /// Returns true unless the permission was revoked or claimed.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the permission, or `None` if it was revoked or already claimed.
    pub(crate) fn claim(&mut self) -> Option<Permit> {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Archived;
    use crate::entry::Protection;
    use crate::key::{Key, UnsafeKey};

    #[test]
    fn a_copy_that_is_missing_withholds_deletes_whatever_the_reason() {
        let unreadable = || Protection::Unreadable("permission denied".into());
        let special = || Protection::Special("FIFO".into());
        let key = || Key::from("k");
        for (why, effect) in [
            (SkipReason::Source(Protection::Symlink), SkipEffect::None),
            (SkipReason::Source(Protection::Own), SkipEffect::None),
            (SkipReason::Target(Protection::Own), SkipEffect::WithholdsDeletes),
            (SkipReason::Newer, SkipEffect::None),
            (SkipReason::NewerLink, SkipEffect::None),
            (SkipReason::Removed, SkipEffect::None),
            (SkipReason::Archived(Archived::LeftOut), SkipEffect::None),
            (SkipReason::Archived(Archived::Missing), SkipEffect::Unclean),
            (SkipReason::Source(special()), SkipEffect::Unclean),
            (SkipReason::Source(Protection::LinkLoop), SkipEffect::Unclean),
            (SkipReason::TargetOnly(unreadable()), SkipEffect::Unclean),
            (SkipReason::Hidden { by: key(), why: Protection::Symlink }, SkipEffect::Unclean),
            (SkipReason::OtherShape(key()), SkipEffect::Unclean),
            (SkipReason::NotInSource(UnsafeKey::EmptySegment), SkipEffect::Unclean),
            (SkipReason::MarkerWithContent, SkipEffect::Unclean),
            (SkipReason::Source(Protection::NotUtf8), SkipEffect::WithholdsDeletes),
            (SkipReason::Source(unreadable()), SkipEffect::WithholdsDeletes),
            (SkipReason::Source(Protection::Ambiguous), SkipEffect::WithholdsDeletes),
            (SkipReason::Source(Protection::Vanished), SkipEffect::WithholdsDeletes),
            (SkipReason::Source(Protection::Moved("it is 'x'".into())), SkipEffect::WithholdsDeletes),
            (SkipReason::Source(Protection::Staged), SkipEffect::WithholdsDeletes),
            (SkipReason::TargetOnly(Protection::Moved("it is 'x'".into())), SkipEffect::Unclean),
            (SkipReason::Target(Protection::Symlink), SkipEffect::WithholdsDeletes),
            (SkipReason::Target(special()), SkipEffect::WithholdsDeletes),
            (SkipReason::Shielded { by: key(), why: Protection::Symlink }, SkipEffect::WithholdsDeletes),
            (SkipReason::Unsafe(UnsafeKey::DotSegment), SkipEffect::WithholdsDeletes),
            (SkipReason::Clash(key()), SkipEffect::WithholdsDeletes),
            (SkipReason::Excluded(key()), SkipEffect::WithholdsDeletes),
            (SkipReason::Occupied(key()), SkipEffect::WithholdsDeletes),
            (SkipReason::Withheld(key()), SkipEffect::WithholdsDeletes),
            (SkipReason::Conflict, SkipEffect::WithholdsDeletes),
            (SkipReason::Later, SkipEffect::WithholdsDeletes),
            (SkipReason::Incomparable, SkipEffect::WithholdsDeletes),
            (SkipReason::Older, SkipEffect::WithholdsDeletes),
            (SkipReason::Unsaved, SkipEffect::WithholdsDeletes),
            (SkipReason::RemovedOutput, SkipEffect::WithholdsDeletes),
            (SkipReason::TargetChanged, SkipEffect::None),
            (SkipReason::RemovedByOthers, SkipEffect::None),
            (SkipReason::OverLimit, SkipEffect::None),
            (SkipReason::NotPulled, SkipEffect::Unclean),
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
