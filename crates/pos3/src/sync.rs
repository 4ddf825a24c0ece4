//! The main entry point: a sync between two locations.
//!
//! The engine accepts any two trees. This module checks the pair first, before anything is changed: a sync of a
//! directory into itself, or from a single file, could lose data.

use pos3_core::{
    CancellationToken, Capabilities, Deletion, Entries, ErrorKind, Explanation, Filter, Key, Kind, ListOptions,
    Operation, Plan, Preconditions, Report, Stop, SyncOptions, Usage,
};

use crate::error::Error;
use crate::ignore_files::IgnoreFiles;
use crate::location::Location;
use crate::plan_file::PlanHeader;
use crate::policy::Policy;
use crate::registry::{Registry, Role};
use crate::resolve::{OpenLocation, Resolved};
use crate::state::SyncState;
use crate::transfer::{Transfer, found_nothing, planned_nothing};

/// A sync between two locations that has been opened and checked, but not started.
#[derive(Debug)]
pub struct PreparedSync {
    from: OpenLocation,
    to: OpenLocation,
    transfer: Transfer,
    caution: Caution,
    absence: Absence,
    target_absence: Absence,
    backup: Option<OpenLocation>,
}

/// How a sync treats a side whose prefix matches no key. A misspelt prefix looks the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    /// As an error.
    Refused,
    /// As an empty directory.
    Allowed,
}

/// When a run checks whether its source is a single object or does not exist. A plan changes nothing, so it always
/// checks afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caution {
    /// Before the run, because an empty source could delete everything in the target.
    Before,
    /// After the run, and only if the listing was empty: nothing can have been deleted, and a normal sync needs no
    /// extra request.
    After,
}

/// Makes `to` like `from` and returns the report.
///
/// # Errors
///
/// Returns an error if the sync cannot start. Later failures are in the report.
pub async fn sync(registry: &Registry, from: &Location, to: &Location, options: SyncOptions) -> Result<Report, Error> {
    PreparedSync::open(registry, from, to, options).await?.run().await
}

impl PreparedSync {
    /// Opens both locations as directories and checks that they can be synced.
    ///
    /// # Errors
    ///
    /// Returns an error if a scheme or profile is unknown, if settings are missing, if the source does not exist or is
    /// a single file, if the target is a file, or if the locations overlap.
    pub async fn open(
        registry: &Registry,
        from: &Location,
        to: &Location,
        options: SyncOptions,
    ) -> Result<Self, Error> {
        let opened_from = registry.open(from, Role::Source).await?;
        let source = opened_from.directory()?;
        let opened_to = registry.open(to, Role::Target).await?;
        let target = opened_to.directory()?;
        refuse_overlap(registry, from, to)?;
        let may_empty = options.deletion == Deletion::Extra && options.guards.allow_empty;
        Ok(Self {
            from: opened_from,
            to: opened_to,
            absence: Absence::of(options.guards.allow_empty),
            target_absence: Absence::Allowed,
            backup: None,
            transfer: Transfer::new(source, target, options).with_source_name(from.to_string()),
            caution: if may_empty { Caution::Before } else { Caution::After },
        })
    }

    /// Opens the locations of a plan file, to [execute](Self::execute) the plan. The filter is that of the plan.
    ///
    /// # Errors
    ///
    /// Returns an error as [`open`](Self::open) does, and if a location is now on another server than the plan was made
    /// with.
    pub async fn of_plan(registry: &Registry, header: &PlanHeader, options: SyncOptions) -> Result<Self, Error> {
        header.check_servers(registry)?;
        let options = options.with_filter(header.filter.clone());
        Self::open(registry, &header.source, &header.target, options).await
    }

    /// Makes the sync stop when `cancel` is cancelled; see [`SyncJob::with_cancel`](pos3_core::SyncJob::with_cancel).
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.transfer = self.transfer.with_cancel(cancel);
        self
    }

    /// Sets whether a source without any key is treated as an empty directory. Otherwise it is an error, because a
    /// misspelt prefix would look like success. Default: whether the guards [allow an empty source](crate::Guards).
    /// This applies only to prefixes: an empty bucket and an empty directory that exists are always accepted.
    #[must_use]
    pub fn with_missing_source(mut self, allowed: bool) -> Self {
        self.absence = Absence::of(allowed);
        self
    }

    /// Sets whether a plan treats a target that does not exist, or a prefix without any key, as an empty directory.
    /// Default: true, because a sync creates its target. Set it to false for a comparison, which needs an existing
    /// target.
    #[must_use]
    pub fn with_missing_target(mut self, allowed: bool) -> Self {
        self.target_absence = Absence::of(allowed);
        self
    }

    /// Makes the sync record which keys are equal and which transfers are unfinished, and use the records of earlier
    /// runs between these two locations. A plan reads the sync state and does not change it.
    ///
    /// If the state is [missing](SyncState::Missing) or [cannot be used](SyncState::Unusable), the sync compares as
    /// with an empty one: equal times are not evidence of equal content if a digest can decide. So pass such a state,
    /// too. If no state is set, equal times are sufficient evidence, and a plan could miss differences that the sync
    /// finds.
    #[must_use]
    pub fn with_state(mut self, state: impl Into<SyncState>) -> Self {
        self.transfer = self.transfer.with_state(&state.into());
        self
    }

    /// Sets whose data wins if both sides differ. Default: [`Policy::SourceWins`]. All other policies need the
    /// [sync state](Self::with_state) of earlier runs.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.transfer = self.transfer.map_options(|options| policy.add_to(options));
        self
    }

    /// Makes the sync copy each file to `backup`, under the same relative key, before it overwrites or deletes the
    /// file. An older backup is never replaced: if its name is taken, the name of the new backup gets the start time of
    /// the run.
    ///
    /// # Errors
    ///
    /// Returns an error if the location cannot be opened, or if it overlaps the source or the target, because the
    /// backups would be synced as well. A backup location inside one side is allowed if the filter excludes it.
    pub async fn with_backup(mut self, registry: &Registry, backup: &Location) -> Result<Self, Error> {
        let opened = registry.open(backup, Role::Target).await?;
        let tree = opened.directory().map_err(|error| match error {
            Error::TargetIsFile { location } => Error::BackupIsFile { location },
            error => error,
        })?;
        let kept = registry.place(backup)?;
        for side in [self.from.location(), self.to.location()] {
            let place = registry.place(side)?;
            let inside = kept.inside(&place).filter(|relative| !relative.is_empty());
            let is_left_out = inside.is_some_and(|relative| self.transfer.options().filter.prunes(&relative));
            if !is_left_out && kept.overlaps(&place) {
                return Err(Error::BackupOverlaps { backup: backup.to_string(), side: side.to_string() });
            }
        }
        self.transfer = self.transfer.with_backup(tree);
        self.backup = Some(opened);
        Ok(self)
    }

    /// Also applies the ignore files of both sides, such as `.gitignore`: files with one of these names, in every
    /// directory. A key is left alone on both sides if the rules of either side ignore it. The files are read here, with
    /// the listing of a remote side, which is not requested again.
    ///
    /// An ignore file is synced like any other file, unless a rule ignores it. One that only the target has is not
    /// deleted, because it protects files of the target.
    ///
    /// # Errors
    ///
    /// Returns an error if a side cannot be listed or an ignore file cannot be used.
    pub async fn with_ignore_files<N: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, Error> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if !names.is_empty() {
            self.transfer = self.transfer.with_ignore_files(&IgnoreFiles::new(names)).await?;
        }
        Ok(self)
    }

    /// Returns the filter of the sync, with the rules of its ignore files.
    pub fn filter(&self) -> &Filter {
        &self.transfer.options().filter
    }

    /// Returns the capabilities of the target's store.
    pub fn target_capabilities(&self) -> Capabilities {
        self.to.store().capabilities()
    }

    /// Returns the number of requests that all stores of this sync have sent so far, by kind.
    pub fn usage(&self) -> Usage {
        self.transfer.usage()
    }

    /// Makes the plan and changes nothing. If planning stopped early, the inner result is the reason, as in a report.
    ///
    /// # Errors
    ///
    /// Returns an error if the source turns out to be a single object or does not exist, or if the backup location cannot be
    /// listed, for example because its bucket does not exist.
    pub async fn plan(&self) -> Result<Result<Plan, Stop>, Error> {
        let needs_target = self.target_absence == Absence::Refused;
        if needs_target && self.to.location().path().is_some() {
            // For a path, this costs no request.
            self.look_at_target().await?;
        }
        self.look_at_backup().await?;
        let plan = self.transfer.plan().await;
        if planned_nothing(&plan) {
            self.look_at_source().await?;
        }
        if needs_target && plan.as_ref().is_ok_and(|plan| plan.tally.target == 0) {
            self.look_at_target().await?;
        }
        Ok(plan)
    }

    /// Plans and executes the sync, and returns the report.
    ///
    /// # Errors
    ///
    /// Returns an error if the source turns out to be a single object or does not exist, or if the backup location cannot be
    /// listed, for example because its bucket does not exist.
    pub async fn run(&self) -> Result<Report, Error> {
        let before = self.usage();
        self.look_at_backup().await?;
        if self.caution == Caution::Before {
            self.look_at_source().await?;
        }
        let mut report = self.transfer.run(None).await;
        if found_nothing(&report) && self.caution == Caution::After {
            self.look_at_source().await?;
        }
        report.usage = self.usage().since(&before);
        Ok(report)
    }

    /// Executes an existing plan and returns the report. If time has passed since the plan was made, set
    /// [`Preconditions::Strict`](crate::Preconditions::Strict): then a plan with deletes is executed only if the source
    /// still contains a file, because the source's disk may have been unmounted since.
    ///
    /// # Errors
    ///
    /// Returns an error if the backup location cannot be listed. With strict preconditions and a plan that has deletes,
    /// also returns an error if the source does not exist, is a single object, cannot be listed, or contains no file
    /// that the filter admits. If a missing source is [allowed](Self::with_missing_source), a source that does not
    /// exist or has no file is accepted. After each of these errors, nothing has been changed.
    pub async fn execute(&self, plan: Plan) -> Result<Report, Error> {
        let before = self.usage();
        self.look_at_backup().await?;
        if self.transfer.options().preconditions == Preconditions::Strict {
            if plan.counts().deletes > 0 {
                self.look_for_source_file().await?;
            } else if !plan.deletes().is_empty() {
                self.look_at_source().await?;
            }
        }
        let mut report = self.transfer.execute(plan).await;
        report.usage = self.usage().since(&before);
        Ok(report)
    }

    /// Explains what a sync would do with one relative key, and why. A side that cannot be listed is the inner result, as
    /// with [`plan`](Self::plan).
    ///
    /// # Errors
    ///
    /// Returns an error if the source is one object or does not exist.
    pub async fn explain(&self, key: &Key) -> Result<Result<Explanation, Stop>, Error> {
        let explained = self.transfer.explain(key).await;
        if explained.as_ref().is_ok_and(|explanation| explanation.source.is_none()) {
            self.look_at_source().await?;
        }
        Ok(explained)
    }

    /// Checks that some key exists below the source's prefix, even if it is excluded or the marker of a directory.
    ///
    /// # Errors
    ///
    /// Returns an error if the source is a single object, or if it does not exist and that is not
    /// [allowed](Self::with_missing_source). A source with wildcards that does not exist is always an error, because
    /// the user did not mean an empty directory.
    pub async fn look_at_source(&self) -> Result<(), Error> {
        let location = self.from.location();
        match resolved(&self.from).await? {
            Resolved::Prefix => Ok(()),
            Resolved::Object(_) => Err(Error::SourceIsFile { location: location.to_string() }),
            Resolved::Absent if self.absence == Absence::Allowed && location.wildcards().is_none() => Ok(()),
            Resolved::Absent => Err(Error::NoSource { location: location.to_string() }),
        }
    }

    /// Checks that the backup location can be listed, which shows for example that its bucket exists. Otherwise a run would
    /// copy new files before the first overwrite or delete shows the problem. Credentials that may write and not list are
    /// accepted.
    async fn look_at_backup(&self) -> Result<(), Error> {
        let Some(backup) = &self.backup else { return Ok(()) };
        match backup.has_keys().await {
            Err(Error::Store { source, .. }) if source.kind() == ErrorKind::Denied => Ok(()),
            listed => listed.map(drop),
        }
    }

    /// Checks that the target directory exists, or that some key exists below the target's prefix.
    async fn look_at_target(&self) -> Result<(), Error> {
        let location = || self.to.location().to_string();
        match resolved(&self.to).await? {
            Resolved::Prefix => Ok(()),
            Resolved::Object(_) => Err(Error::TargetIsFile { location: location() }),
            Resolved::Absent => Err(Error::NoTarget { location: location() }),
        }
    }

    /// Checks that the source still contains a file that the filter admits. A source without any key is handled as
    /// before a run.
    async fn look_for_source_file(&self) -> Result<(), Error> {
        if self.absence == Absence::Allowed {
            return self.look_at_source().await;
        }
        let mut entries = Entries::open(&self.from.directory()?, ListOptions::default());
        let failed = |source| Error::Store { location: self.from.location().to_string(), source };
        let mut is_empty = true;
        while let Some((key, entry)) = entries.next().await.map_err(failed)? {
            if entry.kind == Kind::File && self.transfer.options().filter.admits(key.as_str()) {
                return Ok(());
            }
            is_empty = false;
        }
        if is_empty {
            self.look_at_source().await?;
        }
        Err(Error::NoSourceFile { location: self.from.location().to_string() })
    }
}

/// Resolves one side of a sync. If its listing fails, the sync reports that error when it reads the listing itself.
async fn resolved(side: &OpenLocation) -> Result<Resolved, Error> {
    match side.resolve_directory().await {
        Err(Error::Store { source, .. }) if source.operation() == Operation::List => Ok(Resolved::Prefix),
        resolved => resolved,
    }
}

impl Absence {
    fn of(is_allowed: bool) -> Self {
        if is_allowed { Self::Allowed } else { Self::Refused }
    }
}

pub(crate) fn refuse_overlap(registry: &Registry, from: &Location, to: &Location) -> Result<(), Error> {
    if registry.place(from)?.overlaps(&registry.place(to)?) {
        return Err(Error::Overlap { from: from.to_string(), to: to.to_string() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
