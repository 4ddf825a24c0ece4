//! The objects of other writers that the uploads of a registration replaced: [`Replaced`].
//!
//! If both sides have changed and the program wrote the file, the upload replaces the object. So it does if the object
//! appeared while the session ran. Without a warning, the user would not know that the data of another machine is gone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pos3_core::Key;

use super::seen::Noted;

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
    /// The keys that a listing of this session did not contain, and that it has not uploaded since.
    absent: Noted,
    /// The keys that the location contained when the session began, if they were listed.
    at_begin: Option<Noted>,
}

impl Replaced {
    /// Records the keys that the location contains when the session begins.
    pub(super) fn begin(&self, there: &Noted) {
        self.keys().at_begin = Some(there.clone());
    }

    /// Records that a listing did not contain an object.
    pub(super) fn note_absent(&self, key: &Key) {
        self.keys().absent.note(key.as_str());
    }

    /// Returns true if an object that exists now has been stored by another writer since the session began.
    pub(super) fn has_appeared(&self, key: &Key) -> bool {
        let keys = self.keys();
        keys.absent.has(key) || keys.at_begin.as_ref().is_some_and(|there| !there.has(key))
    }

    /// Records that an upload may replace the object of another writer.
    pub(super) fn plan(&self, key: &Key) {
        self.keys().planned.insert(key.clone());
    }

    /// Records that a file was uploaded.
    pub(super) fn uploaded(&self, key: &Key) {
        let mut keys = self.keys();
        keys.absent.forget(key);
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
        Some(format!("the upload of '{first}'{more} replaced an object that another writer had stored meanwhile"))
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_a_listing_lacked_has_appeared_until_the_session_uploads_its_key() {
        let replaced = Replaced::default();
        let [a, b] = ["a", "b"].map(Key::from);
        replaced.note_absent(&a);
        assert_eq!([&a, &b].map(|key| replaced.has_appeared(key)), [true, false]);
        replaced.uploaded(&a);
        assert!(!replaced.has_appeared(&a));
        let there = Noted::default();
        there.note("a");
        replaced.begin(&there);
        assert_eq!([&a, &b].map(|key| replaced.has_appeared(key)), [false, true]);
    }

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
