//! Reads the rows of a manifest in step with the listings.

use futures::StreamExt;
use futures::stream::BoxStream;

use super::{Manifest, ManifestError, Row};
use crate::key::Key;

/// A cursor over rows. If the manifest fails, the cursor ends there, and the remaining keys are treated as unknown.
pub(crate) struct Rows {
    rows: BoxStream<'static, Result<Row, ManifestError>>,
    head: Option<Row>,
    ended: bool,
    failure: Option<ManifestError>,
}

impl Rows {
    pub(crate) fn of(manifest: &dyn Manifest) -> Self {
        Self { rows: manifest.rows(), head: None, ended: false, failure: None }
    }

    /// Returns the next row with a key before `key`, if there is one.
    pub(crate) async fn next_before(&mut self, key: &Key) -> Option<Row> {
        self.fill().await;
        self.head.take_if(|row| row.key < *key)
    }

    /// Returns the row of `key`. The caller must have taken the rows before it with [`next_before`](Self::next_before).
    pub(crate) async fn take(&mut self, key: &Key) -> Option<Row> {
        self.fill().await;
        self.head.take_if(|row| row.key == *key)
    }

    /// Returns the next row after the end of both listings.
    pub(crate) async fn next(&mut self) -> Option<Row> {
        self.fill().await;
        self.head.take()
    }

    /// Returns the error that ended the rows early, if any.
    pub(crate) fn take_failure(&mut self) -> Option<ManifestError> {
        self.failure.take()
    }

    async fn fill(&mut self) {
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
