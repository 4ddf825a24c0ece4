//! The permission to delete, and the ways to lose it.
//!
//! A renamed file is a new name to copy and an old name to delete. If the copy is not made, for whatever reason,
//! deleting the old name would remove the last copy of the content. So each plan and each run starts with one
//! permission, and everything that fails revokes it for good.

use super::{SkipEffect, SkipReason};

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
