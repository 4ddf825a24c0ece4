//! The defects of a listing that was read to its end.
//!
//! A server may repeat a key at a page boundary, which is harmless if it is noticed. But a server that returns two
//! different entries for a key, or keys outside the requested prefix, may also omit keys. So pos3 deletes nothing based
//! on such a listing. A store reports what only it can know: a directory that changed whenever it was read, or a last
//! page that may not be the last one.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::key::Key;

/// The largest number of keys with staged content that are recorded. One of them is enough to withhold deletes.
const MOST_STAGED: usize = 100;

const UNVERIFIED_END: &str =
    "its last page is empty, and the server cannot be asked for the keys after the page before";

/// Counts the defects of a listing. Clones share the counts, so a caller can query them while another task reads.
#[derive(Clone, Debug, Default)]
pub struct Doubts(Arc<Mutex<Counts>>);

#[derive(Clone, Debug, Default)]
struct Counts {
    repeated: Keys,
    conflicting: Keys,
    foreign: Keys,
    unsettled: Keys,
    staged: BTreeSet<Key>,
    has_unverified_end: bool,
}

/// The number of affected keys, with the first one as an example.
#[derive(Clone, Debug, Default)]
struct Keys {
    first: Option<Key>,
    last: Option<Key>,
    count: u64,
}

impl Keys {
    /// Counts a key. Consecutive calls with the same key count it once: only `last` is compared, so memory does not
    /// grow with the listing.
    fn add(&mut self, key: &Key) {
        if self.last.as_ref() != Some(key) {
            self.first.get_or_insert_with(|| key.clone());
            self.last = Some(key.clone());
            self.count += 1;
        }
    }

    fn add_all(&mut self, others: Self) {
        if others.count > 0 {
            self.first = self.first.take().or(others.first);
            self.last = others.last;
            self.count += others.count;
        }
    }
}

/// Returns a name for a directory, also for the root.
fn directory(key: &Key) -> Key {
    if key.as_str().is_empty() { Key::from("./") } else { key.clone() }
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
    /// Returns one sentence per kind of defect. `of` names the listing, for example `the source 's3://bucket/a/'`.
    pub fn warnings(&self, of: impl Display) -> Vec<String> {
        let Counts { repeated, conflicting, foreign, unsettled, has_unverified_end, .. } = &*self.counts();
        let told = [
            (repeated, "more than once: each is treated as one"),
            (conflicting, "more than once, with different contents: none of them is copied or deleted"),
            (foreign, "although they lie outside: they are ignored"),
        ];
        let told = told.iter().filter(|(keys, _)| keys.count > 0);
        let told = told.map(|(keys, what)| format!("the listing of {of} contains {keys} {what}"));
        let lacks = unsettled.first.iter().map(|first| {
            let others = unsettled.count - 1;
            let others = if others == 0 { String::new() } else { format!(" and {others} others") };
            format!("the listing of {of} may lack files: '{}'{others} changed whenever it was read", directory(first))
        });
        let end = has_unverified_end.then(|| format!("the listing of {of} may lack files: {UNVERIFIED_END}"));
        told.chain(lacks).chain(end).collect()
    }

    /// Returns why pos3 must not delete anything based on this listing, or `None` if it may. Keys that are only
    /// repeated are not a reason.
    pub fn against_deletes(&self) -> Option<String> {
        let Counts { conflicting, foreign, has_unverified_end, .. } = &*self.counts();
        if foreign.count > 0 {
            Some(format!("it contains {foreign} from outside the listed prefix"))
        } else if conflicting.count > 0 {
            Some(format!("it contains {conflicting} more than once, with different contents"))
        } else if *has_unverified_end {
            Some(UNVERIFIED_END.to_owned())
        } else {
            None
        }
    }

    /// Returns the first directory that changed whenever it was read, so that the listing may lack files of it.
    pub fn unsettled(&self) -> Option<Key> {
        self.counts().unsettled.first.as_ref().map(directory)
    }

    /// Records a directory that changed whenever it was read. The key is empty for the root of the store.
    pub fn note_unsettled(&self, directory: &Key) {
        self.counts().unsettled.add(directory);
    }

    /// Returns the keys of staged content, in order. If a run was killed, such content may be all that is left of an
    /// entry that the listing lacks.
    pub fn staged(&self) -> Vec<Key> {
        self.counts().staged.iter().cloned().collect()
    }

    /// Records [staged content](crate::is_staged_name), which the listing does not contain.
    pub fn note_staged(&self, key: &Key) {
        let staged = &mut self.counts().staged;
        if staged.len() < MOST_STAGED {
            staged.insert(key.clone());
        }
    }

    /// Adds the defects of the same listing, as it was read before.
    pub(crate) fn add_all(&self, before: &Self) {
        let Counts { repeated, conflicting, foreign, unsettled, staged, has_unverified_end } = before.counts().clone();
        let mut counts = self.counts();
        counts.repeated.add_all(repeated);
        counts.conflicting.add_all(conflicting);
        counts.foreign.add_all(foreign);
        counts.unsettled.add_all(unsettled);
        counts.has_unverified_end |= has_unverified_end;
        let free = MOST_STAGED.saturating_sub(counts.staged.len());
        counts.staged.extend(staged.into_iter().take(free));
    }

    /// Records that the last page of the listing was empty, and that no further request showed that it is the last one.
    pub fn note_unverified_end(&self) {
        self.counts().has_unverified_end = true;
    }

    pub(crate) fn add_repeated(&self, key: &Key) {
        self.counts().repeated.add(key);
    }

    pub(crate) fn add_conflicting(&self, key: &Key) {
        self.counts().conflicting.add(key);
    }

    pub(crate) fn add_foreign(&self, key: &Key) {
        self.counts().foreign.add(key);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
