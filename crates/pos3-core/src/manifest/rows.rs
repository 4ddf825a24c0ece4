//! Reads the rows of a manifest in step with the listings.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;

use super::{Manifest, ManifestError, Row, RowChange, StartedWrite};
use crate::key::Key;

/// A cursor over rows. If the manifest fails, the cursor ends there, and the remaining keys are treated as unknown.
pub(crate) struct Rows {
    manifest: Arc<dyn Manifest>,
    rows: BoxStream<'static, Result<Row, ManifestError>>,
    head: Option<Row>,
    ended: bool,
    /// The started writes of keys that were not requested yet. `None` before they are read.
    started: Option<BTreeMap<Key, Vec<StartedWrite>>>,
    failure: Option<ManifestError>,
}

impl Rows {
    pub(crate) fn of(manifest: &Arc<dyn Manifest>) -> Self {
        let manifest = manifest.clone();
        Self { rows: manifest.rows(), manifest, head: None, ended: false, started: None, failure: None }
    }

    /// Returns the next key before `key` that has a row or a started write, if there is one.
    pub(crate) async fn next_before(&mut self, key: &Key) -> Option<Key> {
        self.next_if(|next| next < key).await
    }

    /// Returns the row of `key`, and its started writes from the first to the last. The caller must have taken the keys
    /// before it with [`next_before`](Self::next_before).
    pub(crate) async fn take(&mut self, key: &Key) -> (Option<Row>, Vec<StartedWrite>) {
        self.fill().await;
        let started = self.started.as_mut().and_then(|started| started.remove(key)).unwrap_or_default();
        (self.head.take_if(|row| row.key == *key), started)
    }

    /// Returns the next key with a row or a started write after the end of both listings.
    pub(crate) async fn next(&mut self) -> Option<Key> {
        self.next_if(|_| true).await
    }

    /// Records a row at once, before anything else happens to its key.
    pub(crate) async fn record(&mut self, row: Row) {
        // A lost row only costs the next run another comparison.
        let _not_recorded = self.manifest.apply(vec![RowChange::Equal(row)]).await;
    }

    /// Returns the error that ended the rows early, if any.
    pub(crate) fn take_failure(&mut self) -> Option<ManifestError> {
        self.failure.take()
    }

    async fn next_if(&mut self, is_wanted: impl Fn(&Key) -> bool) -> Option<Key> {
        self.fill().await;
        let started = self.started.as_ref().and_then(|started| started.first_key_value()).map(|(key, _)| key);
        let row = self.head.as_ref().map(|row| &row.key);
        let next = started.into_iter().chain(row).min().filter(|key| is_wanted(key))?.clone();
        self.started.as_mut().and_then(|started| started.remove(&next));
        self.head.take_if(|row| row.key == next);
        Some(next)
    }

    async fn fill(&mut self) {
        if self.started.is_none() {
            let started = self.manifest.started().await;
            let started = started.map_err(|error| self.failure = Some(error)).unwrap_or_default();
            let mut by_key = BTreeMap::<Key, Vec<StartedWrite>>::new();
            started.into_iter().for_each(|write| by_key.entry(write.key.clone()).or_default().push(write));
            self.started = Some(by_key);
        }
        if self.head.is_some() || self.ended {
            return;
        }
        match self.rows.next().await {
            Some(Ok(row)) => self.head = Some(row),
            Some(Err(error)) => {
                self.failure = Some(error);
                self.ended = true;
            }
            None => self.ended = true,
        }
    }
}
