//! Writes rows in batches while a sync runs.
//!
//! A row a file would cost a disk flush a file. A crash loses the last batch at most, and costs a comparison then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{Manifest, ManifestError, RowChange};

/// The most rows that are written at once.
const BATCH: usize = 4096;

/// The longest a row waits to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Takes rows and has them written; clones feed the same batches.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(mpsc::Sender<RowChange>);

/// The task that writes what a recorder takes.
#[derive(Debug)]
pub(crate) struct Recording(AbortOnDropHandle<Result<(), ManifestError>>);

impl Recorder {
    pub(crate) fn start(manifest: Arc<dyn Manifest>) -> (Self, Recording) {
        let (sender, receiver) = mpsc::channel(BATCH);
        (Self(sender), Recording(AbortOnDropHandle::new(tokio::spawn(write(manifest, receiver)))))
    }

    /// Takes a change. Once writing has failed there is nothing more to keep.
    pub(crate) async fn note(&self, change: RowChange) {
        let _writing_has_failed = self.0.send(change).await;
    }
}

impl Recording {
    /// Waits until everything is written; every recorder must have been dropped.
    pub(crate) async fn finish(self) -> Result<(), ManifestError> {
        self.0.await.unwrap_or_else(|error| Err(ManifestError(format!("writing the manifest failed: {error}"))))
    }
}

async fn write(manifest: Arc<dyn Manifest>, mut changes: mpsc::Receiver<RowChange>) -> Result<(), ManifestError> {
    let mut batch = Vec::new();
    while let Some(first) = changes.recv().await {
        batch.push(first);
        let due = Instant::now() + PATIENCE;
        while batch.len() < BATCH {
            match tokio::time::timeout_at(due, changes.recv()).await {
                Ok(Some(change)) => batch.push(change),
                Ok(None) | Err(_) => break,
            }
        }
        manifest.apply(std::mem::take(&mut batch)).await?;
    }
    Ok(())
}
