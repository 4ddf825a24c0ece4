//! A manifest in memory, for tests and for programs whose disk does not persist.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::{Manifest, ManifestError, Row, RowChange};
use crate::key::Key;

/// A manifest in memory.
#[derive(Debug, Default)]
pub struct MemoryManifest(Mutex<BTreeMap<Key, Row>>);

#[async_trait]
impl Manifest for MemoryManifest {
    fn rows(&self) -> BoxStream<'static, Result<Row, ManifestError>> {
        let rows: Vec<_> = self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        stream::iter(rows.into_iter().map(Ok)).boxed()
    }

    async fn apply(&self, changes: Vec<RowChange>) -> Result<(), ManifestError> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                RowChange::Equal(row) => rows.insert(row.key.clone(), row),
                RowChange::Forget(key) => rows.remove(&key),
            };
        }
        Ok(())
    }
}
