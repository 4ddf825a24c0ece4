//! One copy, from the source's tree to the target's.

use std::sync::Arc;

use super::failure;
use crate::entry::{Entry, Kind};
use crate::error::{ErrorKind, StoreError};
use crate::event::{Event, Observe};
use crate::key::Key;
use crate::plan::Action;
use crate::report::{FailedAction, Failure};
use crate::store::{Budget, Expect, PutOptions, Slot};
use crate::tree::Tree;

/// A copy and what it needs to run on its own.
pub(super) struct Copy {
    pub(super) source: Tree,
    pub(super) target: Tree,
    pub(super) budget: Budget,
    pub(super) observer: Observe,
    pub(super) action: Action,
}

/// How a copy ended.
pub(super) enum Copied {
    Done { size: u64 },
    Vanished(Key),
    Failed(Failure),
}

impl Copy {
    /// Copies while it holds the slot. What stands at the target must be what the plan saw there.
    pub(super) async fn run(self, slot: Slot) -> Copied {
        let Action::Copy { source, target, .. } = &self.action else { return Copied::Done { size: 0 } };
        self.observer.event(&Event::Started(&self.action));
        let stored = self.put(source, target.as_ref()).await;
        drop(slot);
        match stored {
            Ok(()) => {
                self.observer.event(&Event::Done(&self.action));
                Copied::Done { size: source.size }
            }
            Err(error) if error.kind() == ErrorKind::NotFound && error.operation() == "read" => {
                Copied::Vanished(source.key.clone())
            }
            Err(error) => {
                let failure = failure(&source.key, FailedAction::Copy, error);
                self.observer.event(&Event::Failed(&self.action, &failure));
                Copied::Failed(failure)
            }
        }
    }

    async fn put(&self, source: &Entry, target: Option<&Entry>) -> Result<(), StoreError> {
        let observer = self.observer.clone();
        let content =
            self.source.content(source).with_meter(Arc::new(move |bytes| observer.event(&Event::Moved(bytes))));
        let options = PutOptions::default()
            .with_expect(expectation(target))
            .with_modified(source.modified)
            .with_budget(self.budget.clone());
        self.target.store().put(&self.target.key(&source.key), content, options).await?;
        Ok(())
    }
}

/// What must stand at the key: what was seen there.
fn expectation(target: Option<&Entry>) -> Expect {
    match target {
        None => Expect::Absent,
        Some(Entry { kind: Kind::File, fingerprint: Some(seen), .. }) => Expect::Unchanged(seen.clone()),
        Some(_) => Expect::Anything,
    }
}
