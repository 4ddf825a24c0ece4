//! The objects of other writers that the uploads of a registration replaced: [`Replaced`].
//!
//! If both sides have changed and the program wrote the file, the upload replaces the object. Without a warning, the user
//! would not know that the data of another machine is gone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pos3_core::Key;

/// The objects of other writers that were replaced. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Replaced(Arc<Mutex<Keys>>);

#[derive(Debug, Default)]
struct Keys {
    /// Those that a running upload may replace.
    planned: BTreeSet<Key>,
    done: BTreeSet<Key>,
    /// Those of `done` that no warning has named yet.
    new: BTreeSet<Key>,
}

impl Replaced {
    /// Records that an upload may replace the object of another writer.
    pub(super) fn plan(&self, key: &Key) {
        self.keys().planned.insert(key.clone());
    }

    /// Records that a file was uploaded.
    pub(super) fn uploaded(&self, key: &Key) {
        let mut keys = self.keys();
        if keys.planned.remove(key) {
            keys.done.insert(key.clone());
            keys.new.insert(key.clone());
        }
    }

    /// Returns all of them.
    pub(super) fn all(&self) -> Vec<Key> {
        self.keys().done.iter().cloned().collect()
    }

    /// Returns a warning about those that were replaced since the last call.
    pub(super) fn warning(&self) -> Option<String> {
        let new = std::mem::take(&mut self.keys().new);
        let first = new.first()?;
        let more = if new.len() > 1 { format!(" (and {} more)", new.len() - 1) } else { String::new() };
        Some(format!(
            "the upload of '{first}'{more} replaced an object that another writer had stored since the last transfer of the \
             file"
        ))
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_uploaded_is_replaced_and_each_warning_names_it_once() {
        let replaced = Replaced::default();
        let [a, b, c] = ["a", "b", "c"].map(Key::from);
        [&a, &b].into_iter().for_each(|key| replaced.plan(key));
        [&a, &c].into_iter().for_each(|key| replaced.uploaded(key));
        assert!(replaced.warning().unwrap().starts_with("the upload of 'a' replaced "));
        assert_eq!(replaced.warning(), None);
        replaced.uploaded(&b);
        replaced.plan(&a);
        replaced.uploaded(&a);
        assert!(replaced.warning().unwrap().starts_with("the upload of 'a' (and 1 more) replaced "));
        assert_eq!(replaced.all(), [a, b]);
    }
}
