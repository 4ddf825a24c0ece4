//! Rows in memory for the opposite direction: [`Turned`].

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use pos3_core::{Manifest, ManifestError, MemoryManifest, Row, RowChange, StartedWrite};

/// The rows of uploads with source and target exchanged, so that a later upload knows the files of a download.
#[derive(Debug)]
pub(crate) struct Turned(pub(crate) Arc<MemoryManifest>);

#[async_trait]
impl Manifest for Turned {
    fn rows(&self) -> BoxStream<'static, Result<Row, ManifestError>> {
        self.0.rows().map_ok(Row::reversed).boxed()
    }

    async fn started(&self) -> Result<Vec<StartedWrite>, ManifestError> {
        Ok(self.0.started().await?.into_iter().map(StartedWrite::reversed).collect())
    }

    async fn apply(&self, changes: Vec<RowChange>) -> Result<(), ManifestError> {
        let turned = changes.into_iter().map(|change| match change {
            RowChange::Equal(row) => RowChange::Equal(row.reversed()),
            RowChange::Forget(key) => RowChange::Forget(key),
            RowChange::Started(write) => RowChange::Started(write.reversed()),
        });
        self.0.apply(turned.collect()).await
    }
}
