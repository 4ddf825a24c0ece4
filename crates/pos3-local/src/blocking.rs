//! File system calls on threads that may block, with a way to learn that nobody waits any more.
//!
//! Work on such a thread goes on when its future is dropped; without [`Waited`] a cancelled write would still appear.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pos3_core::{ErrorKind, Result, StoreError};
use tokio::task::spawn_blocking;

/// Says whether the future that started some work is still there.
pub(crate) struct Waited(Arc<AtomicBool>);

impl Waited {
    /// Fails if the future was dropped: the result would reach nobody, so nothing more may be changed.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Acquire) {
            return Err(StoreError::new(ErrorKind::Other, "go on").with_message("it was cancelled"));
        }
        Ok(())
    }
}

struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `work` where blocking is allowed and waits for it.
pub(crate) async fn blocking<T, W>(operation: &'static str, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&Waited) -> Result<T> + Send + 'static,
{
    let abandoned = Arc::new(AtomicBool::new(false));
    let waited = Waited(abandoned.clone());
    let _abandon = Abandon(abandoned);
    match spawn_blocking(move || work(&waited)).await {
        Ok(result) => result,
        Err(ended) => Err(ended_early(operation, ended)),
    }
}

/// Returns the error for work that panicked or that the runtime gave up.
pub(crate) fn ended_early(operation: &'static str, ended: tokio::task::JoinError) -> StoreError {
    StoreError::new(ErrorKind::Other, operation).with_message("the work ended before it was done").with_source(ended)
}
