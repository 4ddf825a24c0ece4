//! Excluded entries of the target that are in the way of entries of the source.
//!
//! The listing of the target does not contain them. Without this module, a plan would promise copies that no run can make.

use super::Planner;
use crate::action::{Action, SkipReason};
use crate::entry::{Entry, Kind};
use crate::error::Operation;
use crate::key::Key;
use crate::plan::decide::Decision;
use crate::store::Namespace;
use crate::tree::Tree;

/// The names above the latest key, and whether the target has an excluded entry there that is not a directory.
pub(super) type Looked = Vec<(Key, bool)>;

impl Planner {
    /// Turns a copy of a new entry into a skip if the target has an excluded entry in its way: a file where a directory is
    /// needed, or a directory where the entry is a file.
    ///
    /// This takes a lookup only for a name that the filter excludes, and only in a target with real directories.
    pub(super) async fn unless_excluded(&mut self, decision: Decision) -> Decision {
        let (Decision::Act(Action::Copy { source, target: None, .. }) | Decision::Ask { source, target: None, .. }) =
            &decision
        else {
            return decision;
        };
        if self.policy.target.namespace == Namespace::Flat || self.filter.parts().is_empty() {
            return decision;
        }
        let by = match self.excluded_above(&source.key).await {
            None => self.excluded_directory(source).await,
            found => found,
        };
        match by {
            Some(by) => Decision::Act(Action::Skip { key: source.key.clone(), why: SkipReason::Excluded(by) }),
            None => decision,
        }
    }

    /// Returns the excluded entry at a path that the key needs as a directory.
    async fn excluded_above(&mut self, key: &Key) -> Option<Key> {
        self.looked.retain(|(name, _)| key.is_inside(name.as_str()));
        for (at, _) in key.as_str().match_indices('/') {
            let name = Key::from(&key.as_str()[..at]);
            let is_in_the_way = match self.looked.iter().find(|(known, _)| *known == name) {
                Some((_, is_in_the_way)) => *is_in_the_way,
                None => {
                    let is_in_the_way = !self.filter.admits(name.as_str()) && has(&self.target, &name).await;
                    self.looked.push((name.clone(), is_in_the_way));
                    is_in_the_way
                }
            };
            if is_in_the_way {
                return Some(name);
            }
        }
        None
    }

    /// Returns the directory at the path of a file if the listing does not contain that directory.
    async fn excluded_directory(&mut self, file: &Entry) -> Option<Key> {
        let directory = Key::from(format!("{}/", file.key.as_str()));
        let is_listed = self.filter.admits(directory.as_str()) && !self.filter.prunes(directory.as_str());
        (file.kind == Kind::File && !is_listed && has(&self.target, &directory).await).then_some(directory)
    }
}

/// Returns true if a tree has an entry at exactly this key. An entry that cannot be looked up is reported when the copy
/// fails.
async fn has(tree: &Tree, key: &Key) -> bool {
    tree.look_up(key, Operation::LookUp).await.is_ok()
}
