//! `pos3-cli sync`: makes the target like the source.

use std::time::Instant;

use pos3::{Error, Location, PreparedSync, Registry, Stop, SyncOptions};
use serde::Serialize;

use super::account::{Account, Outcome, Plans};
use super::{limited_registry, state};
use crate::args::{Show, SyncArgs};
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::json::SyncFields;
use crate::lines::Lines;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::warnings::Warnings;

impl Execute for SyncArgs {
    fn name(&self) -> &'static str {
        "sync"
    }

    fn show(&self) -> Show {
        self.show.show()
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let (from, to) = (&self.job.from, &self.job.to);
        let options = self.job.options()?.with_verify(self.safety.verify());
        let signals = Signals::listen();
        let progress = Progress::start(invocation.show);
        let options = options.with_observer(progress.watcher(&Lines::new(from, to), invocation.show));
        let outcome = perform(self, options, &invocation.warnings, &signals).await;
        progress.end();
        let outcome = outcome?;
        warn_of_nothing(from, &outcome, &invocation.warnings);
        let plans = if self.dry_run { Plans::Shown } else { Plans::Executed };
        Ok(Account { invocation, from, to, plans }.give(&outcome, signals.exit()))
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        SyncFields::new((&self.job.from, &self.job.to), self.dry_run)
    }
}

async fn perform(
    args: &SyncArgs,
    options: SyncOptions,
    warnings: &Warnings,
    signals: &Signals,
) -> Result<Outcome, Error> {
    let (from, to) = (&args.job.from, &args.job.to);
    let locations: Vec<&Location> = [from, to].into_iter().chain(&args.safety.backup_dir).collect();
    let registry = limited_registry(&args.job.s3, warnings, args.job.symlinks(), &locations, args.job.concurrency)?;
    let opening = async {
        let sync = PreparedSync::open(&registry, from, to, options).await?;
        sync.with_ignore_files(args.job.ignore_files()).await
    };
    let Some(sync) = signals.unless_signalled(opening).await else {
        return Ok(Outcome::of_plan(Err(Stop::Cancelled)));
    };
    let sync = sync?.with_cancel(signals.cancel());
    let sync = with_backup(sync, &registry, args.safety.backup_dir.as_ref()).await?;
    if args.dry_run {
        let state = state::for_reading(args.manifest, &registry, (from, to), warnings).await;
        return plan(&sync.with_state(state)).await;
    }
    let state = state::for_run(args.manifest, &registry, (from, to), signals, warnings).await?;
    Ok(Outcome { report: sync.with_state(state).run().await?, plan: None })
}

/// Makes a sync back up the files that it overwrites or deletes, if there is a location for them.
pub(super) async fn with_backup(
    sync: PreparedSync,
    registry: &Registry,
    backup: Option<&Location>,
) -> Result<PreparedSync, Error> {
    match backup {
        Some(backup) => sync.with_backup(registry, backup).await,
        None => Ok(sync),
    }
}

/// Makes the plan, and a report of it.
pub(super) async fn plan(sync: &PreparedSync) -> Result<Outcome, Error> {
    let begin = Instant::now();
    let mut outcome = Outcome::of_plan(sync.plan().await?);
    outcome.report.usage = sync.usage();
    outcome.report.elapsed = begin.elapsed();
    Ok(outcome)
}

/// Warns if the source is empty: a misspelt prefix looks like an empty directory.
pub(super) fn warn_of_nothing(from: &Location, outcome: &Outcome, warnings: &Warnings) {
    if outcome.report.tally.source == 0 && outcome.report.stopped.is_none() {
        warnings.warn(&format!("nothing was found in the source '{from}'"));
    }
}
