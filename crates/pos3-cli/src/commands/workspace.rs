//! The commands of a workspace: `pull`, `push`, `status` and `workspace run`.

mod fields;
mod run;

use pos3::{CancellationToken, Location, Symlinks, Workspace, WorkspaceBuilder, WorkspaceReport};
use serde::Serialize;

use super::registry;
use crate::args::{
    DirectoryArgs, FetchArgs, IgnoreArgs, PullArgs, PushArgs, S3Args, Show, StatusArgs, StoreArgs, WorkspaceArgs,
    WorkspaceCommand,
};
use crate::command_error::{CommandError, ErrorPrefix};
use crate::envelope::NoFields;
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::output::{self, Text};
use crate::progress::{Progress, Terminal};
use crate::signals::Signals;
use crate::size;
use crate::warnings::Warnings;
use fields::{PulledFields, PushedFields, StatusFields};

/// The command with commands of its own.
const COMMAND: &str = "workspace";

/// The largest number of names that are printed for one reason.
const NAMED: usize = 20;

impl Execute for PullArgs {
    fn name(&self) -> &'static str {
        "pull"
    }

    fn show(&self) -> Show {
        self.show.show()
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let signals = Signals::listen();
        let builder = builder(&self.place, &self.ignore, &self.s3, &invocation.warnings)?;
        let builder = fetching(builder, &self.fetch).lease(self.lease.lease).guards(self.guards.guards());
        let report = with_progress(builder, invocation.show, signals.cancel(), async |workspace| {
            workspace.pull_only(&self.only).await
        });
        let report = report.await.map_err(|error| CommandError::of_workspace(&error, signals.exit()))?;
        let exit = exit(&report);
        give(invocation, exit, &report, &summary_of_pull(&report), PulledFields::of(&report));
        Ok(exit)
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        NoFields {}
    }
}

impl Execute for PushArgs {
    fn name(&self) -> &'static str {
        "push"
    }

    fn show(&self) -> Show {
        self.show.show()
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let signals = Signals::listen();
        let builder = builder(&self.place, &self.ignore, &self.s3, &invocation.warnings)?;
        let builder = storing(builder, self.store).lease(self.lease.lease).guards(self.guards.guards());
        let report = with_progress(builder, invocation.show, signals.cancel(), Workspace::push);
        let report = report.await.map_err(|error| CommandError::of_workspace(&error, signals.exit()))?;
        let exit = exit(&report);
        give(invocation, exit, &report, &summary_of_push(&report), PushedFields::of(&report));
        Ok(exit)
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        NoFields {}
    }
}

impl Execute for StatusArgs {
    fn name(&self) -> &'static str {
        "status"
    }

    fn show(&self) -> Show {
        Show::without_progress(self.json, false)
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let signals = Signals::listen();
        let builder = builder(&self.place, &self.ignore, &self.s3, &invocation.warnings)?.cancel(signals.cancel());
        let failed = |error| CommandError::of_workspace(&error, signals.exit()).of_read_only();
        let status = builder.open().map_err(failed)?.status().await.map_err(failed)?;
        output::data(|out| match self.json {
            true => invocation.envelope(Exit::Done, None, StatusFields::of(&status)).write(out),
            false => fields::write_status(out, &status),
        });
        Ok(Exit::Done)
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        NoFields {}
    }
}

impl Execute for WorkspaceArgs {
    const ERROR_PREFIX: ErrorPrefix = ErrorPrefix::Command("workspace run");
    const TERMINAL: Terminal = Terminal::Shared;

    fn name(&self) -> &'static str {
        COMMAND
    }

    fn show(&self) -> Show {
        let WorkspaceCommand::Run(run) = &self.command;
        Show { progress: !run.quiet, ..Show::without_progress(false, run.quiet) }
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let WorkspaceCommand::Run(args) = &self.command;
        run::perform(args, invocation).await
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        NoFields {}
    }
}

/// Returns the builder of the workspace of a directory.
fn builder(
    place: &DirectoryArgs,
    ignore: &IgnoreArgs,
    s3: &S3Args,
    warnings: &Warnings,
) -> Result<WorkspaceBuilder, CommandError> {
    if let Some(location) = &place.location {
        refuse_bare_path(location)?;
    }
    let builder = match &place.location {
        Some(location) => Workspace::builder(location.to_string(), &place.directory),
        None => Workspace::existing(&place.directory).map_err(|error| CommandError::of_workspace(&error, None))?,
    };
    let location: Location = builder.location().parse().map_err(pos3::Error::from)?;
    let builder = builder.ignore(&ignore.ignore).default_ignores(!ignore.no_default_ignores);
    Ok(builder.registry(registry(s3, warnings, Symlinks::Skip, &[&location])?))
}

/// Refuses a path that is probably a URL without its scheme. On a disk that vanishes, it would store nothing.
fn refuse_bare_path(location: &Location) -> Result<(), CommandError> {
    match location.path() {
        Some(path) if !path.is_absolute() && !path.starts_with(".") && !path.starts_with("..") => {
            let shown = path.display();
            Err(CommandError::usage(format!(
                "'{shown}' is a path: write 's3://{shown}', or './{shown}' if it is meant"
            )))
        }
        _ => Ok(()),
    }
}

fn fetching(builder: WorkspaceBuilder, args: &FetchArgs) -> WorkspaceBuilder {
    builder.download_concurrency(args.downloads.into()).size_limit(args.max_size).file_size_limit(args.max_file_size)
}

fn storing(builder: WorkspaceBuilder, args: StoreArgs) -> WorkspaceBuilder {
    builder.upload_concurrency(args.uploads.into())
}

/// Opens the workspace and works with it, while the progress is shown.
async fn with_progress(
    builder: WorkspaceBuilder,
    show: Show,
    cancel: CancellationToken,
    work: impl AsyncFnOnce(&Workspace) -> Result<WorkspaceReport, pos3::WorkspaceError>,
) -> Result<WorkspaceReport, pos3::WorkspaceError> {
    let progress = Progress::start(show);
    let opened = builder.observer(progress.counter()).cancel(cancel).open();
    let worked = match opened {
        Ok(workspace) => {
            let worked = work(&workspace).await;
            workspace.release().await;
            worked
        }
        Err(error) => Err(error),
    };
    progress.end();
    worked
}

fn exit(report: &WorkspaceReport) -> Exit {
    if report.success { Exit::Done } else { Exit::Failed }
}

/// Prints the result of a pull or a push.
fn give(invocation: &Invocation, exit: Exit, report: &WorkspaceReport, summary: &str, fields: impl Serialize) {
    for warning in &report.warnings {
        invocation.warnings.warn(warning);
    }
    output::text(&problems(report));
    if invocation.show.detail != crate::args::Detail::Quiet {
        output::text(&notes(report));
        output::note(summary);
    }
    if invocation.show.json {
        output::data(|out| invocation.envelope(exit, None, fields).write(out));
    }
}

/// Returns the failures, which are printed also with `--quiet`.
fn problems(report: &WorkspaceReport) -> Text {
    let mut text = Text::default();
    report.errors.iter().for_each(|error| text.line(format_args!("error: {error}")));
    let more = report.failed.saturating_sub(report.errors.len() as u64);
    if more > 0 {
        text.line(format_args!("error: {more} more"));
    }
    text
}

/// Returns what was decided about single files.
fn notes(report: &WorkspaceReport) -> Text {
    let mut text = Text::default();
    for conflict in &report.conflicts {
        text.line(format_args!(
            "conflict: '{}' was changed by another writer, too; your version is '{}'",
            conflict.path, conflict.copy
        ));
    }
    list(&mut text, &report.set_aside, "moved", |aside| {
        format!("'{}' was not stored at the location; it is now '{}'", aside.path, aside.now)
    });
    list(&mut text, &report.protected, "protected", |path| format!("'{path}' was not pulled, so it was not pushed"));
    text
}

fn list<T>(text: &mut Text, items: &[T], what: &str, words: impl Fn(&T) -> String) {
    items.iter().take(NAMED).for_each(|item| text.line(format_args!("{what}: {}", words(item))));
    if items.len() > NAMED {
        text.line(format_args!("{what}: {} more", items.len() - NAMED));
    }
}

fn summary_of_pull(report: &WorkspaceReport) -> String {
    summary("pulled", report.downloaded, report)
}

fn summary_of_push(report: &WorkspaceReport) -> String {
    summary("pushed", report.uploaded, report)
}

fn summary(done: &str, files: u64, report: &WorkspaceReport) -> String {
    format!(
        "{done} {} ({}), deleted {}, {} unchanged, in {}",
        size::counted(files, "file"),
        size::bytes(report.bytes),
        report.deleted,
        report.unchanged,
        size::time(report.duration)
    )
}
