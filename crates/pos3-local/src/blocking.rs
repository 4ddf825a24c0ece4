//! Runs file system calls on threads that may block, and lets them detect that their future was dropped.
//!
//! Such work continues after its future is dropped. Without [`Waited`], a cancelled write would still appear.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pos3_core::{ErrorKind, Operation, Result, StoreError};
use tokio::task::{JoinHandle, spawn_blocking};

/// Reports whether the future that started the work still exists.
pub(crate) struct Waited(Arc<AtomicBool>);

impl Waited {
    /// Fails if the future was dropped. Nothing receives the result, so the work must not change anything more.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Acquire) {
            return Err(StoreError::new(ErrorKind::Other, Operation::GoOn).with_message("it was cancelled"));
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

/// Running work. Dropping it signals the work that nothing waits for it any longer.
pub(crate) struct Working<T> {
    operation: Operation,
    task: JoinHandle<Result<T>>,
    _abandon: Abandon,
}

/// Runs `work` on a thread that may block, and waits for it.
pub(crate) async fn blocking<T, W>(operation: Operation, work: W) -> Result<T>
where
    T: Send + 'static,
    W: FnOnce(&Waited) -> Result<T> + Send + 'static,
{
    begin(operation, work).end().await
}

/// Starts `work` on a thread that may block. It runs even if nothing waits for it yet.
pub(crate) fn begin<T, W>(operation: Operation, work: W) -> Working<T>
where
    T: Send + 'static,
    W: FnOnce(&Waited) -> Result<T> + Send + 'static,
{
    let abandoned = Arc::new(AtomicBool::new(false));
    let waited = Waited(abandoned.clone());
    Working { operation, task: spawn_blocking(move || work(&waited)), _abandon: Abandon(abandoned) }
}

impl<T> Working<T> {
    /// Waits until the work has ended.
    pub(crate) async fn end(self) -> Result<T> {
        let Self { operation, task, _abandon } = self;
        match task.await {
            Ok(result) => result,
            Err(ended) => Err(ended_early(operation, ended)),
        }
    }
}

/// Returns the error for work that panicked or that the runtime cancelled.
fn ended_early(operation: Operation, ended: tokio::task::JoinError) -> StoreError {
    StoreError::new(ErrorKind::Other, operation)
        .with_message("the operation ended before it was complete")
        .with_source(ended)
}
