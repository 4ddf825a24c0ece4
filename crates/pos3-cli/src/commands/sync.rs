//! `pos3-cli sync`: one sync, and the account of it.

use std::time::Instant;

use pos3::{Error, Location, Registry, Report, Sync, one_line};

use super::account::{Account, Outcome, Plans};
use super::{registry, state};
use crate::args::SyncArgs;
use crate::exit::Exit;
use crate::hints;
use crate::lines::Lines;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::warnings::Warnings;

/// Runs the command.
pub(crate) async fn run(args: &SyncArgs) -> Exit {
    let (from, to, show) = (&args.job.from, &args.job.to, args.show.show());
    let plans = if args.dry_run { Plans::Shown } else { Plans::Done };
    let warnings = Warnings::new(show.detail);
    let account = Account { command: "sync", from, to, show, warnings: &warnings, plans };
    let options = match args.job.options() {
        Ok(options) => options.with_verify(args.safety.verify()),
        Err(error) => return account.not_begun(Exit::Usage, &error.to_string(), None),
    };
    let signals = Signals::listen();
    let progress = Progress::start(show);
    let options = options.with_observer(progress.watcher(&Lines::new(from, to), show));
    let outcome = perform(args, options, &warnings, &signals).await;
    progress.end();
    match outcome {
        Ok(mut outcome) => {
            warn_of_nothing(from, &mut outcome.report);
            account.tell(&outcome, Exit::of_report(&outcome.report, signals.exit()))
        }
        Err(error) => account.not_begun(Exit::of_error(&error), &one_line(&error), hints::for_error(&error)),
    }
}

async fn perform(
    args: &SyncArgs,
    options: pos3::SyncOptions,
    warnings: &Warnings,
    signals: &Signals,
) -> Result<Outcome, Error> {
    let (from, to) = (&args.job.from, &args.job.to);
    let locations: Vec<&Location> = [from, to].into_iter().chain(&args.safety.backup_dir).collect();
    let registry = registry(&args.job.s3, warnings, args.job.symlinks(), &locations)?;
    let sync = Sync::open(&registry, from, to, options).await?.with_cancel(signals.cancel());
    let sync = with_backup(sync, &registry, args.safety.backup_dir.as_ref()).await?;
    let memory = if args.dry_run {
        state::for_look(args.manifest, &registry, from, to).await
    } else {
        state::for_run(args.manifest, &registry, from, to, signals).await?
    };
    let sync = memory.with(sync);
    let mut outcome = if args.dry_run { plan(&sync).await? } else { Outcome { report: sync.run().await?, plan: None } };
    outcome.report.warnings.extend(memory.warning);
    Ok(outcome)
}

/// Makes a sync keep what it overwrites or deletes, if there is a place for that.
pub(super) async fn with_backup(sync: Sync, registry: &Registry, backup: Option<&Location>) -> Result<Sync, Error> {
    match backup {
        Some(backup) => sync.with_backup(registry, backup).await,
        None => Ok(sync),
    }
}

/// Makes the plan, and a report of it in which nothing was done.
pub(super) async fn plan(sync: &Sync) -> Result<Outcome, Error> {
    let begin = Instant::now();
    let mut outcome = Outcome::of_plan(sync.plan().await?);
    outcome.report.usage = sync.usage();
    outcome.report.elapsed = begin.elapsed();
    Ok(outcome)
}

/// A typo in a prefix looks like an empty directory: that is no failure, but it must not look like success.
pub(super) fn warn_of_nothing(from: &Location, report: &mut Report) {
    if report.tally.source == 0 && report.stopped.is_none() {
        report.warnings.push(format!("nothing was found in the source '{from}'"));
    }
}
