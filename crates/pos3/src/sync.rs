//! The front door of the engine: one sync between two locations.
//!
//! The engine mirrors any two trees it is given. Which two may be given is decided here, before anything is touched: a
//! sync of a directory into itself, or from a single file, is a mistake that would cost data.

use std::sync::Arc;

use pos3_core::{
    CancellationToken, Capabilities, Deletion, Entries, Explanation, Key, Kind, ListOptions, MemoryManifest, Plan,
    Refusal, Report, Stop, SyncJob, SyncOptions, Tree, Usage,
};

use crate::error::Error;
use crate::location::Location;
use crate::registry::{Registry, Role};
use crate::state::State;

/// A sync between two locations, opened and checked, and not yet begun.
#[derive(Debug)]
pub struct Sync {
    from: Location,
    to: Location,
    source: Tree,
    target: Tree,
    options: SyncOptions,
    cancel: CancellationToken,
    caution: Caution,
    absence: Absence,
}

/// What becomes of a sync whose source has not a single key below its prefix, as a misspelt one has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    /// It is an error.
    Refused,
    /// It is an empty directory.
    Allowed,
}

/// When a run looks at its source for the mistake of naming one object, or nothing. A plan touches nothing, so it looks afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caution {
    /// Before: an empty source may empty the target.
    Before,
    /// After, and only if the listing was empty: nothing can have been deleted, and a sync costs no request more.
    After,
}

/// Makes `to` like `from` and returns what happened.
///
/// # Errors
///
/// Whatever keeps the sync from being begun; what goes wrong later is in the report.
pub async fn sync(registry: &Registry, from: &Location, to: &Location, options: SyncOptions) -> Result<Report, Error> {
    Sync::open(registry, from, to, options).await?.run().await
}

impl Sync {
    /// Opens both locations, taken as directories, and checks that they can be synced.
    ///
    /// # Errors
    ///
    /// Unknown schemes and profiles, missing settings, a source that is missing or one file, a target that is a file,
    /// and places that overlap.
    pub async fn open(
        registry: &Registry,
        from: &Location,
        to: &Location,
        options: SyncOptions,
    ) -> Result<Self, Error> {
        let source = registry.open(from, Role::Source).await?;
        let target = registry.open(to, Role::Target).await?;
        refuse_overlap(registry, from, to)?;
        let may_empty = options.deletion == Deletion::Mirror && options.guards.allow_empty;
        Ok(Self {
            from: from.clone(),
            to: to.clone(),
            source,
            target,
            cancel: CancellationToken::new(),
            absence: Absence::of(options.guards.allow_empty),
            options,
            caution: if may_empty { Caution::Before } else { Caution::After },
        })
    }

    /// Makes the sync stop when `cancel` is cancelled; see [`SyncJob::with_cancel`].
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Sets whether a source without a single key is taken for an empty directory. Without it that is an error, or a
    /// misspelt prefix would look like success. Default: whether the guards [allow an empty source](crate::Guards).
    /// A bucket without any prefix is always taken as it is, and so is a directory that exists.
    #[must_use]
    pub fn with_missing_source(mut self, allowed: bool) -> Self {
        self.absence = Absence::of(allowed);
        self
    }

    /// Makes the sync remember what it finds equal and what it leaves unfinished, and use what was remembered of these
    /// two locations before. A plan only reads it.
    #[must_use]
    pub fn with_state(mut self, state: &State) -> Self {
        self.options = self.options.with_manifest(state.manifest()).with_journal(state.journal());
        self
    }

    /// Makes this compare as a sync does for which nothing was remembered before: times prove nothing that a digest can
    /// tell. That is for a sync whose [state](Self::with_state) cannot be used, and for a plan of one that has none yet:
    /// without it they would believe equal times, and find less than with it.
    #[must_use]
    pub fn with_empty_memory(mut self) -> Self {
        self.options = self.options.with_manifest(Arc::new(MemoryManifest::default()));
        self
    }

    /// Makes the sync copy what it overwrites or deletes to `backup` first, under the same relative keys. An older copy
    /// there is replaced.
    ///
    /// # Errors
    ///
    /// A location that cannot be opened, or that is, holds or lies inside the source or the target: what is kept would be
    /// synced in its turn. Inside is fine where the filter leaves it out.
    pub async fn with_backup(mut self, registry: &Registry, backup: &Location) -> Result<Self, Error> {
        let tree = registry.open(backup, Role::Target).await?;
        let kept = registry.place(backup)?;
        for side in [&self.from, &self.to] {
            let place = registry.place(side)?;
            let inside = kept.inside(&place).filter(|relative| !relative.is_empty());
            let is_left_out = inside.is_some_and(|relative| self.options.filter.prunes(&relative));
            if !is_left_out && kept.overlaps(&place) {
                return Err(Error::BackupOverlaps { backup: backup.to_string(), side: side.to_string() });
            }
        }
        self.options = self.options.with_backup(Some(tree));
        Ok(self)
    }

    /// Returns what the target's store can do.
    pub fn target_capabilities(&self) -> Capabilities {
        self.target.store().capabilities()
    }

    /// Returns the requests that all its stores have sent so far, by kind.
    pub fn usage(&self) -> Usage {
        self.job().usage()
    }

    /// Makes the plan and touches nothing. That it was stopped is the inner result, as it would be in a report.
    ///
    /// # Errors
    ///
    /// A source that turns out to be one object, or not to exist.
    pub async fn plan(&self) -> Result<Result<Plan, Stop>, Error> {
        let plan = self.job().plan().await;
        let source_is_empty = match &plan {
            Ok(plan) => plan.tally.source == 0,
            Err(stop) => refused_as_empty(stop),
        };
        if source_is_empty {
            self.look_at_source().await?;
        }
        Ok(plan)
    }

    /// Plans, performs, and returns what happened.
    ///
    /// # Errors
    ///
    /// A source that turns out to be one object, or not to exist.
    pub async fn run(&self) -> Result<Report, Error> {
        if self.caution == Caution::Before {
            self.look_at_source().await?;
        }
        let report = self.job().run().await;
        let source_is_empty = report.stopped.as_ref().map_or(report.tally.source == 0, refused_as_empty);
        if source_is_empty && self.caution == Caution::After {
            self.look_at_source().await?;
        }
        Ok(report)
    }

    /// Performs a plan that was made before, here or elsewhere, and returns what happened. Ask for
    /// [`Preconditions::Strict`](crate::Preconditions::Strict) where time has passed since, and
    /// [look for a file in the source](Self::look_for_source_file) before, if the plan deletes anything.
    pub async fn execute(&self, plan: Plan) -> Report {
        self.job().execute(plan).await
    }

    /// Says what would be done with one relative key, and why.
    ///
    /// # Errors
    ///
    /// A store that cannot be asked, and a source that does not exist.
    pub async fn explain(&self, key: &Key) -> Result<Explanation, Error> {
        let failed = |source| Error::Store { location: self.from.child(key), source };
        let explanation = self.job().explain(key).await.map_err(failed)?;
        if explanation.source.is_none() {
            self.look_at_source().await?;
        }
        Ok(explanation)
    }

    fn job(&self) -> SyncJob {
        SyncJob::new(self.source.clone(), self.target.clone(), self.options.clone()).with_cancel(self.cancel.clone())
    }

    /// Looks whether there is anything below the source's prefix; excluded keys and markers count.
    ///
    /// # Errors
    ///
    /// A source that is one object, and one that does not exist, unless that is [allowed](Self::with_missing_source). One
    /// with wildcards that does not exist is never allowed: it was meant to be something else than empty.
    pub async fn look_at_source(&self) -> Result<(), Error> {
        let prefix = self.source.prefix();
        let Some(name) = prefix.strip_suffix('/') else { return Ok(()) };
        let store = self.source.store();
        // A listing that fails speaks for itself when the sync reads it.
        let level = ListOptions::default().with_shallow(true);
        if !matches!(Entries::open(&self.source, level).next().await, Ok(None)) {
            return Ok(());
        }
        let location = self.from.to_string();
        if !name.is_empty() && store.head(&Key::from(name)).await.is_ok() {
            return Err(Error::SourceIsFile { location });
        }
        match self.absence {
            Absence::Allowed if self.from.wildcards().is_none() => Ok(()),
            Absence::Allowed | Absence::Refused => Err(Error::NoSource { location }),
        }
    }

    /// Looks whether the source still has a single file. A plan with deletes may be older than the moment at which a disk was
    /// unmounted.
    ///
    /// # Errors
    ///
    /// Those of [`look_at_source`](Self::look_at_source), a listing that fails, and a source without a single file, unless
    /// that is [allowed](Self::with_missing_source).
    pub async fn look_for_source_file(&self) -> Result<(), Error> {
        self.look_at_source().await?;
        if self.absence == Absence::Allowed {
            return Ok(());
        }
        let mut entries = Entries::open(&self.source, ListOptions::default());
        let failed = |source| Error::Store { location: self.from.to_string(), source };
        while let Some((_, entry)) = entries.next().await.map_err(failed)? {
            if entry.kind == Kind::File {
                return Ok(());
            }
        }
        Err(Error::NoSourceFile { location: self.from.to_string() })
    }
}

impl Absence {
    fn of(is_allowed: bool) -> Self {
        if is_allowed { Self::Allowed } else { Self::Refused }
    }
}

fn refused_as_empty(stop: &Stop) -> bool {
    matches!(stop, Stop::Refused(Refusal::SourceEmpty { .. }))
}

fn refuse_overlap(registry: &Registry, from: &Location, to: &Location) -> Result<(), Error> {
    if registry.place(from)?.overlaps(&registry.place(to)?) {
        return Err(Error::Overlap { from: from.to_string(), to: to.to_string() });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
