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

    /// Passes a change to the writer. A batch that cannot be written does not keep later ones back;
    /// [`Recording::finish`] returns the first error.
    pub(crate) async fn note(&self, change: RowChange) {
        let _writer_is_gone = self.0.send(change).await;
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
    let mut outcome = Ok(());
    while let Some(first) = changes.recv().await {
        batch.push(first);
        let due = Instant::now() + PATIENCE;
        while batch.len() < BATCH {
            match tokio::time::timeout_at(due, changes.recv()).await {
                Ok(Some(change)) => batch.push(change),
                Ok(None) | Err(_) => break,
            }
        }
        outcome = outcome.and(manifest.apply(std::mem::take(&mut batch)).await);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use async_trait::async_trait;
    use futures::StreamExt;
    use futures::stream::{self, BoxStream};

    use super::*;
    use crate::key::Key;
    use crate::manifest::{Row, StartedWrite};

    /// Sees every change and cannot write any.
    #[derive(Debug, Default)]
    struct Full(Mutex<Vec<RowChange>>);

    #[async_trait]
    impl Manifest for Full {
        fn rows(&self) -> BoxStream<'static, Result<Row, ManifestError>> {
            stream::empty().boxed()
        }

        async fn started(&self) -> Result<Vec<StartedWrite>, ManifestError> {
            Ok(Vec::new())
        }

        async fn apply(&self, changes: Vec<RowChange>) -> Result<(), ManifestError> {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend(changes);
            Err(ManifestError(format!("no space left after {}", seen.len())))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_cannot_be_written_does_not_keep_later_ones_back() {
        let full = Arc::new(Full::default());
        let (recorder, recording) = Recorder::start(full.clone());
        for key in ["a", "b", "c"] {
            recorder.note(RowChange::Forget(Key::from(key))).await;
            tokio::time::sleep(2 * PATIENCE).await;
        }
        drop(recorder);
        let error = recording.finish().await.unwrap_err();
        assert_eq!(error.0, "no space left after 1", "the first error is returned");
        assert_eq!(full.0.lock().unwrap_or_else(PoisonError::into_inner).len(), 3);
    }
}
