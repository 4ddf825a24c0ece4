//! What a sync is asked to do. Every default lives here.

use std::fmt;
use std::sync::Arc;

use crate::compare::Compare;
use crate::entry::Entry;
use crate::event::Observe;
use crate::filter::Filter;
use crate::journal::Journal;
use crate::manifest::{Manifest, Row};
use crate::plan::{Guards, SkipReason};
use crate::store::{Budget, Pace};
use crate::tree::Tree;

/// Options of a sync.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SyncOptions {
    /// How two files of one name are compared. Default: [`Compare::Auto`].
    pub compare: Compare,
    /// What happens to what only the target has. Default: [`Deletion::Keep`].
    pub deletion: Deletion,
    /// What refuses a plan that deletes too much. Default: half of a target of 20 or more files; an empty source
    /// deletes nothing.
    pub guards: Guards,
    /// Which of what only the target has may be deleted at all. Default: everything.
    pub deletable: Deletable,
    /// Which of what the target has may be overwritten. Default: everything.
    pub overwritable: Overwritable,
    /// Which keys exist for the run. Default: all.
    pub filter: Filter,
    /// Requests and bytes in flight. Default: 64 requests, 128 MiB.
    pub budget: Budget,
    /// Who is told what happens. Default: nobody.
    pub observer: Observe,
    /// What remembers equal pairs between runs. Default: nothing.
    pub manifest: Option<Arc<dyn Manifest>>,
    /// What remembers unfinished puts between runs. Default: nothing; a put that is given up leaves nothing behind.
    pub journal: Option<Arc<dyn Journal>>,
    /// Where what would be overwritten or deleted is copied first. Default: nowhere.
    pub backup: Option<Tree>,
    /// What is asked of a copy that no checksum covered. Default: [`Verify::WhereKnown`].
    pub verify: Verify,
    /// How fast content is read. Default: as fast as it goes.
    pub pace: Option<Pace>,
    /// What happens where a side is not as the plan saw it. Default: [`Preconditions::Usual`].
    pub preconditions: Preconditions,
}

/// What happens where a side is not as the plan saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preconditions {
    /// A source that changes while it is read is read again once it is quiet. A target that changed since it was listed
    /// is left alone, where its store can tell at the moment of writing.
    #[default]
    Usual,
    /// Both sides are looked at before each action, and whatever is not as the plan saw it is left alone: for a plan
    /// that was made some time ago. This costs up to two requests an action.
    Strict,
}

/// What is asked of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Its length, and every checksum that the stores know. What none covers is counted in
    /// [`Report::unverified`](crate::Report::unverified).
    #[default]
    WhereKnown,
    /// A copy that no checksum covers is a failure, although it was made.
    Require,
}

/// What happens to what only the target has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletion {
    /// It stays.
    #[default]
    Keep,
    /// It is deleted, after everything was copied, if nothing failed.
    ///
    /// The plan is then made whole before anything is done, so that a refusal leaves both sides as they were.
    Mirror,
}

/// Says of an entry that only the target has, and of what the manifest remembers of it, whether it may be deleted.
type MayDelete = dyn Fn(&Entry, Option<&Row>) -> bool + Send + Sync;

/// Which of what only the target has may be deleted, where deleting is asked for at all. What may not, stays and is
/// counted as extra.
#[derive(Clone, Default)]
pub struct Deletable(Option<Arc<MayDelete>>);

impl Deletable {
    /// Allows what `may_delete` allows.
    pub fn when(may_delete: impl Fn(&Entry, Option<&Row>) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(may_delete)))
    }

    /// Allows only what the manifest knows to have been equal on both sides, and what has not changed in the target since:
    /// never what somebody else stored.
    pub fn known() -> Self {
        Self::when(|target, row| row.is_some_and(|row| target.fingerprint.as_ref() == Some(&row.target)))
    }

    pub(crate) fn allows(&self, target: &Entry, row: Option<&Row>) -> bool {
        self.0.as_ref().is_none_or(|may_delete| may_delete(target, row))
    }
}

impl fmt::Debug for Deletable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Deletable(some)" } else { "Deletable(all)" })
    }
}

/// Says of two entries of one key that differ, and of what the manifest remembers of it, why the target's must stay.
type Objection = dyn Fn(&Entry, &Entry, Option<&Row>) -> Option<SkipReason> + Send + Sync;

/// Which of what the target has may be overwritten.
#[derive(Clone, Default)]
pub struct Overwritable(Option<Arc<Objection>>);

impl Overwritable {
    /// Asks `objection` of the source, the target and the row, before the target is overwritten.
    pub fn unless(
        objection: impl Fn(&Entry, &Entry, Option<&Row>) -> Option<SkipReason> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(objection)))
    }

    /// Leaves alone what changed in the target since both sides were last known equal: it is newer, or, where the source
    /// changed too, a conflict. Of what the manifest does not know, the source's is taken.
    pub fn unless_newer() -> Self {
        Self::unless(|source, target, row| {
            let row = row.filter(|row| target.fingerprint.as_ref() != Some(&row.target))?;
            let source_is_known = source.fingerprint.as_ref() == Some(&row.source);
            Some(if source_is_known { SkipReason::Newer } else { SkipReason::Conflict })
        })
    }

    pub(crate) fn objection(&self, source: &Entry, target: &Entry, row: Option<&Row>) -> Option<SkipReason> {
        self.0.as_ref()?(source, target, row)
    }
}

impl fmt::Debug for Overwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Overwritable(some)" } else { "Overwritable(all)" })
    }
}

impl SyncOptions {
    /// Sets how files are compared.
    #[must_use]
    pub fn with_compare(mut self, compare: Compare) -> Self {
        self.compare = compare;
        self
    }

    /// Sets what happens to what only the target has.
    #[must_use]
    pub fn with_deletion(mut self, deletion: Deletion) -> Self {
        self.deletion = deletion;
        self
    }

    /// Sets what refuses a plan.
    #[must_use]
    pub fn with_guards(mut self, guards: Guards) -> Self {
        self.guards = guards;
        self
    }

    /// Sets which of what only the target has may be deleted.
    #[must_use]
    pub fn with_deletable(mut self, deletable: Deletable) -> Self {
        self.deletable = deletable;
        self
    }

    /// Sets which of what the target has may be overwritten.
    #[must_use]
    pub fn with_overwritable(mut self, overwritable: Overwritable) -> Self {
        self.overwritable = overwritable;
        self
    }

    /// Sets how fast content is read.
    #[must_use]
    pub fn with_pace(mut self, pace: Option<Pace>) -> Self {
        self.pace = pace;
        self
    }

    /// Sets which keys exist for the run.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets what remembers equal pairs between runs.
    #[must_use]
    pub fn with_manifest(mut self, manifest: Arc<dyn Manifest>) -> Self {
        self.manifest = Some(manifest);
        self
    }

    /// Sets what remembers unfinished puts between runs.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Sets where what would be overwritten or deleted is copied first.
    #[must_use]
    pub fn with_backup(mut self, backup: Option<Tree>) -> Self {
        self.backup = backup;
        self
    }

    /// Sets what is asked of a copy that no checksum covered.
    #[must_use]
    pub fn with_verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// Sets what happens where a side is not as the plan saw it.
    #[must_use]
    pub fn with_preconditions(mut self, preconditions: Preconditions) -> Self {
        self.preconditions = preconditions;
        self
    }

    /// Sets how much may be in flight.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets who is told what happens.
    #[must_use]
    pub fn with_observer(mut self, observer: impl crate::event::Observer) -> Self {
        self.observer = Observe::new(observer);
        self
    }
}
