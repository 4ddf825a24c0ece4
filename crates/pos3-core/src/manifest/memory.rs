//! A manifest in memory, for tests and for programs whose disk does not persist.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::{Manifest, ManifestError, Row, RowChange, StartedWrite};
use crate::key::Key;

/// A manifest in memory.
#[derive(Debug, Default)]
pub struct MemoryManifest(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    rows: BTreeMap<Key, Row>,
    started: BTreeMap<Key, Vec<StartedWrite>>,
}

#[async_trait]
impl Manifest for MemoryManifest {
    fn rows(&self) -> BoxStream<'static, Result<Row, ManifestError>> {
        let rows: Vec<_> = self.0.lock().unwrap_or_else(PoisonError::into_inner).rows.values().cloned().collect();
        stream::iter(rows.into_iter().map(Ok)).boxed()
    }

    async fn started(&self) -> Result<Vec<StartedWrite>, ManifestError> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tables.started.values().flatten().cloned().collect())
    }

    async fn apply(&self, changes: Vec<RowChange>) -> Result<(), ManifestError> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                RowChange::Equal(row) => {
                    tables.started.remove(&row.key);
                    tables.rows.insert(row.key.clone(), row);
                }
                RowChange::Forget(key) => {
                    tables.started.remove(&key);
                    tables.rows.remove(&key);
                }
                RowChange::Started(write) => tables.started.entry(write.key.clone()).or_default().push(write),
            }
        }
        Ok(())
    }
}
