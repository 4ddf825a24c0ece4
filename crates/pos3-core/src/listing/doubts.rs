//! What is wrong with a listing although it was read to its end.
//!
//! A server that repeats a key at a page's boundary is harmless once the repetition is noticed. A server that describes
//! a key in two ways, or sends keys that nobody asked for, may leave others out as well, so nothing is deleted because of
//! its listing.

use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::key::Key;

/// What is wrong with a listing. Clones share what they count, so a caller can ask while another one reads.
#[derive(Clone, Debug, Default)]
pub struct Doubts(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    repeated: Keys,
    conflicting: Keys,
    foreign: Keys,
}

/// Some keys: how many, and the first of them.
#[derive(Debug, Default)]
struct Keys {
    first: Option<Key>,
    last: Option<Key>,
    count: u64,
}

impl Keys {
    /// Counts a key, once if it comes several times in a row.
    fn add(&mut self, key: &Key) {
        if self.last.as_ref() != Some(key) {
            self.first.get_or_insert_with(|| key.clone());
            self.last = Some(key.clone());
            self.count += 1;
        }
    }
}

impl Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.count, &self.first) {
            (1, Some(key)) => write!(f, "the key '{key}'"),
            (count, Some(key)) => write!(f, "{count} keys, such as '{key}',"),
            (_, None) => f.write_str("no key"),
        }
    }
}

impl Doubts {
    /// Returns one sentence for each kind of doubt, about a listing `of` something: `the source 's3://bucket/a/'`.
    pub fn warnings(&self, of: impl Display) -> Vec<String> {
        let Counts { repeated, conflicting, foreign } = &*self.counts();
        let told = [
            (repeated, "more than once: each is treated as one"),
            (conflicting, "more than once, with different contents: none of them is copied or deleted"),
            (foreign, "although they lie outside: they are ignored"),
        ];
        let told = told.iter().filter(|(keys, _)| keys.count > 0);
        told.map(|(keys, what)| format!("the listing of {of} contains {keys} {what}")).collect()
    }

    /// Returns why nothing may be deleted because of this listing, if that is so.
    pub fn against_deletes(&self) -> Option<String> {
        let Counts { conflicting, foreign, .. } = &*self.counts();
        if foreign.count > 0 {
            Some(format!("it contains {foreign} from outside of what was listed"))
        } else if conflicting.count > 0 {
            Some(format!("it contains {conflicting} more than once, with different contents"))
        } else {
            None
        }
    }

    pub(super) fn add_repeated(&self, key: &Key) {
        self.counts().repeated.add(key);
    }

    pub(super) fn add_conflicting(&self, key: &Key) {
        self.counts().conflicting.add(key);
    }

    pub(super) fn add_foreign(&self, key: &Key) {
        self.counts().foreign.add(key);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
