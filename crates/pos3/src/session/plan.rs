//! The plan of a transfer, with full paths and URLs.
//!
//! A plan contains relative keys, and for a single object the two sides even have different names. To display a plan,
//! both names are needed.

use std::sync::Arc;

use pos3_core::{Action, Key, Plan, SpillError, Tree, Usage};

/// The plan of a download or an upload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransferPlan {
    /// The actions, with relative keys.
    pub plan: Plan,
    source: Tree,
    target: Tree,
}

impl TransferPlan {
    pub(super) fn new(plan: Plan, source: Tree, target: Tree) -> Self {
        Self { plan, source, target }
    }

    /// Returns the copies as pairs of a source and a target, each a path or URL. If a temporary file cannot be read,
    /// the last item is an error.
    pub fn copies(&self) -> impl Iterator<Item = Result<(String, String), SpillError>> {
        self.plan.actions().filter_map(|action| match action {
            Ok(Action::Copy { source, .. } | Action::Replace { source, .. }) => Some(Ok(self.ends(&source.key))),
            Ok(Action::Delete { .. } | Action::Skip { .. }) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Returns the deletes as paths or URLs. If a temporary file cannot be read, the last item is an error.
    pub fn deletes(&self) -> impl Iterator<Item = Result<String, SpillError>> {
        self.plan.deletes().iter().map(|target| Ok(self.target.locate(&target?.key)))
    }

    /// Returns the number of requests that the stores of both sides have sent so far, by kind.
    pub fn usage(&self) -> Usage {
        let (source, target) = (self.source.store(), self.target.store());
        let usage = source.usage();
        if Arc::ptr_eq(source, target) { usage } else { usage.plus(&target.usage()) }
    }

    fn ends(&self, key: &Key) -> (String, String) {
        (self.source.locate(key), self.target.locate(key))
    }
}
