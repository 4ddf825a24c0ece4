//! `pos3-cli plan`: writes what a sync would do to a file.

use std::path::PathBuf;

use pos3::{
    Deletion, Error, Filter, PlanFileError, PlanHeader, PreparedSync, Registry, Stop, SyncOptions, redacted,
    without_userinfo,
};
use serde::Serialize;

use super::account::{Account, Outcome, Plans};
use super::sync::{plan, warn_of_nothing};
use super::{limited_registry, state};
use crate::args::{PlanArgs, Show};
use crate::command_error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::json::SyncFields;
use crate::lines::Lines;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::warnings::Warnings;
use crate::{output, shell};

impl Execute for PlanArgs {
    fn name(&self) -> &'static str {
        "plan"
    }

    fn show(&self) -> Show {
        self.show.show()
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let (from, to) = (&self.job.from, &self.job.to);
        if invocation.show.json && self.file().is_none() {
            return Err(CommandError::usage("with --json the plan cannot go to stdout too: name a file with -o"));
        }
        let options = self.job.options()?;
        let signals = Signals::listen();
        let progress = Progress::start(invocation.show);
        let options = options.with_observer(progress.watcher(&Lines::new(from, to), invocation.show));
        let deletion = options.deletion;
        let outcome = perform(self, options, &invocation.warnings, &signals).await;
        progress.end();
        let (outcome, registry, filter) = outcome?;
        warn_of_nothing(from, &outcome, &invocation.warnings);
        write(self, &registry, &outcome, deletion, filter)
            .map_err(|error| CommandError::of_unwritten_plan(self.file().map(PathBuf::as_path), &error))?;
        Ok(Account { invocation, from, to, plans: Plans::Written }.give(&outcome, signals.exit()))
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        SyncFields::new((&self.job.from, &self.job.to), true)
    }
}

async fn perform(
    args: &PlanArgs,
    options: SyncOptions,
    warnings: &Warnings,
    signals: &Signals,
) -> Result<(Outcome, Registry, Filter), Error> {
    let (from, to) = (&args.job.from, &args.job.to);
    let registry = limited_registry(&args.job.s3, warnings, args.job.symlinks(), &[from, to], args.job.concurrency)?;
    if let Some(path) = args.file() {
        registry.own_files().add(path);
    }
    let opening = async {
        let sync = PreparedSync::open(&registry, from, to, options).await?;
        sync.with_ignore_files(args.job.ignore_files()).await
    };
    let Some(sync) = signals.unless_signalled(opening).await else {
        return Ok((Outcome::of_plan(Err(Stop::Cancelled)), registry, Filter::default()));
    };
    let sync = sync?.with_cancel(signals.cancel());
    let state = state::for_reading(args.manifest, &registry, (from, to), warnings).await;
    let sync = sync.with_state(state);
    let outcome = plan(&sync).await?;
    let filter = sync.filter().clone();
    Ok((outcome, registry, filter))
}

/// Writes the plan, if there is one.
fn write(
    args: &PlanArgs,
    registry: &Registry,
    outcome: &Outcome,
    deletion: Deletion,
    filter: Filter,
) -> Result<(), PlanFileError> {
    let Some(plan) = &outcome.plan else { return Ok(()) };
    let header = PlanHeader::new(registry, &args.job.from, &args.job.to, plan)?
        .with_symlinks(args.job.symlinks())
        .with_deletion(deletion)
        .with_filter(filter)
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

/// Returns the command line as it was typed, without passwords, for readers of the plan.
fn as_typed() -> String {
    let mut is_endpoint = false;
    let arguments = std::env::args_os().skip(1).map(|argument| {
        let typed = argument.to_string_lossy();
        let was_endpoint = std::mem::replace(&mut is_endpoint, typed == "--endpoint-url");
        shell::word(&if was_endpoint { without_userinfo(&typed) } else { redacted(&typed) })
    });
    arguments.collect::<Vec<_>>().join(" ")
}
