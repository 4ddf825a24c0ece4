//! What a transfer would do, in names that people know.
//!
//! A plan speaks of relative keys; for one object the two sides even have different names. Whoever shows it needs both.

use pos3_core::{Action, Key, Plan, Tree};

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

    /// Returns what would be copied: from where, and to where, as paths and URLs.
    pub fn copies(&self) -> impl Iterator<Item = (String, String)> {
        self.plan.actions.iter().filter_map(|action| match action {
            Action::Copy { source, .. } | Action::Replace { source, .. } => Some(self.ends(&source.key)),
            Action::Delete { .. } | Action::Skip { .. } => None,
        })
    }

    /// Returns what would be deleted, as paths and URLs.
    pub fn deletes(&self) -> impl Iterator<Item = String> {
        self.plan.actions.iter().filter_map(|action| match action {
            Action::Delete { target } => Some(self.target.locate(&target.key)),
            Action::Copy { .. } | Action::Replace { .. } | Action::Skip { .. } => None,
        })
    }

    fn ends(&self, key: &Key) -> (String, String) {
        (self.source.locate(key), self.target.locate(key))
    }
}
