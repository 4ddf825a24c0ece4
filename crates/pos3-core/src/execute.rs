//! Doing what a plan says, or less.
//!
//! The executor decides nothing. Copies run side by side within one budget; deletes wait until every copy has ended
//! well, and are withheld if one has not.

mod copy;
mod delete;

use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::entry::Entry;
use crate::event::{Event, Observe};
use crate::plan::{Action, SkipReason};
use crate::report::{FailedAction, Failure, Report, Stop};
use crate::store::{Budget, Slot};
use crate::tree::Tree;

use copy::{Copied, Copy};

/// How long copies in flight may go on after a cancellation.
const GRACE: Duration = Duration::from_secs(10);

/// Performs actions between two trees.
#[derive(Debug)]
pub struct Executor {
    source: Tree,
    target: Tree,
    budget: Budget,
    observer: Observe,
    cancel: CancellationToken,
}

impl Executor {
    /// Returns an executor for plans between these trees.
    pub fn new(source: &Tree, target: &Tree, budget: Budget, observer: Observe, cancel: CancellationToken) -> Self {
        Self { source: source.clone(), target: target.clone(), budget, observer, cancel }
    }

    /// Performs actions as they come and adds what happened to the report.
    ///
    /// An `Err` in the stream ends it: copies that were begun are finished, nothing is deleted.
    pub async fn run(&self, actions: impl Stream<Item = Result<Action, Stop>>, report: &mut Report) {
        let mut copies = JoinSet::new();
        let mut deletes = Vec::new();
        let mut actions = std::pin::pin!(actions);
        loop {
            let next = tokio::select! {
                biased;
                () = self.cancel.cancelled() => Some(Err(Stop::Cancelled)),
                next = actions.next() => next,
            };
            match next {
                Some(Ok(action)) => {
                    self.observer.event(&Event::Decided(&action));
                    self.begin(action, &mut copies, &mut deletes, report).await;
                }
                Some(Err(stop)) => {
                    report.stopped = Some(stop);
                    break;
                }
                None => {
                    self.observer.event(&Event::PlanComplete);
                    break;
                }
            }
            while let Some(done) = copies.try_join_next() {
                note(done, report);
            }
        }
        self.drain(copies, report).await;
        self.delete(deletes, report).await;
    }

    async fn begin(&self, action: Action, copies: &mut JoinSet<Copied>, deletes: &mut Vec<Entry>, report: &mut Report) {
        match action {
            Action::Copy { .. } => {
                if let Some(slot) = self.slot().await {
                    copies.spawn(self.copy(action).run(slot));
                }
            }
            Action::Delete { target } => deletes.push(target),
            Action::Skip { key, why } => report.skipped.push((key, why)),
        }
    }

    /// Waits for a free slot, unless the run is cancelled.
    async fn slot(&self) -> Option<Slot> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => None,
            slot = self.budget.slot() => Some(slot),
        }
    }

    fn copy(&self, action: Action) -> Copy {
        Copy {
            source: self.source.clone(),
            target: self.target.clone(),
            budget: self.budget.clone(),
            observer: self.observer.clone(),
            action,
        }
    }

    /// Waits for the copies in flight; once cancelled, only for the time of grace. What is aborted leaves nothing
    /// half-written under a final name: that is each store's promise.
    async fn drain(&self, mut copies: JoinSet<Copied>, report: &mut Report) {
        let late = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let mut late = std::pin::pin!(late);
        loop {
            tokio::select! {
                done = copies.join_next() => match done {
                    Some(done) => note(done, report),
                    None => break,
                },
                () = &mut late => {
                    copies.shutdown().await;
                    break;
                }
            }
        }
        if self.cancel.is_cancelled() {
            report.stopped.get_or_insert(Stop::Cancelled);
        }
    }

    async fn delete(&self, deletes: Vec<Entry>, report: &mut Report) {
        let clash = report.skipped.iter().any(|(_, why)| matches!(why, SkipReason::Clash(_)));
        if report.stopped.is_some() || !report.failed.is_empty() || clash {
            report.withheld = deletes.iter().filter(|entry| entry.has_content()).count() as u64;
            return;
        }
        delete::run(&self.target, &self.observer, &self.cancel, deletes, report).await;
    }
}

fn note(done: Result<Copied, JoinError>, report: &mut Report) {
    match done {
        Ok(Copied::Done { size }) => {
            report.copied += 1;
            report.copied_bytes += size;
        }
        Ok(Copied::Vanished(key)) => report.skipped.push((key, SkipReason::Vanished)),
        Ok(Copied::Failed(failure)) => report.failed.push(failure),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_aborted) => {}
    }
}

fn failure(key: &crate::key::Key, action: FailedAction, error: crate::error::StoreError) -> Failure {
    Failure { key: key.clone(), action, error }
}
