//! The state of both sides when they were last known to be equal.
//!
//! Without a manifest, a sync can trust sizes and times, and then miss an edit that preserves both, or read all content
//! again. A [`Manifest`] is a third sorted stream beside the two listings. By default it is only a cache: if it loses
//! rows, the next sync has to compare those keys again. But policies such as
//! [`Deletable::known`](crate::Deletable::known) and [`Overwritable::unless_newer`](crate::Overwritable::unless_newer)
//! decide by rows.

mod memory;
mod recorder;
mod rows;
mod started;

use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::entry::{Digest, Entry, Fingerprint};
use crate::key::Key;

pub use memory::MemoryManifest;
pub(crate) use recorder::Recorder;
pub(crate) use rows::Rows;
pub use started::StartedWrite;

/// One key at which source and target were known to be equal, and their fingerprints at that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The key, relative to both trees.
    pub key: Key,
    /// The source's fingerprint.
    pub source: Fingerprint,
    /// The target's fingerprint.
    pub target: Fingerprint,
    /// A digest of the content, if one was known.
    pub digest: Option<Digest>,
}

impl Row {
    /// Returns the row of two equal entries, or `None` if one of them has no fingerprint.
    pub fn of(source: &Entry, target: &Entry) -> Option<Self> {
        Some(Self {
            key: source.key.clone(),
            source: source.fingerprint.clone()?,
            target: target.fingerprint.clone()?,
            digest: source.digest.or(target.digest),
        })
    }

    /// Returns the row for the sync in the opposite direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { source: self.target, target: self.source, ..self }
    }
}

/// One change to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// The source and the target are equal at this key.
    Equal(Row),
    /// The state of this key is no longer known.
    Forget(Key),
    /// A write of this key is about to start. The next change of the key that is not another start ends it.
    Started(StartedWrite),
}

/// Stores the pairs that were equal, for one source and one target.
///
/// An implementation must return every row exactly as it was recorded. A damaged row is an error or a missing row. A
/// lost row costs a comparison, and a policy that decides by rows treats the key as unknown.
#[async_trait]
pub trait Manifest: fmt::Debug + Send + Sync + 'static {
    /// Returns the current rows in byte order of their keys. The stream ends after an error.
    fn rows(&self) -> BoxStream<'static, Result<Row, ManifestError>>;

    /// Returns the writes whose result was not recorded, in the order in which they were started. There are few: only
    /// those of the last second before a kill, and those whose answer was lost. An implementation may keep only the last
    /// few of each key.
    ///
    /// # Errors
    ///
    /// Returns why they could not be read.
    async fn started(&self) -> Result<Vec<StartedWrite>, ManifestError>;

    /// Applies changes in order. After a crash, either all of them are stored or none.
    ///
    /// # Errors
    ///
    /// Returns why the changes could not be stored.
    async fn apply(&self, changes: Vec<RowChange>) -> Result<(), ManifestError>;
}

/// A failure to read or write a manifest. It never fails a sync: the sync treats the missing rows as unknown.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(pub String);
