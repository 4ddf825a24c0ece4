//! A pull that runs while the program does other work: [`Background`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::error::WorkspaceError;
use super::inner::Inner;
use super::pull::pull;
use super::report::WorkspaceReport;
use super::scope::Scope;

/// The result of a pull, which all that wait for it share.
pub(super) type Pulled = Result<Arc<WorkspaceReport>, Arc<WorkspaceError>>;

/// The last pull in the background. It ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Background(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    stage: watch::Receiver<Stage>,
    _task: AbortOnDropHandle<()>,
}

/// How far a pull is.
#[derive(Clone, Debug)]
enum Stage {
    Begun,
    HasPriority,
    Ended(Pulled),
}

impl Background {
    /// Starts a pull, unless one runs.
    pub(super) fn start(&self, inner: Arc<Inner>) {
        let mut running = self.running();
        if running.as_ref().is_some_and(|running| !matches!(*running.stage.borrow(), Stage::Ended(_))) {
            return;
        }
        let (sender, stage) = watch::channel(Stage::Begun);
        let task = tokio::spawn(async move {
            let pulled = pull(&inner, &Scope::default(), || _ = sender.send_replace(Stage::HasPriority)).await;
            sender.send_replace(Stage::Ended(pulled.map(Arc::new).map_err(Arc::new)));
        });
        *running = Some(Running { stage, _task: AbortOnDropHandle::new(task) });
    }

    /// Waits for the end of the pull, if one was started, and returns its result.
    pub(super) async fn ended(&self) -> Option<Pulled> {
        match self.reached(|stage| matches!(stage, Stage::Ended(_))).await? {
            Stage::Ended(pulled) => Some(pulled),
            Stage::Begun | Stage::HasPriority => None,
        }
    }

    /// Waits until what has priority was fetched. Returns the result if the pull has ended.
    pub(super) async fn has_priority(&self) -> Option<Pulled> {
        match self.reached(|stage| !matches!(stage, Stage::Begun)).await? {
            Stage::Ended(pulled) => Some(pulled),
            Stage::Begun | Stage::HasPriority => None,
        }
    }

    async fn reached(&self, is_reached: impl FnMut(&Stage) -> bool) -> Option<Stage> {
        let mut stage = self.running().as_ref()?.stage.clone();
        let reached = stage.wait_for(is_reached).await.map(|stage| stage.clone());
        // The sender is lost only together with its task, if the runtime is shut down.
        Some(reached.unwrap_or(Stage::Begun))
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
