//! `pos3-cli check`: the differences between two locations, in the lines of `rclone check --combined`.
//!
//! They are those of the plan of a sync, which is not executed.

mod found;
mod report;

use pos3::{CancellationToken, Error, FileProvider, PreparedSync, Stop, SyncOptions};
use serde::Serialize;

use super::limited_registry;
use crate::args::{CheckArgs, Show};
use crate::command_error::{CommandError, Purpose};
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::output;
use crate::progress::{Progress, Watcher};
use crate::signals::Signals;
use crate::warnings::Warnings;
use found::Found;
use report::{Comparison, Fields};

impl Execute for CheckArgs {
    fn name(&self) -> &'static str {
        "check"
    }

    fn show(&self) -> Show {
        Show::without_progress(self.json, self.quiet)
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let signals = Signals::listen();
        let progress = Progress::start(invocation.show);
        let found = compare(self, &invocation.warnings, &signals, progress.counter()).await;
        progress.end();
        let found = found?;
        found.warnings.iter().for_each(|warning| invocation.warnings.warn(warning));
        let exit = found.exit();
        if self.json {
            let fields = Fields::new(self, &found, invocation);
            output::data(|out| invocation.envelope(exit, None, fields).write(out));
        } else {
            report::write_lines(&found);
        }
        if !self.quiet {
            output::text(&report::summary(self, &found, invocation));
        }
        Ok(exit)
    }

    fn fields_of_failure(&self, invocation: &Invocation) -> impl Serialize {
        Fields::of_nothing(self, invocation)
    }
}

async fn compare(
    args: &CheckArgs,
    warnings: &Warnings,
    signals: &Signals,
    counter: Watcher,
) -> Result<Found, CommandError> {
    let options = args.options()?.with_observer(Comparison::new(counter, args.all));
    let stopped = |stop: &Stop| {
        let locations = (&args.from, &args.to);
        CommandError::of_stop(stop, Purpose::Comparison, locations, 0, signals.exit()).of_read_only()
    };
    let opened = signals.unless_signalled(open(args, options, warnings, signals.cancel())).await;
    let sync = opened.ok_or_else(|| stopped(&Stop::Cancelled))?;
    let sync = sync.map_err(|error| CommandError::from(error).of_read_only())?;
    let plan = sync.plan().await.map_err(|error| CommandError::from(error).of_read_only())?;
    let plan = plan.map_err(|stop| stopped(&stop))?;
    Found::new(&plan, sync.usage(), args).map_err(|error| stopped(&Stop::Spill(error)))
}

async fn open(
    args: &CheckArgs,
    options: SyncOptions,
    warnings: &Warnings,
    cancel: CancellationToken,
) -> Result<PreparedSync, Error> {
    let registry = limited_registry(&args.s3, warnings, args.symlinks(), &[&args.from, &args.to], args.concurrency)?;
    let registry = registry.with("file", FileProvider::default().with_symlinks_of_both(args.symlinks()));
    let sync = PreparedSync::open(&registry, &args.from, &args.to, options).await?;
    let sync = sync.with_ignore_files(args.ignore_files()).await?;
    Ok(sync.with_missing_source(args.allow_empty).with_missing_target(args.allow_empty).with_cancel(cancel))
}
