//! `pos3-cli sync`: one sync, and the account of it.

use std::io;
use std::time::Instant;

use pos3::{Action, Error, Plan, Report, Side, Stop, Sync};

use super::{registry, state};
use crate::args::{Detail, Show, SyncArgs};
use crate::exit::Exit;
use crate::json::{self, ErrorJson, SyncJson};
use crate::lines::Lines;
use crate::output::Reader;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::{hints, output, summary};

/// What a run came to.
struct Outcome {
    report: Report,
    /// What would be done; only of a dry run.
    plan: Option<Plan>,
}

/// Runs the command.
pub(crate) async fn run(args: &SyncArgs) -> Exit {
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => return not_begun(args, Exit::Usage, &error.to_string(), None),
    };
    let signals = Signals::listen();
    let progress = Progress::start(args.show());
    let options = options.with_observer(progress.watcher(&Lines::new(&args.from, &args.to), args.show()));
    let outcome = perform(args, options, &signals).await;
    progress.end();
    match outcome {
        Ok(mut outcome) => {
            warn_of_nothing(args, &mut outcome.report);
            tell(args, &outcome, Exit::of_report(&outcome.report, signals.exit()))
        }
        Err(error) => not_begun(args, Exit::of_error(&error), &output::chain(&error), hints::for_error(&error)),
    }
}

async fn perform(args: &SyncArgs, options: pos3::SyncOptions, signals: &Signals) -> Result<Outcome, Error> {
    let registry = registry(&args.s3, args.symlinks(), &[&args.from, &args.to])?;
    let sync = Sync::open(&registry, &args.from, &args.to, options).await?.with_cancel(signals.cancel());
    let memory = state::for_sync(args, &registry, signals).await?;
    let sync = match &memory.state {
        Some(state) => sync.with_state(state),
        None => sync,
    };
    let mut outcome = if args.dry_run { plan(&sync).await? } else { Outcome { report: sync.run().await?, plan: None } };
    outcome.report.warnings.extend(memory.warning);
    Ok(outcome)
}

/// Makes the plan, and a report of it in which nothing was done.
async fn plan(sync: &Sync) -> Result<Outcome, Error> {
    let begin = Instant::now();
    let mut report = Report::default();
    let plan = match sync.plan().await? {
        Ok(plan) => {
            report.tally = plan.tally;
            report.warnings.clone_from(&plan.warnings);
            report.skipped = plan.actions.iter().filter_map(skipped).collect();
            Some(plan)
        }
        Err(stop) => {
            report.stopped = Some(stop);
            None
        }
    };
    report.usage = sync.usage();
    report.elapsed = begin.elapsed();
    Ok(Outcome { report, plan })
}

fn skipped(action: &Action) -> Option<(pos3::Key, pos3::SkipReason)> {
    match action {
        Action::Skip { key, why } => Some((key.clone(), why.clone())),
        Action::Copy { .. } | Action::Replace { .. } | Action::Delete { .. } => None,
    }
}

/// A typo in a prefix looks like an empty directory: that is no failure, but it must not look like success.
fn warn_of_nothing(args: &SyncArgs, report: &mut Report) {
    if report.tally.source == 0 && report.stopped.is_none() {
        report.warnings.push(format!("nothing was found in the source '{}'", args.from));
    }
}

/// Says what happened, to people on stderr and to programs on stdout.
fn tell(args: &SyncArgs, outcome: &Outcome, exit: Exit) -> Exit {
    let Outcome { report, plan } = outcome;
    let Show { json, detail, .. } = args.show();
    let lines = Lines::new(&args.from, &args.to);
    let error = report.stopped.as_ref().map(|stop| early_end(args, stop));
    let written = output::data(|out| match (json, plan) {
        (true, _) => {
            let object = SyncJson::new(&args.from, &args.to, args.dry_run, exit);
            json::write(out, &object.with_report(report, plan.as_ref()).with_error(error.clone()))
        }
        (false, Some(plan)) => plan
            .actions
            .iter()
            .filter_map(|action| lines.line(action))
            .try_for_each(|line| writeln!(out, "(dryrun) {line}")),
        (false, None) => Ok(()),
    });
    output::note(&summary::problems(report, &lines, detail));
    if let Some(ErrorJson { message, hint }) = &error {
        output::error(message, hint.as_deref());
    } else if let Some(hint) = hints::for_report(report) {
        output::note(&format!("hint: {hint}\n"));
    }
    if detail != Detail::Quiet {
        output::note(&summary::account(report, plan.as_ref(), detail));
    }
    finish(written, exit)
}

fn early_end(args: &SyncArgs, stop: &Stop) -> ErrorJson {
    let message = match stop {
        Stop::Listing { side, error, .. } => {
            let location = match side {
                Side::Source => &args.from,
                Side::Target => &args.to,
            };
            format!("cannot list the {} '{location}': {}", side.as_str(), error.cause())
        }
        Stop::Refused(refusal) => format!("refused, nothing was touched: {refusal}"),
        Stop::Cancelled => "ended by a signal; nothing more was deleted".to_owned(),
        other => format!("the run ended early: {other:?}"),
    };
    ErrorJson { message, hint: hints::for_stop(stop) }
}

fn not_begun(args: &SyncArgs, exit: Exit, message: &str, hint: Option<String>) -> Exit {
    output::error(message, hint.as_deref());
    if !args.show().json {
        return exit;
    }
    let error = ErrorJson { message: message.to_owned(), hint };
    let object = SyncJson::new(&args.from, &args.to, args.dry_run, exit).with_error(Some(error));
    finish(output::data(|out| json::write(out, &object)), exit)
}

/// What could not be written to stdout is a failure too.
fn finish(written: io::Result<Reader>, exit: Exit) -> Exit {
    match written {
        Ok(_) => exit,
        Err(error) => {
            output::error(&output::unwritten(&error).message, None);
            if exit == Exit::Done { Exit::Failed } else { exit }
        }
    }
}
