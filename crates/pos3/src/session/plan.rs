//! What a transfer would do, in names that people know.
//!
//! A plan speaks of relative keys; for one object the two sides even have different names. Whoever shows it needs both.

use std::sync::Arc;

use pos3_core::{Action, Key, Plan, SpillError, Tree, Usage};

/// What a download or an upload would do now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransferPlan {
    /// The actions, by relative keys.
    pub plan: Plan,
    source: Tree,
    target: Tree,
}

impl TransferPlan {
    pub(super) fn new(plan: Plan, source: Tree, target: Tree) -> Self {
        Self { plan, source, target }
    }

    /// Returns what would be copied: from where, and to where, as paths and URLs. An error, of a temporary file that
    /// cannot be read, is the last item.
    pub fn copies(&self) -> impl Iterator<Item = Result<(String, String), SpillError>> {
        self.plan.actions().filter_map(|action| match action {
            Ok(Action::Copy { source, .. } | Action::Replace { source, .. }) => Some(Ok(self.ends(&source.key))),
            Ok(Action::Delete { .. } | Action::Skip { .. }) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Returns what would be deleted, as paths and URLs. An error, of a temporary file that cannot be read, is the last
    /// item.
    pub fn deletes(&self) -> impl Iterator<Item = Result<String, SpillError>> {
        self.plan.deletes().iter().map(|target| Ok(self.target.locate(&target?.key)))
    }

    /// Returns the requests that the stores of both sides have sent so far, by kind.
    pub fn usage(&self) -> Usage {
        let (source, target) = (self.source.store(), self.target.store());
        let usage = source.usage();
        if Arc::ptr_eq(source, target) { usage } else { usage.plus(&target.usage()) }
    }

    fn ends(&self, key: &Key) -> (String, String) {
        (self.source.locate(key), self.target.locate(key))
    }
}
