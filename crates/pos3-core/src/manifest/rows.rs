//! The rows of a manifest, read in step with the listings.

use futures::StreamExt;
use futures::stream::BoxStream;

use super::{Manifest, ManifestError, Row};
use crate::key::Key;

/// A cursor over rows. A manifest that fails ends here: what it did not say is unknown.
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

    /// Returns the next row of a key before `key`, if there is one.
    pub(crate) async fn next_before(&mut self, key: &Key) -> Option<Row> {
        self.fill().await;
        self.head.take_if(|row| row.key < *key)
    }

    /// Returns the row of `key`, once those of the keys before it were passed over.
    pub(crate) async fn take(&mut self, key: &Key) -> Option<Row> {
        self.fill().await;
        self.head.take_if(|row| row.key == *key)
    }

    /// Returns the next row that was not asked for, once both listings have ended.
    pub(crate) async fn next(&mut self) -> Option<Row> {
        self.fill().await;
        self.head.take()
    }

    /// Returns why the rows ended early, if they did.
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
