//! What a delete is asked for: a key, and what its caller saw there.
//!
//! Time passes between a listing and a delete, and another process may write meanwhile. Without a condition its data would
//! be deleted in place of what the caller saw.

use std::time::{Duration, SystemTime};

use crate::entry::{Entry, Fingerprint};
use crate::key::Key;

/// How much two times of one object may differ: a listing gives fractions of a second that an answer to a HEAD cuts off
/// or rounds up.
const RESOLUTION: Duration = Duration::from_secs(1);

/// A key to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeleteKey {
    /// The key.
    pub key: Key,
    /// What the caller saw at the key. `None` deletes whatever is there.
    pub unless_changed: Option<Seen>,
}

impl DeleteKey {
    /// Returns the delete of whatever is at `key`.
    pub fn new(key: Key) -> Self {
        Self { key, unless_changed: None }
    }

    /// Sets the key, for a store that passes keys on under another prefix.
    #[must_use]
    pub fn with_key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Deletes only what `entry` describes.
    #[must_use]
    pub fn unless_changed(mut self, entry: &Entry) -> Self {
        self.unless_changed = Some(Seen::of(entry));
        self
    }
}

impl From<Key> for DeleteKey {
    fn from(key: Key) -> Self {
        Self::new(key)
    }
}

/// The state of an object as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The content length in bytes.
    pub size: u64,
    /// When the content last changed.
    pub modified: Option<SystemTime>,
    /// The store's token for the content.
    pub fingerprint: Option<Fingerprint>,
}

impl Seen {
    /// Returns the state that an entry describes.
    pub fn of(entry: &Entry) -> Self {
        Self { size: entry.size, modified: entry.modified, fingerprint: entry.fingerprint.clone() }
    }

    /// Returns true if an entry describes the same state: size, fingerprint and time are equal, as far as both are known.
    ///
    /// The time counts although the fingerprint is equal: an object that another process wrote again with the same content
    /// is an object that it wants to keep.
    pub fn is(&self, found: &Entry) -> bool {
        let is_same_token = self.fingerprint.is_none() || self.fingerprint == found.fingerprint;
        self.size == found.size && is_same_token && is_same_time(self.modified, found.modified)
    }
}

fn is_same_time(seen: Option<SystemTime>, found: Option<SystemTime>) -> bool {
    let (Some(seen), Some(found)) = (seen, found) else { return true };
    let difference = found.duration_since(seen).unwrap_or_else(|earlier| earlier.duration());
    difference < RESOLUTION
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(token: &str, millis: u64) -> Entry {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + millis);
        Entry::file("k", 3).with_fingerprint(Fingerprint::from(token)).with_modified(modified)
    }

    #[test]
    fn an_object_is_as_it_was_seen_if_size_token_and_time_are_equal() {
        let seen = Seen::of(&entry("a", 500));
        for (found, is_same) in [
            (entry("a", 500), true),
            (entry("a", 0), true),
            (entry("a", 1000), true),
            (entry("b", 500), false),
            (entry("a", 1500), false),
            (Entry { size: 4, ..entry("a", 500) }, false),
            (Entry { modified: None, ..entry("a", 500) }, true),
            (Entry { fingerprint: None, ..entry("a", 500) }, false),
        ] {
            assert_eq!(seen.is(&found), is_same, "{found:?}");
        }
        let unnamed = Seen::of(&Entry { fingerprint: None, ..entry("", 500) });
        assert!(unnamed.is(&entry("b", 500)), "a listing without tokens is compared by size and time");
    }
}
