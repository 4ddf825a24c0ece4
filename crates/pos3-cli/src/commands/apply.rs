//! `pos3-cli apply`: executes a plan, as far as it is still valid.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use pos3::{Error, Location, PlanFileError, PlanHeader, PlanReader, PreparedSync, Stop, SyncOptions};
use serde::Serialize;

use super::account::{Account, Outcome, Plans};
use super::limited_registry;
use super::sync::with_backup;
use crate::args::{ApplyArgs, Show};
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::json::SyncFields;
use crate::lines::Lines;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::warnings::Warnings;

type Reader = PlanReader<Box<dyn BufRead + Send>>;

impl Execute for ApplyArgs {
    fn name(&self) -> &'static str {
        "apply"
    }

    fn show(&self) -> Show {
        self.show.show()
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let reader = read(self).map_err(|error| CommandError::of_rejected_plan(&self.plan, &error))?;
        let header = reader.header().clone();
        let (from, to) = (&header.source, &header.target);
        let plans = if self.dry_run { Plans::Shown } else { Plans::Executed };
        let account = Account { invocation, from, to, plans };
        let signals = Signals::listen();
        let progress = Progress::start(invocation.show);
        let options = self.options().with_observer(progress.watcher(&Lines::new(from, to), invocation.show));
        let outcome = perform(self, options, reader, &invocation.warnings, &signals).await;
        progress.end();
        Ok(match outcome {
            Ok(outcome) => account.give(&outcome, signals.exit()),
            // Its JSON has the locations, which are not known before the plan is read.
            Err(error) => account.fail(&error),
        })
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        SyncFields::without_locations(self.dry_run)
    }
}

async fn perform(
    args: &ApplyArgs,
    options: SyncOptions,
    reader: Reader,
    warnings: &Warnings,
    signals: &Signals,
) -> Result<Outcome, CommandError> {
    let header = reader.header().clone();
    let Some(sync) = signals.unless_signalled(open(args, &header, options, warnings)).await else {
        return Ok(Outcome::of_plan(Err(Stop::Cancelled)));
    };
    let sync = sync?.with_cancel(signals.cancel());
    let plan = reader.plan(sync.target_capabilities().namespace, args.shard);
    let plan = plan.map_err(|error| CommandError::of_rejected_plan(&args.plan, &error))?;
    if args.dry_run {
        return Ok(Outcome::of_plan(Ok(plan)));
    }
    Ok(Outcome { report: sync.execute(plan).await?, plan: None })
}

async fn open(
    args: &ApplyArgs,
    header: &PlanHeader,
    options: SyncOptions,
    warnings: &Warnings,
) -> Result<PreparedSync, Error> {
    let sides = [&header.source, &header.target];
    let locations: Vec<&Location> = sides.into_iter().chain(&args.safety.backup_dir).collect();
    let registry = limited_registry(&args.s3, warnings, header.symlinks, &locations, args.concurrency)?;
    let sync = PreparedSync::of_plan(&registry, header, options).await?.with_missing_source(args.allow_empty);
    with_backup(sync, &registry, args.safety.backup_dir.as_ref()).await
}

fn read(args: &ApplyArgs) -> Result<Reader, PlanFileError> {
    let file: Box<dyn BufRead + Send> = if args.plan.as_os_str() == OsStr::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(&args.plan)?))
    };
    PlanReader::open(file)
}
