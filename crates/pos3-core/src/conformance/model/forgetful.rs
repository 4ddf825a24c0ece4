//! A manifest that is lost at any moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::manifest::{Manifest, ManifestError, MemoryManifest, Row, RowChange, StartedWrite};

/// A manifest that loses all its rows right before its nth use.
#[derive(Debug, Default)]
pub(super) struct Forgetful {
    rows: Mutex<Arc<MemoryManifest>>,
    uses_left: AtomicU64,
}

impl Forgetful {
    /// Makes the manifest lose all rows before its nth use from now.
    pub(super) fn forget_at(&self, nth: u64) {
        self.uses_left.store(nth, Ordering::Relaxed);
    }

    fn used(&self) -> Arc<MemoryManifest> {
        let mut rows = self.rows.lock().unwrap();
        let left = self.uses_left.load(Ordering::Relaxed);
        self.uses_left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 1 {
            *rows = Arc::default();
        }
        rows.clone()
    }
}

#[async_trait]
impl Manifest for Forgetful {
    fn rows(&self) -> BoxStream<'static, Result<Row, ManifestError>> {
        self.used().rows()
    }

    async fn started(&self) -> Result<Vec<StartedWrite>, ManifestError> {
        self.used().started().await
    }

    async fn apply(&self, changes: Vec<RowChange>) -> Result<(), ManifestError> {
        self.used().apply(changes).await
    }
}
