//! The permission to delete, and how it is lost.
//!
//! A file that was renamed is a new name to copy and an old name to delete. If the copy does not happen, for whatever
//! reason, deleting the old name removes the last content there was. So plans and runs begin with one permission, and
//! everything that does not end as it should takes it away for good.

use super::{SkipEffect, SkipReason};

/// Whether deletes may follow.
#[derive(Debug)]
pub(crate) struct Permission(Option<Permit>);

/// The permission itself. Nothing else allows a delete, and only [`Permission::claim`] gives it out.
#[derive(Debug)]
pub(crate) struct Permit(());

impl Permission {
    /// Returns the permission that a plan or a run begins with.
    pub(crate) fn new() -> Self {
        Self(Some(Permit(())))
    }

    /// Takes the permission away.
    pub(crate) fn lose(&mut self) {
        self.0 = None;
    }

    /// Takes the permission away if leaving a key alone for this reason means that a copy is missing.
    pub(crate) fn after_skip(&mut self, why: &SkipReason) {
        match why.effect() {
            SkipEffect::None | SkipEffect::Unclean => {}
            SkipEffect::WithholdsDeletes => self.lose(),
        }
    }

    /// Returns true unless the permission was lost.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the permission, unless it was lost.
    pub(crate) fn claim(&mut self) -> Option<Permit> {
        self.0.take()
    }
}
