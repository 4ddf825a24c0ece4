//! Calls a function at intervals, with or without a runtime.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A repeated call, which ends when this is dropped.
pub(super) enum Repeating {
    /// By a task of the runtime.
    Task(JoinHandle<()>),
    /// By a thread, which ends when the sender is dropped.
    Thread { _alive: Sender<()> },
}

impl Repeating {
    /// Calls `each` after every interval. If no thread can be started, nothing is called.
    pub(super) fn start(interval: Duration, mut each: impl FnMut() + Send + 'static) -> Self {
        if let Ok(runtime) = Handle::try_current() {
            return Self::Task(runtime.spawn(async move {
                loop {
                    tokio::time::sleep(interval).await;
                    each();
                }
            }));
        }
        let (alive, ended) = mpsc::channel::<()>();
        let repeat = move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                each();
            }
        };
        let _not_shown = thread::Builder::new().name("pos3-progress".to_owned()).spawn(repeat);
        Self::Thread { _alive: alive }
    }
}

impl Drop for Repeating {
    fn drop(&mut self) {
        if let Self::Task(task) = self {
            task.abort();
        }
    }
}
