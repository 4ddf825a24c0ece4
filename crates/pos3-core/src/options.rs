//! The options of a sync and all their defaults.

mod guards;
mod policy;

use std::sync::Arc;

use crate::action::Archived;
use crate::compare::Compare;
use crate::content_type::ContentTypeResolver;
use crate::event::Observe;
use crate::filter::Filter;
use crate::journal::Journal;
use crate::manifest::Manifest;
use crate::store::{Budget, Pace};
use crate::tree::Tree;

pub use guards::{Guards, MaxDelete};
pub use policy::{ByContent, Deletable, Objection, Overwritable, PendingWrite};

/// Options of a sync.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncOptions {
    /// How two files with the same key are compared. Default: [`Compare::Auto`].
    pub compare: Compare,
    /// Whether entries that exist only in the target are deleted. Default: [`Deletion::Keep`].
    pub deletion: Deletion,
    /// Limits that refuse a plan with too many deletes. By default a plan may delete at most half of a target of 20 or
    /// more files, and an empty source deletes nothing.
    pub guards: Guards,
    /// Which of the entries that exist only in the target may be deleted. Default: all.
    pub deletable: Deletable,
    /// Which keys of the target may be written. Default: all.
    pub overwritable: Overwritable,
    /// Which keys the run includes. Default: all.
    pub filter: Filter,
    /// The limits for requests and bytes in flight. Default: 64 requests, 128 MiB.
    pub budget: Budget,
    /// The receiver of events. Default: none.
    pub observer: Observe,
    /// Stores the pairs that were equal, for later runs. Default: none.
    pub manifest: Option<Arc<dyn Manifest>>,
    /// Stores the unfinished puts, so that later runs can resume them. Default: none; an aborted put then leaves
    /// nothing behind.
    pub journal: Option<Arc<dyn Journal>>,
    /// Where entries are copied to before they are overwritten or deleted. Default: nowhere.
    pub backup: Option<Tree>,
    /// How a copy is treated if no checksum covers it. Default: [`Verify::WhereKnown`].
    pub verify: Verify,
    /// The rate limit for reading content. Default: no limit.
    pub pace: Option<Pace>,
    /// How strictly a side must still match the plan. Default: [`Preconditions::Usual`].
    pub preconditions: Preconditions,
    /// The bytes of a plan that are held in memory per kind of action. Further actions are written to a temporary file.
    /// Default: 2 MiB.
    pub plan_memory: usize,
    /// How a plan that cannot make every copy treats its deletes. Default: [`WithheldDeletes::Omitted`].
    pub withheld_deletes: WithheldDeletes,
    /// Whether a plan with deletes reports filter patterns that match no key. Default: [`UnmatchedPatterns::Reported`].
    pub unmatched_patterns: UnmatchedPatterns,
    /// Whether an upload reports names of another shape in the target. Default: [`OtherShapes::Reported`].
    pub other_shapes: OtherShapes,
    /// Whether a plan reports entries of the target that a protected entry of the source hides. Default:
    /// [`HiddenEntries::Untouched`].
    pub hidden_entries: HiddenEntries,
    /// How archived objects of the source that need to be copied are treated. Default: [`Archived::Missing`].
    pub archived: Archived,
    /// What determines the media types of uploaded files. Default: their extensions.
    pub content_type: ContentTypeResolver,
    /// Whether empty directories of the source that the target does not have are copied. Default:
    /// [`EmptyDirectories::Copied`].
    pub empty_directories: EmptyDirectories,
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
            unmatched_patterns: UnmatchedPatterns::default(),
            other_shapes: OtherShapes::default(),
            hidden_entries: HiddenEntries::default(),
            archived: Archived::default(),
            content_type: ContentTypeResolver::default(),
            empty_directories: EmptyDirectories::default(),
        }
    }
}

/// How a plan that cannot make every copy treats its deletes. No run executes them, whichever variant is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithheldDeletes {
    /// The plan counts them but omits them, so it contains exactly the actions that will be executed.
    #[default]
    Omitted,
    /// The plan contains them. This is for a comparison, which shows every difference.
    Planned,
}

/// Whether a plan with deletes reports filter patterns that match no key on either side. Such a pattern is probably
/// mistyped, and what it was meant to exclude is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnmatchedPatterns {
    /// In a warning.
    #[default]
    Reported,
    /// This is for runs whose files are still being made, such as an upload in the background.
    Ignored,
}

/// Whether an upload from a disk reports a name that is a file on one side and a directory on the other, if the run leaves
/// both in the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherShapes {
    /// The run is not clean: a later download of both fails.
    #[default]
    Reported,
    /// This is for runs that are not the last word, such as an upload in the background whose deletes come later.
    Ignored,
}

/// Whether a plan reports entries of the target at and below a protected entry of the source, such as a symbolic link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HiddenEntries {
    /// It does not: they stay as they are, and the entry of the source is reported.
    #[default]
    Untouched,
    /// It does. This is for a comparison, which must not call sides equal if it could not compare them.
    Reported,
}

/// Whether empty directories of the source that the target does not have are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyDirectories {
    /// They are. In a bucket, each becomes an empty object whose key ends in `/`.
    #[default]
    Copied,
    /// They are not.
    LeftOut,
}

/// How strictly a side must still match the plan when an action is executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preconditions {
    /// If a source file changes while it is read, pos3 reads it again once it has stopped changing. If a target entry
    /// has changed since it was listed, pos3 leaves it alone, provided that the store can check this at the moment of
    /// writing.
    #[default]
    Usual,
    /// pos3 checks both sides before each action and leaves an entry alone if it no longer matches the plan. This is
    /// for plans that were made some time ago. It takes up to two more requests per action.
    Strict,
}

/// How a copy is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Checks the length and every checksum that the stores know. Copies without a checksum are counted in
    /// [`Report::unverified`](crate::Report::unverified).
    #[default]
    WhereKnown,
    /// Treats a copy as failed if no checksum can verify it, although the copy was made.
    Require,
}

/// Whether extra entries are deleted: those that exist only in the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletion {
    /// Keeps them: nothing is deleted.
    #[default]
    Keep,
    /// Deletes extra entries after all copies, if nothing failed.
    ///
    /// The whole plan is then made before anything is changed, so a refused plan leaves both sides untouched.
    Extra,
}

impl SyncOptions {
    /// Sets how files are compared.
    #[must_use]
    pub fn with_compare(mut self, compare: Compare) -> Self {
        self.compare = compare;
        self
    }

    /// Sets whether entries that exist only in the target are deleted.
    #[must_use]
    pub fn with_deletion(mut self, deletion: Deletion) -> Self {
        self.deletion = deletion;
        self
    }

    /// Sets the limits that refuse a plan.
    #[must_use]
    pub fn with_guards(mut self, guards: Guards) -> Self {
        self.guards = guards;
        self
    }

    /// Sets which of the entries that exist only in the target may be deleted.
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

    /// Sets the rate limit for reading content.
    #[must_use]
    pub fn with_pace(mut self, pace: impl Into<Option<Pace>>) -> Self {
        self.pace = pace.into();
        self
    }

    /// Sets which keys the run includes.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets the manifest, which stores the pairs that were equal.
    #[must_use]
    pub fn with_manifest(mut self, manifest: Arc<dyn Manifest>) -> Self {
        self.manifest = Some(manifest);
        self
    }

    /// Sets the journal, which stores unfinished puts.
    #[must_use]
    pub fn with_journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    /// Sets where entries are copied to before they are overwritten or deleted.
    #[must_use]
    pub fn with_backup(mut self, backup: impl Into<Option<Tree>>) -> Self {
        self.backup = backup.into();
        self
    }

    /// Sets how a copy is treated if no checksum covers it.
    #[must_use]
    pub fn with_verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// Sets how strictly a side must still match the plan.
    #[must_use]
    pub fn with_preconditions(mut self, preconditions: Preconditions) -> Self {
        self.preconditions = preconditions;
        self
    }

    /// Sets how many bytes of a plan are held in memory per kind of action.
    #[must_use]
    pub fn with_plan_memory(mut self, bytes: usize) -> Self {
        self.plan_memory = bytes;
        self
    }

    /// Sets how a plan that cannot make every copy treats its deletes.
    #[must_use]
    pub fn with_withheld_deletes(mut self, withheld_deletes: WithheldDeletes) -> Self {
        self.withheld_deletes = withheld_deletes;
        self
    }

    /// Sets whether filter patterns that match no key are reported.
    #[must_use]
    pub fn with_unmatched_patterns(mut self, unmatched_patterns: UnmatchedPatterns) -> Self {
        self.unmatched_patterns = unmatched_patterns;
        self
    }

    /// Sets whether names of another shape in the target are reported.
    #[must_use]
    pub fn with_other_shapes(mut self, other_shapes: OtherShapes) -> Self {
        self.other_shapes = other_shapes;
        self
    }

    /// Sets whether entries of the target that a protected entry of the source hides are reported.
    #[must_use]
    pub fn with_hidden_entries(mut self, hidden_entries: HiddenEntries) -> Self {
        self.hidden_entries = hidden_entries;
        self
    }

    /// Sets how archived objects of the source are treated.
    #[must_use]
    pub fn with_archived(mut self, archived: Archived) -> Self {
        self.archived = archived;
        self
    }

    /// Sets what determines the media types of uploaded files.
    #[must_use]
    pub fn with_content_type(mut self, resolver: ContentTypeResolver) -> Self {
        self.content_type = resolver;
        self
    }

    /// Sets whether empty directories of the source are copied.
    #[must_use]
    pub fn with_empty_directories(mut self, empty_directories: EmptyDirectories) -> Self {
        self.empty_directories = empty_directories;
        self
    }

    /// Sets the limits for requests and bytes in flight.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Sets the receiver of events.
    #[must_use]
    pub fn with_observer(mut self, observer: impl crate::event::Observer) -> Self {
        self.observer = Observe::new(observer);
        self
    }
}
