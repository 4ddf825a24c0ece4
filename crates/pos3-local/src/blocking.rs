//! File system calls on threads that may block, with a way to learn that nobody waits any more.
//!
//! Work on such a thread goes on when its future is dropped; without [`Waited`] a cancelled write would still appear.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pos3_core::{ErrorKind, Result, StoreError};
use tokio::task::{JoinHandle, spawn_blocking};

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

/// Work that was begun. Dropped, it is told that nobody waits for it any more.
pub(crate) struct Working<T> {
    operation: &'static str,
    task: JoinHandle<Result<T>>,
    _abandon: Abandon,
}

/// Runs `work` where blocking is allowed and waits for it.
pub(crate) async fn blocking<T, W>(operation: &'static str, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&Waited) -> Result<T> + Send + 'static,
{
    begin(operation, work).end().await
}

/// Begins `work` where blocking is allowed, whether or not it is waited for yet.
pub(crate) fn begin<T, W>(operation: &'static str, work: W) -> Working<T>
where
    T: Send + 'static,
    W: FnOnce(&Waited) -> Result<T> + Send + 'static,
{
    let abandoned = Arc::new(AtomicBool::new(false));
    let waited = Waited(abandoned.clone());
    Working { operation, task: spawn_blocking(move || work(&waited)), _abandon: Abandon(abandoned) }
}

impl<T> Working<T> {
    /// Waits for the end.
    pub(crate) async fn end(self) -> Result<T> {
        let Self { operation, task, _abandon } = self;
        match task.await {
            Ok(result) => result,
            Err(ended) => Err(ended_early(operation, ended)),
        }
    }
}

/// Returns the error for work that panicked or that the runtime gave up.
fn ended_early(operation: &'static str, ended: tokio::task::JoinError) -> StoreError {
    StoreError::new(ErrorKind::Other, operation).with_message("the work ended before it was done").with_source(ended)
}
