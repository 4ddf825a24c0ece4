//! Records each write before it starts.
//!
//! If the process is killed after the target has stored the content, the next run recognises its own write by this
//! record.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use crate::entry::{Digest, Entry, Fingerprint};
use crate::manifest::{Manifest, RowChange, StartedWrite};
use crate::side::Side;
use crate::store::{ContentFacts, PutWitness};

/// Records one write in a manifest before the target can have it.
pub(super) struct Starting {
    manifest: Arc<dyn Manifest>,
    source: Entry,
    read: Fingerprint,
    told: OnceLock<ContentFacts>,
}

impl Starting {
    /// Returns `None` for a source without a fingerprint, because it gets no row.
    pub(super) fn new(manifest: Arc<dyn Manifest>, source: &Entry) -> Option<Self> {
        Some(Self { manifest, source: source.clone(), read: source.fingerprint.clone()?, told: OnceLock::new() })
    }

    /// Returns the MD5 of the content, if the store computed it in order to send it.
    pub(super) fn md5(&self) -> Option<Digest> {
        self.told.get()?.digest.filter(|digest| matches!(digest, Digest::Md5(_)))
    }

    /// Records the write with the facts that the source's store reports, if there are any.
    pub(super) async fn record_listed(&self) {
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
