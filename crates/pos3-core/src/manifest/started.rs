//! Writes that were started and whose result was not recorded.
//!
//! If a process is killed after the target has stored a write and before the row is recorded, both sides differ from
//! the row. Without a record of the write, that looks as if another writer had changed the target.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::{Manifest, Row, RowChange};
use crate::compare::agreement;
use crate::diff::Side;
use crate::digest::Agreement;
use crate::entry::{Checksum, Digest, Entry, Fingerprint};
use crate::key::Key;
use crate::store::{ContentFacts, PutWitness};
use crate::tree::Tree;

/// A write that was started. If the written side later has this content, no other writer changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedWrite {
    /// The key, relative to both trees.
    pub key: Key,
    /// The side that is written.
    pub written: Side,
    /// The fingerprint of the other side, whose content is written.
    pub read: Fingerprint,
    /// The size of the content in bytes.
    pub size: u64,
    /// The digest that the written side will report for the content, if known.
    pub digest: Option<Digest>,
    /// The checksum of the content, if known.
    pub checksum: Option<Checksum>,
}

impl StartedWrite {
    /// Returns the same write for the sync in the opposite direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        let written = match self.written {
            Side::Source => Side::Target,
            Side::Target => Side::Source,
        };
        Self { written, ..self }
    }

    /// Returns the row of this write if the written side, which has this entry, has the content that was to be written.
    ///
    /// The facts in the listing usually decide. If they do not, the store is asked for those of this one entry, and a local
    /// file is read.
    pub(crate) async fn row(&self, tree: &Tree, entry: &Entry) -> Option<Row> {
        if !entry.has_content() || entry.size != self.size {
            return None;
        }
        let is_it = |found: &Entry| {
            let by_digest = self.digest.is_some() && found.digest == self.digest;
            by_digest || (self.checksum.is_some() && found.checksum == self.checksum)
        };
        let is_stored = is_it(entry) || {
            let content = tree.content(entry);
            let is_told = content.look_up().await.ok().flatten().is_some_and(|found| is_it(&found));
            let digests = self.digest.as_slice();
            is_told || (tree.is_local() && matches!(agreement(&content, digests).await, Ok(Agreement::Same)))
        };
        let written = entry.fingerprint.clone().filter(|_| is_stored)?;
        let (source, target) = match self.written {
            Side::Source => (written, self.read.clone()),
            Side::Target => (self.read.clone(), written),
        };
        Some(Row { key: self.key.clone(), source, target, digest: self.digest })
    }
}

/// Records one write in a manifest before the target can have it.
pub(crate) struct Starting {
    manifest: Arc<dyn Manifest>,
    source: Entry,
    read: Fingerprint,
    told: OnceLock<ContentFacts>,
}

impl Starting {
    /// Returns `None` for a source without a fingerprint, of which there will be no row.
    pub(crate) fn new(manifest: Arc<dyn Manifest>, source: &Entry) -> Option<Self> {
        Some(Self { manifest, source: source.clone(), read: source.fingerprint.clone()?, told: OnceLock::new() })
    }

    /// Returns the MD5 of the content, if the store computed it in order to send it.
    pub(crate) fn md5(&self) -> Option<Digest> {
        self.told.get()?.digest.filter(|digest| matches!(digest, Digest::Md5(_)))
    }

    /// Records the write with the facts that the source's store reports, if there are any.
    pub(crate) async fn record_listed(&self) {
        self.record(ContentFacts { digest: self.source.digest, checksum: self.source.checksum }).await;
    }

    async fn record(&self, facts: ContentFacts) {
        let ContentFacts { digest, checksum } = facts;
        if digest.is_none() && checksum.is_none() {
            return;
        }
        let started = StartedWrite {
            key: self.source.key.clone(),
            written: Side::Target,
            read: self.read.clone(),
            size: self.source.size,
            digest,
            checksum,
        };
        // Without the record, the next run may report a conflict, which loses nothing.
        let _not_recorded = self.manifest.apply(vec![RowChange::Started(started)]).await;
    }
}

#[async_trait]
impl PutWitness for Starting {
    async fn about_to_store(&self, facts: ContentFacts) {
        let _first_counts = self.told.set(facts);
        self.record(facts).await;
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Starting({:?})", self.source.key)
    }
}
