//! Writes manifest rows in batches while a sync runs.
//!
//! Writing each row on its own would take one disk flush per file. A crash loses at most the last batch, which only
//! costs a comparison in the next sync.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::{Manifest, ManifestError, RowChange};

/// The largest number of rows in one batch.
const BATCH: usize = 4096;

/// The longest time that a row waits to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// Accepts rows for writing. All clones write to the same batches.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(mpsc::Sender<RowChange>);

/// The task that writes the rows of a recorder.
#[derive(Debug)]
pub(crate) struct Recording(AbortOnDropHandle<Result<(), ManifestError>>);

impl Recorder {
    pub(crate) fn start(manifest: Arc<dyn Manifest>) -> (Self, Recording) {
        let (sender, receiver) = mpsc::channel(BATCH);
        (Self(sender), Recording(AbortOnDropHandle::new(tokio::spawn(write(manifest, receiver)))))
    }

    /// Passes a change to the writer. Does nothing once writing has failed; [`Recording::finish`] returns that error.
    pub(crate) async fn note(&self, change: RowChange) {
        let _writing_has_failed = self.0.send(change).await;
    }
}

impl Recording {
    /// Waits until all rows are written. Every recorder must have been dropped before, or this never returns.
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
