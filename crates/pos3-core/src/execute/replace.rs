//! Copies that need the path of something that is deleted.
//!
//! The new content is stored first, under a temporary name beside the entry that it replaces. If that fails, nothing is
//! deleted. If the process dies in between, the old content, the new content or both exist.

use std::future::ready;
use std::pin::pin;
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use futures::{Stream, StreamExt};

use super::copy::Copy;
use super::delete::Outcome;
use super::{Course, Executor, failure};
use crate::action::{Action, SkipReason};
use crate::error::{ErrorKind, Operation};
use crate::key::{Key, STAGED_PREFIX};
use crate::plan::Plan;
use crate::report::{FailedAction, FailureKind, Stop};
use crate::spill::{SpillError, streamed};
use crate::store::DeleteKey;

/// The names for the content that one run stages. All of them are [staged](Key::is_staged).
#[derive(Debug)]
pub(super) struct Names(String);

impl Default for Names {
    fn default() -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Self(format!("{:x}-{time:016x}", process::id()))
    }
}

impl Names {
    /// Returns the temporary name for a replacement. It is in the directory of the entry to replace, so that it is on the
    /// same file system. A directory has none, because it is created at its path once that is free.
    fn of(&self, number: usize, action: &Action) -> Option<Key> {
        let Action::Replace { source, obstacle } = action else { return None };
        let parent = obstacle.as_str().trim_end_matches('/').rsplit_once('/');
        let parent = parent.map(|(parent, _)| format!("{parent}/")).unwrap_or_default();
        source.is_file().then(|| Key::from(format!("{parent}{STAGED_PREFIX}{}.{number}", self.0)))
    }
}

/// A replacement of a plan, and the name of its content until the path is free.
struct Replacement {
    copy: Copy,
    staged: Option<Key>,
    obstacle: Option<Key>,
}

impl Executor {
    fn replacements(&self, plan: &Plan) -> impl Stream<Item = Result<Replacement, SpillError>> + use<> {
        let run = self.run.clone();
        let replacements = plan.replacements().iter().enumerate().filter_map(move |(number, action)| match action {
            Ok(action) => {
                let (staged, obstacle) = (run.staged.of(number, &action), action.obstacle().cloned());
                Copy::of(&run, action).map(|copy| Ok(Replacement { copy, staged, obstacle }))
            }
            Err(error) => Some(Err(error)),
        });
        streamed(replacements)
    }

    /// Stores the content of all replacements, each under its temporary name. If one of them cannot be stored for any
    /// reason, nothing may be deleted.
    pub(super) async fn stage(&self, plan: &Plan, course: &mut Course<'_>) {
        let mut begun_staging = 0;
        let before = (course.ledger.report.failed.len(), course.ledger.report.skipped.len());
        let mut replacements = pin!(self.replacements(plan));
        while let Some(replacement) = replacements.next().await {
            let begun = match replacement {
                Ok(Replacement { copy, staged: Some(name), .. }) => {
                    begun_staging += 1;
                    self.begin(course, copy.source.size, |slot| copy.stage(name, slot)).await
                }
                Ok(Replacement { copy, staged: None, .. }) => {
                    let look = async {
                        self.look_at_source(&copy.source.key, course).await;
                        Ok(())
                    };
                    self.unless_cancelled(look).await
                }
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
        course.ledger.note_unstaged(before);
    }

    /// Reports the replacements of a run that deletes nothing. If it ended early, the report only has their number.
    pub(super) fn report_withheld(&self, plan: &Plan, course: &mut Course<'_>) {
        for action in plan.replacements().iter() {
            if course.ledger.report.stopped.is_some() {
                return;
            }
            match action.map(Action::into_withheld) {
                Ok(Action::Skip { key, why }) if !course.ledger.unstaged.contains(&key) => {
                    course.ledger.skip(key, why);
                }
                Ok(_) => {}
                Err(error) => course.ledger.report.stopped = Some(Stop::Spill(error)),
            }
        }
    }

    /// Checks that a directory that is to replace an entry still exists in the source.
    async fn look_at_source(&self, key: &Key, course: &mut Course<'_>) {
        match self.run.source.confirm(key, Operation::Read).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                course.ledger.skip(key.clone(), SkipReason::Vanished);
            }
            Err(error) => course.ledger.fail(failure(key, FailedAction::Copy, FailureKind::Error, error)),
        }
    }

    /// Gives the staged content its final names. After a delete that failed or was withheld, or if another program has
    /// taken a path, this is not possible for all of it. Returns whether it was.
    pub(super) async fn place(&self, plan: &Plan, deleted: Outcome, course: &mut Course<'_>) -> Outcome {
        let mut placed = deleted;
        let mut replacements = pin!(self.replacements(plan));
        while let Some(replacement) = replacements.next().await {
            let Replacement { copy, staged, obstacle } = match replacement {
                Ok(replacement) => replacement,
                Err(error) => {
                    course.ledger.report.stopped.get_or_insert(Stop::Spill(error));
                    return Outcome::Partly;
                }
            };
            let slot = self.run.options.budget.slot().await;
            let copied = match (staged, deleted) {
                (Some(staged), _) => match copy.place(&staged, slot).await {
                    Ok(copied) => copied,
                    Err(_) if deleted == Outcome::Partly => {
                        course.ledger.withhold(&copy.source.key, obstacle);
                        continue;
                    }
                    Err(error) => {
                        placed = Outcome::Partly;
                        copy.not_made(error)
                    }
                },
                (None, Outcome::Whole) => copy.run(slot).await,
                (None, Outcome::Partly) => {
                    course.ledger.withhold(&copy.source.key, obstacle);
                    continue;
                }
            };
            course.ledger.copy_ended(Ok(copied));
        }
        placed
    }

    /// Removes the staged content that did not get its final name. The source still has it.
    pub(super) async fn unstage(&self, plan: &Plan) {
        let tree = &self.run.target;
        let size = tree.store().capabilities().delete_batch.max(1);
        let staged =
            self.replacements(plan).filter_map(|replacement| ready(replacement.ok().and_then(|one| one.staged)));
        let mut batches = pin!(staged.map(|name| DeleteKey::new(tree.key(&name))).chunks(size));
        while let Some(batch) = batches.next().await {
            // If this fails, the next run with deletes removes it.
            let _ignored = tree.store().delete(&batch).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;

    #[test]
    fn every_name_for_staged_content_is_reserved_for_it() {
        for (obstacle, parent) in [("a", ""), ("a/", ""), ("d/sub/a", "d/sub/"), ("d/sub/a/", "d/sub/")] {
            let action = Action::Replace { source: Entry::file("ignored", 1), obstacle: Key::from(obstacle) };
            for number in [0, 9, 10, usize::MAX] {
                let name = Names::default().of(number, &action).unwrap();
                assert!(name.is_staged() && name.as_str().starts_with(parent), "{name}");
            }
        }
    }
}
