//! The arguments of a delete: a key, and the object that the caller saw.
//!
//! Another process may write between a listing and a delete. Without a condition, its data would be deleted instead of
//! the object that the caller saw.

use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::entry::{Entry, Fingerprint};
use crate::key::Key;

/// The largest difference between two times of one object. A listing contains fractions of a second, which the response
/// to a HEAD truncates or rounds up.
const RESOLUTION: Duration = Duration::from_secs(1);

/// A key to delete.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeleteKey {
    /// The key.
    pub key: Key,
    /// The object that the caller saw at the key. `None` deletes any object.
    pub unless_changed: Option<Seen>,
    /// Once this is cancelled, the store sends no request for the key any more, and repeats none. It waits for a request
    /// that it has sent. A key for which no request was sent fails with [`ErrorKind::Stopped`]. Only a store whose deletes
    /// may take long has to do so.
    ///
    /// [`ErrorKind::Stopped`]: crate::ErrorKind::Stopped
    pub halt: Option<CancellationToken>,
}

impl DeleteKey {
    /// Returns the delete of any object at `key`.
    pub fn new(key: Key) -> Self {
        Self { key, unless_changed: None, halt: None }
    }

    /// Sets the key. This is for a store that passes keys on under another prefix.
    #[must_use]
    pub fn with_key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Deletes the object only if it still matches `entry`.
    #[must_use]
    pub fn unless_changed(mut self, entry: &Entry) -> Self {
        self.unless_changed = Some(Seen::of(entry));
        self
    }

    /// Sends no request for the key any more once `halt` is cancelled.
    #[must_use]
    pub fn until(mut self, halt: CancellationToken) -> Self {
        self.halt = Some(halt);
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
    /// The time of the last change of the content.
    pub modified: Option<SystemTime>,
    /// The fingerprint of the content.
    pub fingerprint: Option<Fingerprint>,
}

impl Seen {
    /// Returns the state that an entry describes.
    pub fn of(entry: &Entry) -> Self {
        Self { size: entry.size, modified: entry.modified, fingerprint: entry.fingerprint.clone() }
    }

    /// Returns true if an entry has the same state: size, fingerprint and time are equal, as far as both are known.
    ///
    /// The time matters even if the fingerprint is equal. If another process wrote the same content again, it wants to
    /// keep the object.
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
