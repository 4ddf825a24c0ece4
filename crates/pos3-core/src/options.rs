//! What a sync is asked to do. Every default lives here.

mod policy;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::compare::Compare;
use crate::event::Observe;
use crate::filter::Filter;
use crate::journal::Journal;
use crate::manifest::Manifest;
use crate::plan::Guards;
use crate::store::{Budget, Pace};
use crate::tree::Tree;

pub use policy::{Deletable, Overwritable, PendingWrite};

/// Options of a sync.
#[derive(Clone, Debug)]
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
    /// Which keys of the target may be written. Default: all.
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
    /// How many bytes of a plan are held in memory of each kind of action before they are written to a temporary file.
    /// Default: 2 MiB.
    pub plan_memory: usize,
    /// What becomes of deletes in a plan that cannot make every copy. Default: [`WithheldDeletes::Omitted`].
    pub withheld_deletes: WithheldDeletes,
    /// What archived objects of the source that would have to be copied are treated as. Default: [`Archived::Missing`].
    pub archived: Archived,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            compare: Compare::default(),
            deletion: Deletion::default(),
            guards: Guards::default(),
            deletable: Deletable::default(),
            overwritable: Overwritable::default(),
            filter: Filter::default(),
            budget: Budget::default(),
            observer: Observe::default(),
            manifest: None,
            journal: None,
            backup: None,
            verify: Verify::default(),
            pace: None,
            preconditions: Preconditions::default(),
            plan_memory: crate::spill::HELD,
            withheld_deletes: WithheldDeletes::default(),
            archived: Archived::default(),
        }
    }
}

/// What becomes of deletes in a plan that cannot make every copy. No run performs them, whatever is chosen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithheldDeletes {
    /// They are counted and left out: the plan is what will be done.
    #[default]
    Omitted,
    /// They are in the plan: for a comparison, which shows every difference.
    Planned,
}

/// What archived objects of the source are treated as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Archived {
    /// As missing copies: the run is not clean.
    #[default]
    Missing,
    /// As left out on purpose: they are reported, and the run is clean.
    LeftOut,
    /// As any other object: they are asked for, and refused unless they were restored meanwhile.
    Requested,
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

    /// Sets which keys of the target may be written.
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

    /// Sets how many bytes of a plan are held in memory of each kind of action.
    #[must_use]
    pub fn with_plan_memory(mut self, bytes: usize) -> Self {
        self.plan_memory = bytes;
        self
    }

    /// Sets what becomes of deletes in a plan that cannot make every copy.
    #[must_use]
    pub fn with_withheld_deletes(mut self, withheld_deletes: WithheldDeletes) -> Self {
        self.withheld_deletes = withheld_deletes;
        self
    }

    /// Sets what archived objects of the source are treated as.
    #[must_use]
    pub fn with_archived(mut self, archived: Archived) -> Self {
        self.archived = archived;
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
