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

    /// Returns the row of `key`, which must be greater than the one asked for before. Rows of keys that were passed
    /// over are given to `stale`.
    pub(crate) async fn seek(&mut self, key: &Key, mut stale: impl FnMut(Row)) -> Option<Row> {
        loop {
            self.fill().await;
            match &self.head {
                Some(row) if row.key < *key => self.head.take().into_iter().for_each(&mut stale),
                Some(row) if row.key == *key => return self.head.take(),
                _ => return None,
            }
        }
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
