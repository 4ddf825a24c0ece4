//! One copy from the source's tree to the target's.

use std::sync::Arc;
use std::time::Duration;

use super::starting::Starting;
use super::{Run, backup, failure, precondition, spelling};
use crate::action::{Action, SkipReason};
use crate::entry::{Digest, Entry, Kind};
use crate::error::{ErrorKind, Operation, Reach, StoreError};
use crate::event::Event;
use crate::hash::comparable;
use crate::key::Key;
use crate::manifest::{Row, RowChange};
use crate::options::{Preconditions, Verify};
use crate::report::{FailedAction, Failure, FailureKind};
use crate::side::Side;
use crate::store::{
    BEHIND_LINK, CONTRADICTED, Expect, OTHER_DIRECTORY, PutOptions, PutWitness, Result, Seen, Slot, Stored,
};

/// The pauses before pos3 reads a source file again that changed while it was read.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];

/// The number of times that damaged content is transferred again.
const DAMAGED: usize = 2;

/// A copy or a replacement, with the data that it needs to run as a separate task.
pub(super) struct Copy {
    run: Arc<Run>,
    action: Action,
    pub(super) source: Entry,
    target: Option<Entry>,
}

/// The result of a copy.
pub(super) enum Copied {
    /// The target has the content.
    Done { size: u64, verified: bool },
    /// The target has the content under a name of its own, because something else still has its path.
    Staged { verified: bool },
    /// It was skipped, because the source's entry is gone or archived.
    Skipped(Key, SkipReason),
    /// The copy could not be made or verified.
    Failed(Failure),
}

/// The stored entry and the source entry it was made from.
struct Made {
    source: Entry,
    target: Entry,
    /// A digest of the content, if a store reported one.
    digest: Option<Digest>,
    /// The MD5 of the content, if the target's store computed it in order to send the content.
    md5: Option<Digest>,
    verified: bool,
}

impl Copy {
    /// Returns the copy that an action makes, or `None` if it makes none.
    pub(super) fn of(run: &Arc<Run>, action: Action) -> Option<Self> {
        let (source, target) = match &action {
            Action::Copy { source, target, .. } => (source.clone(), target.clone()),
            Action::Replace { source, .. } => (source.clone(), None),
            Action::Delete { .. } | Action::Skip { .. } => return None,
        };
        Some(Self { run: run.clone(), action, source, target })
    }

    /// Makes the copy while it holds the slot. Fails if the target's entry no longer matches the plan.
    pub(super) async fn run(self, mut slot: Slot) -> Copied {
        self.run.options.observer.event(&Event::Started(&self.action));
        match self.copy(&self.source, self.target.as_ref(), &mut slot).await {
            Ok(stored) => self.done(stored, slot).await,
            Err(error) => self.not_made(self.explained(error).await),
        }
    }

    /// Stores the content of a replacement under a temporary name, while the entry that it replaces still exists.
    pub(super) async fn stage(self, staged: Key, _slot: Slot) -> Copied {
        self.run.options.observer.event(&Event::Started(&self.action));
        match self.put_staged(&self.source, &staged).await {
            Ok(stored) if !stored.verified && self.run.options.verify == Verify::Require => {
                self.failed(FailureKind::Unverified, unverified(&self.source.key))
            }
            Ok(stored) => Copied::Staged { verified: stored.verified },
            Err(error) => self.not_made(error),
        }
    }

    /// Gives staged content its final name, once the entry that it replaces is gone.
    pub(super) async fn place(&self, staged: &Key, slot: Slot) -> Result<Copied> {
        let (tree, source) = (&self.run.target, &self.source);
        let target = tree.store().rename(&tree.key(staged), &tree.key(&source.key)).await?;
        // Staging counted whether it was verified.
        Ok(self.done(Made { source: source.clone(), target, digest: None, md5: None, verified: true }, slot).await)
    }

    async fn done(&self, stored: Made, slot: Slot) -> Copied {
        let row = if self.run.recorder.is_some() { self.row(&stored).await } else { None };
        drop(slot);
        if !stored.verified && self.run.options.verify == Verify::Require {
            return self.failed(FailureKind::Unverified, unverified(&stored.source.key));
        }
        if let (Some(recorder), Some(row)) = (&self.run.recorder, row) {
            recorder.note(RowChange::Equal(row)).await;
        }
        self.run.first.get_or_init(|| stored.source.clone());
        self.run.options.observer.event(&Event::Done(&self.made(&stored.source)));
        Copied::Done { size: stored.source.size, verified: stored.verified }
    }

    /// Returns the action with the source that was stored, which may have changed since the plan.
    fn made(&self, stored: &Entry) -> Action {
        let mut action = self.action.clone();
        if let Action::Copy { source, .. } | Action::Replace { source, .. } = &mut action {
            source.clone_from(stored);
        }
        action
    }

    /// Returns the result of a copy that failed.
    pub(super) fn not_made(&self, error: StoreError) -> Copied {
        let key = || self.source.key.clone();
        match error {
            error if has_vanished(&error) => Copied::Skipped(key(), SkipReason::Vanished),
            error if is_archived(&error) => Copied::Skipped(key(), SkipReason::Archived(self.run.options.archived)),
            error => self.failed(kind_of(&error), error),
        }
    }

    /// Returns the error, or a more exact one if the target was found to have the key only in another spelling: then no
    /// other process has changed the target, and the next run would fail in the same way.
    async fn explained(&self, error: StoreError) -> StoreError {
        let (tree, key) = (&self.run.target, &self.source.key);
        if self.target.is_some() || kind_of(&error) != FailureKind::Stale(Side::Target) {
            return error;
        }
        let Ok(found) = tree.look_up(key, Operation::LookUp).await else { return error };
        match spelling::other(tree, &found).await {
            Ok(Some(other)) => spelling::refused(key, &other),
            Ok(None) | Err(_) => error,
        }
    }

    /// Returns the manifest row of a copy. If a later run will have to know whether a file still has this content, the row
    /// has a digest of it that does not depend on the store. The file may have to be read once more for that.
    async fn row(&self, stored: &Made) -> Option<Row> {
        let row = Row { digest: stored.digest, ..Row::of(&stored.source, &stored.target)? };
        if !self.run.options.overwritable.needs_evidence() {
            return Some(row);
        }
        if let Some(digest) = stored.md5 {
            return Some(Row { digest: Some(digest), ..row });
        }
        let file = match (self.run.source.is_local(), self.run.target.is_local()) {
            (true, _) => self.run.source.content(&stored.source),
            (false, true) => {
                self.run.target.content(&Entry { key: stored.source.key.clone(), ..stored.target.clone() })
            }
            (false, false) => return Some(row),
        };
        Some(Row { digest: comparable(file).await, ..row })
    }

    fn failed(&self, kind: FailureKind, error: StoreError) -> Copied {
        let failure = failure(&self.source.key, FailedAction::Copy, kind, error);
        self.run.options.observer.event(&Event::Failed(&self.action, &failure));
        Copied::Failed(failure)
    }

    async fn copy(&self, source: &Entry, target: Option<&Entry>, slot: &mut Slot) -> Result<Made> {
        let Run { options, target: tree, .. } = &*self.run;
        if options.preconditions == Preconditions::Strict {
            precondition::hold(&self.run.source, source, Operation::LookUp).await?;
            precondition::hold_or_absent(tree, &source.key, target).await?;
        }
        let identified = match target {
            Some(target) => Some(precondition::identified(tree, target).await?),
            None => None,
        };
        let target = identified.as_ref();
        if let Some(target) = target {
            backup::keep(&self.run, target).await?;
        }
        let pauses: &[Duration] = if options.preconditions == Preconditions::Strict { &[] } else { &PAUSES };
        let mut source = source.clone();
        let (mut pauses, mut damaged, mut is_listed_as_before) = (pauses.iter(), 0, false);
        loop {
            let error = match self.put(&source, target, &source.key).await {
                Ok(stored) => return Ok(stored),
                Err(error) => error,
            };
            if kind_of(&error) == FailureKind::Changed {
                let Some(pause) = pauses.next() else {
                    return Err(if is_listed_as_before { error.with_code(CONTRADICTED) } else { error });
                };
                slot.pause(&options.budget, *pause).await;
                let found = self.run.source.confirm(&source.key, Operation::Read).await?;
                is_listed_as_before = Seen::of(&source).is(&found);
                source = found;
            } else if is_worth_a_repeat(&error) && damaged < DAMAGED {
                damaged += 1;
            } else {
                return Err(error);
            }
        }
    }

    /// Stores the content for a replacement, whose source must still be what the plan saw.
    async fn put_staged(&self, source: &Entry, staged: &Key) -> Result<Made> {
        if self.run.options.preconditions == Preconditions::Strict {
            precondition::hold(&self.run.source, source, Operation::LookUp).await?;
        }
        let mut damaged = 0;
        loop {
            match self.put(source, None, staged).await {
                Err(error) if is_worth_a_repeat(&error) && damaged < DAMAGED => damaged += 1,
                stored => return stored,
            }
        }
    }

    async fn put(&self, source: &Entry, target: Option<&Entry>, name: &Key) -> Result<Made> {
        let Run { source: from, target: to, options, .. } = &*self.run;
        let observer = options.observer.clone();
        let content = from.content(source).with_pace(options.pace.clone());
        let content = content.with_meter(Arc::new(move |bytes| observer.event(&Event::Moved(bytes))));
        // Nothing resumes under the name of staged content.
        let journal = options.journal.clone().filter(|_| *name == source.key);
        let put = PutOptions::default()
            .with_expect(expectation(target))
            .with_modified(source.modified)
            .with_content_type_resolver(options.content_type.clone())
            .with_journal(journal)
            .with_budget(options.budget.clone());
        let starting = self.starting(source, name);
        if let Some(starting) = &starting {
            starting.record_listed().await;
        }
        let put = put.with_witness(starting.clone().map(|starting| starting as Arc<dyn PutWitness>));
        let stored = to.store().put(&to.key(name), content.clone(), put).await?;
        let is_read = !from.is_local() && to.is_local();
        let verified = self.is_verified(source, &stored);
        let digest = match is_read {
            // If the content was not verified, it may have another digest.
            true => content.digest().filter(|_| verified),
            false => source.digest.or(stored.entry.digest),
        };
        let md5 = starting.and_then(|starting| starting.md5());
        Ok(Made { source: source.clone(), target: stored.entry, digest, md5, verified })
    }

    /// Returns the witness that records this write before it happens, if a policy depends on which side changed.
    fn starting(&self, source: &Entry, name: &Key) -> Option<Arc<Starting>> {
        let options = &self.run.options;
        let manifest =
            options.manifest.as_ref().filter(|_| options.overwritable.needs_evidence() && *name == source.key)?;
        Starting::new(manifest.clone(), source).map(Arc::new)
    }

    /// Returns true if a checksum verified the content. Content that stayed on this machine and empty content need
    /// none.
    fn is_verified(&self, source: &Entry, stored: &Stored) -> bool {
        source.size == 0 || stored.verified || (self.run.source.is_local() && self.run.target.is_local())
    }
}

/// Returns the condition for the write: the target's entry must still match the plan.
fn expectation(target: Option<&Entry>) -> Expect {
    match target {
        None => Expect::Absent,
        Some(Entry { kind: Kind::File | Kind::Marker, fingerprint: Some(seen), .. }) => Expect::Unchanged(seen.clone()),
        Some(_) => Expect::Anything,
    }
}

/// Returns true if the content arrived damaged and only a new transfer of all of it can help. A store that has repeated
/// its requests has done all that can be done.
fn is_worth_a_repeat(error: &StoreError) -> bool {
    error.kind() == ErrorKind::Integrity && error.is_temporary() && !error.is_retried()
}

/// Returns true if the source's entry no longer exists. A missing bucket is different: it affects every key.
fn has_vanished(error: &StoreError) -> bool {
    error.kind() == ErrorKind::NotFound && error.operation() == Operation::Read && error.reach() == Reach::Key
}

/// Returns true if the source is archived although its listing did not show that.
fn is_archived(error: &StoreError) -> bool {
    error.kind() == ErrorKind::Archived && matches!(error.operation(), Operation::Read | Operation::Copy)
}

/// Returns the kind of failure for an error of a copy. The operation identifies the side: the source is looked up and
/// read, the target is written. A symbolic link in the target may have been there before: a listing that follows links
/// does not show it.
fn kind_of(error: &StoreError) -> FailureKind {
    match (error.operation(), error.kind()) {
        _ if error.code() == Some(OTHER_DIRECTORY) => FailureKind::Displaced,
        (Operation::Read, ErrorKind::Precondition) => FailureKind::Changed,
        (Operation::LookUp, ErrorKind::Precondition | ErrorKind::NotFound) => FailureKind::Stale(Side::Source),
        (Operation::Write, ErrorKind::AlreadyExists) if error.code() == Some(BEHIND_LINK) => FailureKind::Error,
        (Operation::Write, ErrorKind::Precondition | ErrorKind::AlreadyExists) => FailureKind::Stale(Side::Target),
        _ => FailureKind::Error,
    }
}

fn unverified(key: &Key) -> StoreError {
    StoreError::new(ErrorKind::Integrity, Operation::Verify)
        .with_key(key)
        .with_message("it was copied, but no checksum and no common part size can verify it")
}
