//! Copies that need the path of something that is deleted.
//!
//! The new content is stored first, beside what it replaces and under a name of its own. If that fails, nothing is deleted.
//! If the process dies in between, the old content, the new content or both are there.

use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use super::copy::Copy;
use super::delete::Outcome;
use super::{Course, Executor, failure};
use crate::error::{ErrorKind, Operation};
use crate::key::Key;
use crate::plan::{Action, Plan, SkipReason};
use crate::report::{FailedAction, FailureKind, Stop};
use crate::store::DeleteKey;

/// How the names of staged content begin.
const PREFIX: &str = ".pos3-new.";

/// The names of the content that one run stages.
#[derive(Debug)]
pub(super) struct Names(String);

impl Default for Names {
    fn default() -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self(format!("{:x}-{time:x}", process::id()))
    }
}

impl Names {
    /// Returns the name for a replacement: in the directory of what it replaces, so that it is on the same file system.
    fn of(&self, number: usize, action: &Action) -> Option<Key> {
        let Action::Replace { source, obstacle } = action else { return None };
        let parent = obstacle.as_str().trim_end_matches('/').rsplit_once('/');
        let parent = parent.map(|(parent, _)| format!("{parent}/")).unwrap_or_default();
        // A directory is made at its place, once that is free.
        source.is_file().then(|| Key::from(format!("{parent}{PREFIX}{}.{number}", self.0)))
    }
}

impl Executor {
    /// Stores the content of all replacements, each under a name of its own. If one cannot be stored, for whatever reason,
    /// nothing may be deleted.
    pub(super) async fn stage(&self, plan: &Plan, course: &mut Course<'_>) {
        let mut begun_staging = 0;
        for (number, action) in plan.replacements().iter().enumerate() {
            let begun = match action {
                Ok(action) => match self.run.staged.of(number, &action) {
                    Some(name) => {
                        begun_staging += 1;
                        self.begin_staging(action, name, course).await
                    }
                    None => {
                        self.look_at_source(&action, course).await;
                        Ok(())
                    }
                },
                Err(error) => Err(Stop::Spill(error)),
            };
            if let Err(stop) = begun {
                course.ledger.report.stopped = Some(stop);
                break;
            }
        }
        self.drain(course).await;
        if course.ledger.staged < begun_staging {
            course.ledger.permission.lose();
        }
    }

    async fn begin_staging(&self, action: Action, name: Key, course: &mut Course<'_>) -> Result<(), Stop> {
        let slot = self.slot().await;
        course.note_ended();
        match (slot, course.ledger.fatal.take()) {
            (Some(slot), None) => {
                course.copies.spawn(Copy { run: self.run.clone(), action }.stage(name, slot));
                Ok(())
            }
            (_, fatal) => Err(fatal.map_or(Stop::Cancelled, Stop::Fatal)),
        }
    }

    /// Looks whether a directory that is to replace something is still there.
    async fn look_at_source(&self, action: &Action, course: &mut Course<'_>) {
        let Action::Replace { source, .. } = action else { return };
        match self.run.source.look_up(&source.key, Operation::Read).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                course.ledger.skip(source.key.clone(), SkipReason::Vanished);
            }
            Err(error) => {
                course.ledger.fail(failure(&source.key, FailedAction::Copy, FailureKind::Error, error));
            }
        }
    }

    /// Gives the staged content its names. After a delete that failed or was withheld, this may not be possible for all.
    pub(super) async fn place(&self, plan: &Plan, deleted: Outcome, course: &mut Course<'_>) {
        for (number, action) in plan.replacements().iter().enumerate() {
            let action = match action {
                Ok(action) => action,
                Err(error) => {
                    course.ledger.report.stopped.get_or_insert(Stop::Spill(error));
                    break;
                }
            };
            let staged = self.run.staged.of(number, &action);
            let copy = Copy { run: self.run.clone(), action };
            let slot = self.run.options.budget.slot().await;
            let placed = match &staged {
                Some(staged) => copy.place(staged, slot).await,
                None if deleted == Outcome::Whole => {
                    course.ledger.copy_ended(Ok(copy.run(slot).await));
                    continue;
                }
                None => {
                    course.ledger.report.withheld += 1;
                    continue;
                }
            };
            match placed {
                Ok(copied) => course.ledger.copy_ended(Ok(copied)),
                Err(_) if deleted == Outcome::Partly => course.ledger.report.withheld += 1,
                Err(error) => course.ledger.copy_ended(Ok(copy.not_placed(error))),
            }
        }
    }

    /// Removes what was staged and not placed.
    pub(super) async fn unstage(&self, plan: &Plan) {
        let tree = &self.run.target;
        for (number, action) in plan.replacements().iter().enumerate() {
            let Some(staged) = action.ok().and_then(|action| self.run.staged.of(number, &action)) else { continue };
            // It is of no use to anybody, and the next run with deletes removes it, too.
            let _ignored = tree.store().delete(&[DeleteKey::new(tree.key(&staged))]).await;
        }
    }
}
