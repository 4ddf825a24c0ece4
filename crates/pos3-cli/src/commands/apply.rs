//! `pos3-cli apply`: what a plan says, as far as it still holds.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use pos3::{Error, Location, PlanFileError, PlanHeader, PlanReader, Sync, SyncOptions, one_line};

use super::account::{Account, Outcome, Plans};
use super::registry;
use super::sync::with_backup;
use crate::args::ApplyArgs;
use crate::exit::Exit;
use crate::json::{self, ErrorJson, SyncJson};
use crate::lines::Lines;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::warnings::Warnings;
use crate::{hints, output};

type Reader = PlanReader<Box<dyn BufRead + Send>>;

/// Runs the command.
pub(crate) async fn run(args: &ApplyArgs) -> Exit {
    let (reader, header) = match read(args) {
        Ok(reader) => {
            let header = reader.header().clone();
            (reader, header)
        }
        Err(error) => return unreadable(args, &error),
    };
    let plans = if args.dry_run { Plans::Shown } else { Plans::Done };
    let (from, to, show) = (&header.source, &header.target, args.show.show());
    let warnings = Warnings::new(show.detail);
    let account = Account { command: "apply", from, to, show, warnings: &warnings, plans };
    let signals = Signals::listen();
    let progress = Progress::start(show);
    let options = args.options().with_observer(progress.watcher(&Lines::new(from, to), show));
    let outcome = perform(args, options, reader, &warnings, &signals).await;
    progress.end();
    match outcome {
        Ok(outcome) => account.tell(&outcome, Exit::of_report(&outcome.report, signals.exit())),
        Err(NotBegun::Plan(error)) => {
            let (exit, message) = refusal(args, &error);
            let hint = matches!(error, PlanFileError::Spill(_)).then(|| hints::TEMPORARY.to_owned());
            account.not_begun(exit, &message, hint)
        }
        Err(NotBegun::Sync(error)) => {
            account.not_begun(Exit::of_error(&error), &one_line(&error), hints::for_error(&error))
        }
    }
}

/// Why nothing was done.
enum NotBegun {
    Plan(PlanFileError),
    Sync(Error),
}

async fn perform(
    args: &ApplyArgs,
    options: SyncOptions,
    reader: Reader,
    warnings: &Warnings,
    signals: &Signals,
) -> Result<Outcome, NotBegun> {
    let header = reader.header().clone();
    let sync = open(args, &header, options, warnings).await.map_err(NotBegun::Sync)?.with_cancel(signals.cancel());
    let plan = reader.plan(sync.target_capabilities().keys, args.shard).map_err(NotBegun::Plan)?;
    if args.dry_run {
        return Ok(Outcome::of_plan(Ok(plan)));
    }
    let report = sync.execute(plan).await.map_err(NotBegun::Sync)?;
    Ok(Outcome { report, plan: None })
}

async fn open(args: &ApplyArgs, header: &PlanHeader, options: SyncOptions, warnings: &Warnings) -> Result<Sync, Error> {
    let sides = [&header.source, &header.target];
    let locations: Vec<&Location> = sides.into_iter().chain(&args.safety.backup_dir).collect();
    let registry = registry(&args.s3, warnings, header.symlinks, &locations)?;
    let sync = Sync::of_plan(&registry, header, options).await?.with_missing_source(args.allow_empty);
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

/// Says why the file is not even known to be a plan between two places.
fn unreadable(args: &ApplyArgs, error: &PlanFileError) -> Exit {
    let (exit, message) = refusal(args, error);
    let hint = matches!(error, PlanFileError::Version(_)).then_some("make the plan again with this program");
    output::error(&message, hint);
    if !args.show.show().json {
        return exit;
    }
    let object = SyncJson::without_places("apply", args.dry_run, exit);
    let error = ErrorJson { message, hint: hint.map(str::to_owned) };
    output::data(|out| json::write(out, &object.with_error(Some(error))));
    exit
}

fn refusal(args: &ApplyArgs, error: &PlanFileError) -> (Exit, String) {
    let plan = args.plan.display();
    match error {
        PlanFileError::Io(error) => (Exit::Failed, format!("cannot read the plan '{plan}': {error}")),
        PlanFileError::Spill(error) => (Exit::Failed, format!("cannot check the plan '{plan}': {}", one_line(error))),
        _ => (Exit::Refused, format!("refused, nothing was touched: the plan '{plan}': {error}")),
    }
}
