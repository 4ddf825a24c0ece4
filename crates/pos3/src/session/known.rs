//! Records which files this session itself knows to be equal on both sides, in addition to the database.
//!
//! The database may disappear or be damaged while the session runs, or be replaced by that of another process or
//! machine. An unchanged downloaded file would then look like output and overwrite an object that another writer stored
//! since. pos3 stores hashes instead of names and fingerprints, so a million files need about 100 MB.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use futures::stream::BoxStream;
use pos3_core::{Digest, Entry, Fingerprint, Key, Manifest, ManifestError, Row, RowChange, StartedWrite};
use pos3_local::{last_change, last_modification, length};

/// The latest pair of fingerprints that was equal, for each key.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<Pairs>>);

#[derive(Debug, Default)]
struct Pairs {
    hasher: RandomState,
    by_key: HashMap<u64, Pair>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair {
    local: u64,
    remote: u64,
    content: Recorded,
    since: SystemTime,
}

/// The known facts about content that both sides had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) size: Option<u64>,
    pub(super) digest: Option<Digest>,
    /// The time at which the local file was modified.
    pub(super) modified: Option<SystemTime>,
}

/// The direction of a transfer, which determines the local side of its manifest rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Down,
    Up,
}

/// The fingerprints of one key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides<'a> {
    pub(super) local: Option<&'a Fingerprint>,
    pub(super) remote: Option<&'a Fingerprint>,
}

/// Which sides still have the fingerprint that they had when they were equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) local: bool,
    pub(super) remote: bool,
}

impl<'a> Sides<'a> {
    /// Returns the sides of a manifest row of a transfer in this direction.
    pub(super) fn of_row(row: &'a Row, way: Way) -> Self {
        let (local, remote) = match way {
            Way::Down => (&row.target, &row.source),
            Way::Up => (&row.source, &row.target),
        };
        Self { local: Some(local), remote: Some(remote) }
    }

    /// Compares these sides with those of an earlier time when they were equal.
    pub(super) fn matching(self, then: Sides<'_>) -> Match {
        let is_same = |now: Option<&Fingerprint>, then| now.is_some() && now == then;
        Match { local: is_same(self.local, then.local), remote: is_same(self.remote, then.remote) }
    }
}

impl Recorded {
    /// Returns the content that a manifest row of a transfer in this direction describes.
    pub(super) fn of_row(row: &Row, way: Way) -> Self {
        let local = Sides::of_row(row, way).local;
        Self { size: local.and_then(length), digest: row.digest, modified: local.and_then(modified) }
    }

    /// Returns true if the file may still have this content by its size.
    pub(super) fn may_be(&self, file: &Entry) -> bool {
        self.size.is_none_or(|size| size == file.size)
    }
}

/// Returns the time at which a file was modified. A time in the future, which the clock of a server may have set, is
/// replaced by that of the last change: a later write may be earlier than such a time.
fn modified(file: &Fingerprint) -> Option<SystemTime> {
    last_modification(file).into_iter().chain(last_change(file)).min()
}

impl Known {
    /// Records that both sides are equal, from the manifest row of a transfer in this direction.
    pub(super) fn note(&self, row: &Row, way: Way) {
        let Sides { local: Some(local), remote: Some(remote) } = Sides::of_row(row, way) else { return };
        let mut pairs = self.pairs();
        let (content, since) = (Recorded::of_row(row, way), SystemTime::now());
        let (key, pair) =
            (pairs.hash(&row.key), Pair { local: pairs.hash(local), remote: pairs.hash(remote), content, since });
        pairs.by_key.insert(key, pair);
    }

    /// Returns the content that both sides had when they were last equal, if it is known.
    pub(super) fn content(&self, key: &Key) -> Option<Recorded> {
        let pairs = self.pairs();
        pairs.by_key.get(&pairs.hash(key)).map(|pair| pair.content)
    }

    /// Returns the time at which both sides were last known to be equal.
    pub(super) fn since(&self, key: &Key) -> Option<SystemTime> {
        let pairs = self.pairs();
        pairs.by_key.get(&pairs.hash(key)).map(|pair| pair.since)
    }

    /// Compares both sides with their state when they were last equal, if it is known.
    pub(super) fn compare(&self, key: &Key, now: Sides<'_>) -> Option<Match> {
        let pairs = self.pairs();
        let then = pairs.by_key.get(&pairs.hash(key))?;
        let is_same = |now: Option<&Fingerprint>, then| now.is_some_and(|now| pairs.hash(now) == then);
        Some(Match { local: is_same(now.local, then.local), remote: is_same(now.remote, then.remote) })
    }

    /// Returns true if a local file has the fingerprint that it had when both sides were last equal.
    pub(super) fn has_local(&self, file: &Entry) -> bool {
        let now = Sides { local: file.fingerprint.as_ref(), remote: None };
        self.compare(&file.key, now).is_some_and(|then| then.local)
    }

    fn forget(&self, key: &Key) {
        let mut pairs = self.pairs();
        let key = pairs.hash(key);
        pairs.by_key.remove(&key);
    }

    fn pairs(&self) -> MutexGuard<'_, Pairs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pairs {
    fn hash(&self, value: &impl std::hash::Hash) -> u64 {
        self.hasher.hash_one(value)
    }
}

/// A manifest that also records its new rows in the session.
#[derive(Debug)]
pub(super) struct Noting {
    pub(super) rows: Arc<dyn Manifest>,
    pub(super) known: Known,
    pub(super) way: Way,
}

#[async_trait]
impl Manifest for Noting {
    fn rows(&self) -> BoxStream<'static, Result<Row, ManifestError>> {
        self.rows.rows()
    }

    async fn started(&self) -> Result<Vec<StartedWrite>, ManifestError> {
        self.rows.started().await
    }

    async fn apply(&self, changes: Vec<RowChange>) -> Result<(), ManifestError> {
        for change in &changes {
            match change {
                RowChange::Equal(row) => self.known.note(row, self.way),
                RowChange::Forget(key) => self.known.forget(key),
                RowChange::Started(_) => {}
            }
        }
        self.rows.apply(changes).await
    }
}
