//! What both sides looked like when they were last known equal.
//!
//! Without it a sync must choose: trust sizes and times, and miss the edit that keeps both, or read everything again.
//! A [`Manifest`] is a third sorted stream beside the two listings. It is a memory, never a truth: losing it, or any
//! row of it, costs a comparison and nothing else.

mod memory;
mod recorder;
mod rows;

use std::fmt;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::entry::{Digest, Entry, Fingerprint};
use crate::key::Key;

pub use memory::MemoryManifest;
pub(crate) use recorder::Recorder;
pub(crate) use rows::Rows;

/// One key of which source and target were known to be equal, and what each looked like then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The key, relative to both trees.
    pub key: Key,
    /// The source's fingerprint.
    pub source: Fingerprint,
    /// The target's fingerprint.
    pub target: Fingerprint,
    /// A digest of the content, where one was known.
    pub digest: Option<Digest>,
}

impl Row {
    /// Returns the row of two entries that are equal, if both have fingerprints.
    pub fn of(source: &Entry, target: &Entry) -> Option<Self> {
        Some(Self {
            key: source.key.clone(),
            source: source.fingerprint.clone()?,
            target: target.fingerprint.clone()?,
            digest: source.digest.or(target.digest),
        })
    }

    /// Returns the row as the opposite sync sees it.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { source: self.target, target: self.source, ..self }
    }
}

/// One change to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowChange {
    /// Source and target are equal at this key.
    Equal(Row),
    /// Nothing is known of this key any more.
    Forget(Key),
}

/// A memory of equal pairs, for one source and one target.
///
/// An implementation must never return a row that was not recorded as it is: damage is an error or a missing row.
/// Whoever loses rows costs a sync some hashing.
#[async_trait]
pub trait Manifest: fmt::Debug + Send + Sync + 'static {
    /// Returns the rows in byte order of their keys, as they are now. After an error the stream ends.
    fn rows(&self) -> BoxStream<'static, Result<Row, ManifestError>>;

    /// Makes changes, in order; all of them or none survive a crash.
    ///
    /// # Errors
    ///
    /// What kept them from being stored.
    async fn apply(&self, changes: Vec<RowChange>) -> Result<(), ManifestError>;
}

/// A manifest that cannot be read or written. It never fails a sync: it makes one slower.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(pub String);
