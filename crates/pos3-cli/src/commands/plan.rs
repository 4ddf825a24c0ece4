//! `pos3-cli plan`: what a sync would do, as a file.

use pos3::{Error, PlanFileError, PlanHeader, Registry, Sync, SyncOptions, one_line, redacted, without_userinfo};

use super::account::{Account, Outcome, Plans};
use super::sync::{plan, warn_of_nothing};
use super::{registry, state};
use crate::args::PlanArgs;
use crate::exit::Exit;
use crate::lines::Lines;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::warnings::Warnings;
use crate::{hints, output};

/// Runs the command.
pub(crate) async fn run(args: &PlanArgs) -> Exit {
    let (from, to, show) = (&args.job.from, &args.job.to, args.show.show());
    let warnings = Warnings::new(show.detail);
    let account = Account { command: "plan", from, to, show, warnings: &warnings, plans: Plans::Written };
    if show.json && args.file().is_none() {
        return account.not_begun(
            Exit::Usage,
            "with --json the plan cannot go to stdout too: name a file with -o",
            None,
        );
    }
    let options = match args.job.options() {
        Ok(options) => options,
        Err(error) => return account.not_begun(Exit::Usage, &error.to_string(), None),
    };
    let signals = Signals::listen();
    let progress = Progress::start(show);
    let options = options.with_observer(progress.watcher(&Lines::new(from, to), show));
    let outcome = perform(args, options.clone(), &warnings, &signals).await;
    progress.end();
    match outcome {
        Ok((mut outcome, registry)) => {
            warn_of_nothing(from, &mut outcome.report);
            let exit = Exit::of_report(&outcome.report, signals.exit());
            match write(args, &registry, &outcome, options) {
                Ok(()) => account.tell(&outcome, exit),
                Err(error) => account.not_begun(Exit::Failed, &unwritten(args, &error), None),
            }
        }
        Err(error) => account.not_begun(Exit::of_error(&error), &one_line(&error), hints::for_error(&error)),
    }
}

async fn perform(
    args: &PlanArgs,
    options: SyncOptions,
    warnings: &Warnings,
    signals: &Signals,
) -> Result<(Outcome, Registry), Error> {
    let (from, to) = (&args.job.from, &args.job.to);
    let registry = registry(&args.job.s3, warnings, args.job.symlinks(), &[from, to])?;
    if let Some(path) = args.file() {
        registry.own_files().add(path);
    }
    let sync = Sync::open(&registry, from, to, options).await?.with_cancel(signals.cancel());
    let memory = state::for_look(args.manifest, &registry, from, to).await;
    let mut outcome = plan(&memory.with(sync)).await?;
    outcome.report.warnings.extend(memory.warning);
    Ok((outcome, registry))
}

/// Writes the plan, if there is one.
fn write(args: &PlanArgs, registry: &Registry, outcome: &Outcome, options: SyncOptions) -> Result<(), PlanFileError> {
    let Some(plan) = &outcome.plan else { return Ok(()) };
    let header = PlanHeader::new(registry, &args.job.from, &args.job.to, plan)?
        .with_symlinks(args.job.symlinks())
        .with_deletion(options.deletion)
        .with_filter(options.filter)
        .with_options(as_typed());
    if let Some(path) = args.file() {
        return pos3::save_plan(path, &header, plan);
    }
    let mut failure = None;
    output::data(|out| match pos3::write_plan(out.document(), &header, plan) {
        Err(PlanFileError::Io(error)) => Err(error),
        Err(error) => {
            failure = Some(error);
            Ok(())
        }
        Ok(()) => Ok(()),
    });
    failure.map_or(Ok(()), Err)
}

/// Returns the command line as it was typed, but for passwords, for people who read the plan.
fn as_typed() -> String {
    let mut is_endpoint = false;
    let arguments = std::env::args_os().skip(1).map(|argument| {
        let typed = argument.to_string_lossy();
        let was_endpoint = std::mem::replace(&mut is_endpoint, typed == "--endpoint-url");
        let text = if was_endpoint { without_userinfo(&typed) } else { redacted(&typed) }.into_owned();
        let plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
        if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
    });
    arguments.collect::<Vec<_>>().join(" ")
}

fn unwritten(args: &PlanArgs, error: &PlanFileError) -> String {
    let place = args.file().map_or("stdout".into(), |path| format!("'{}'", path.display()));
    format!("cannot write the plan to {place}: {}", one_line(error))
}
