//! `pos3-cli workspace run`: pulls, runs a program in the directory, and pushes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use pos3::{CancellationToken, Signal, Workspace, WorkspaceBuilder, WorkspaceError, WorkspaceReport};
use tempfile::TempDir;

use super::fields::{PulledFields, PushedFields, RunFields};
use super::{builder, fetching, notes, problems, storing, summary_of_pull, summary_of_push, with_progress};
use crate::args::{DirectoryArgs, WorkspaceRunArgs};
use crate::command_error::CommandError;
use crate::commands::run::{Arrivals, Descendants, Left, Program, ReportFile, State, check, code, watch};
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::output;
use crate::signals;

/// A time longer than any run.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The variable with the path of the directory.
const VARIABLE: &str = "POS3_WORKSPACE";

/// The directory of a run.
enum Directory {
    Given(PathBuf),
    /// It is removed if everything was pushed.
    Temporary(TempDir),
}

/// One run, from the pull to the push.
struct Run<'a> {
    args: &'a WorkspaceRunArgs,
    invocation: &'a Invocation,
    arrivals: Arrivals,
    /// The processes that the program starts.
    descendants: Option<Descendants>,
}

/// Pulls, runs the program, pushes, and returns the exit code.
pub(super) async fn perform(args: &WorkspaceRunArgs, invocation: &Invocation) -> Result<Exit, CommandError> {
    check(&args.command)?;
    let open = |path: &PathBuf| ReportFile::open(path, (super::COMMAND, RunFields::of_state(State::Running)), || {});
    let report_file = args.json_report.as_ref().map(open).transpose()?;
    let ended = match run(args, invocation).await {
        Ok(ended) => ended,
        Err(error) => {
            let refused =
                report_file.map(|file| file.refuse(invocation, &error, &RunFields::of_state(State::NotStarted)));
            if let Some(Err(unwritten)) = refused {
                invocation.report(&unwritten);
            }
            return Err(error);
        }
    };
    let error = ended.pushed.as_ref().err();
    if let Some(file) = report_file {
        file.finish(&|_, out| invocation.envelope(ended.exit, error, ended.fields()).write(out))?;
    }
    Ok(ended.exit)
}

/// A run whose program has ended.
struct Ended {
    exit: Exit,
    status: Option<ExitStatus>,
    signal: Option<Signal>,
    pulled: WorkspaceReport,
    pushed: Result<WorkspaceReport, CommandError>,
}

impl Ended {
    fn fields(&self) -> RunFields<'_> {
        RunFields {
            code: self.status.map(code),
            signal: self.signal.map(Signal::name),
            complete: self.exit == Exit::Done,
            pull: Some(PulledFields::of(&self.pulled)),
            push: self.pushed.as_ref().ok().map(PushedFields::of),
            ..RunFields::of_state(State::Ended)
        }
    }
}

async fn run(args: &WorkspaceRunArgs, invocation: &Invocation) -> Result<Ended, CommandError> {
    let directory = Directory::of(args)?;
    let mut run = Run { args, invocation, arrivals: Arrivals::new(signals::each()), descendants: None };
    let exclusive = run.exclusive(directory.path()).await?;
    let pulled = run.pull(directory.path()).await?;
    let status = run.program(directory.path()).await?;
    let pushed = run.push(directory.path(), run.may_delete(status).await).await;
    let exit = run.exit(status, &pushed);
    run.report(&pushed);
    exclusive.release().await;
    // What was left out, such as a symbolic link, exists only here.
    directory.end(pushed.as_ref().is_ok_and(|report| report.success && report.skipped == 0));
    Ok(Ended { exit, status, signal: run.arrivals.first(), pulled, pushed })
}

impl Directory {
    fn of(args: &WorkspaceRunArgs) -> Result<Self, CommandError> {
        match &args.directory {
            Some(path) => Ok(Self::Given(path.clone())),
            None => match tempfile::Builder::new().prefix("pos3-workspace-").tempdir() {
                Ok(directory) => Ok(Self::Temporary(directory)),
                Err(error) => Err(CommandError::failed(format!("cannot create a temporary directory: {error}"))),
            },
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }

    /// Removes a temporary directory whose files are all stored.
    fn end(self, is_stored: bool) {
        if let Self::Temporary(directory) = self
            && !is_stored
        {
            let path = directory.keep();
            output::note(&format!(
                "not everything was pushed, so '{0}' stays: see 'pos3-cli status {0}'",
                path.display()
            ));
        }
    }
}

impl Run<'_> {
    /// Returns the builder of the workspace.
    fn builder(&self, directory: &Path) -> Result<WorkspaceBuilder, CommandError> {
        let place = DirectoryArgs { directory: directory.to_owned(), location: Some(self.args.location.clone()) };
        let builder = builder(&place, &self.args.ignore, &self.args.s3, &self.invocation.warnings)?;
        Ok(storing(fetching(builder, &self.args.fetch), self.args.store).guards(self.args.guards.guards()))
    }

    /// Keeps other machines out until the end, if that is asked for.
    async fn exclusive(&self, directory: &Path) -> Result<Workspace, CommandError> {
        let failed = |error| CommandError::of_workspace(&error, None);
        let workspace = self.builder(directory)?.lease(self.args.lease.lease).open().map_err(failed)?;
        workspace.acquire().await.map_err(failed)?;
        Ok(workspace)
    }

    /// Pulls. The program must not start with a part of its files.
    async fn pull(&mut self, directory: &Path) -> Result<WorkspaceReport, CommandError> {
        let cancel = CancellationToken::new();
        let builder = self.builder(directory)?;
        let mut pulling = pin!(with_progress(builder, self.invocation.show, cancel.clone(), Workspace::pull));
        let pulled = loop {
            tokio::select! {
                pulled = &mut pulling => break pulled,
                _signal = self.arrivals.next() => cancel.cancel(),
            }
        };
        if let Some(signal) = self.arrivals.first() {
            let message = "ended by a signal before the program was started; nothing was pushed";
            return Err(CommandError::new(Exit::Signal(signal), message));
        }
        let report = pulled.map_err(|error| CommandError::of_workspace(&error, None))?;
        output::text(&problems(&report));
        if !report.success {
            return Err(CommandError::failed("the pull was not complete, so the program was not started"));
        }
        if !self.args.quiet {
            output::text(&notes(&report));
            output::note(&summary_of_pull(&report));
        }
        Ok(report)
    }

    /// Runs the program to its end.
    async fn program(&mut self, directory: &Path) -> Result<Option<ExitStatus>, CommandError> {
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let variables = vec![(VARIABLE.to_owned(), OsString::from(&directory))];
        let mut notices = signals::user_defined();
        self.descendants = Some(Descendants::adopt());
        let mut program = Program::start_in(Some(&directory), &self.args.command, variables)?;
        self.descendants.iter().for_each(|descendants| descendants.reap(program.id()));
        Ok(watch(&mut program, &mut self.arrivals, &mut notices, self.args.grace).await)
    }

    /// Returns true if the files that are gone were removed by a program that has done its work. One that failed, or
    /// that left processes behind, may have removed a file only to write it again.
    async fn may_delete(&self, status: Option<ExitStatus>) -> bool {
        let has_left = match &self.descendants {
            Some(descendants) => descendants.settled().await != Left::None,
            None => false,
        };
        if has_left {
            self.invocation.warnings.warn(
                "the program has ended, but processes that it started may still run; what they write from now on is not \
                 pushed, and nothing is deleted at the location",
            );
        }
        status.is_some_and(|status| status.success()) && self.arrivals.first().is_none() && !has_left
    }

    /// Pushes. After a signal, the push ends within the deadline, and after a second one at once.
    async fn push(&mut self, directory: &Path, deletes: bool) -> Result<WorkspaceReport, CommandError> {
        let (cancel, keep) = (CancellationToken::new(), CancellationToken::new());
        let builder = self.builder(directory)?.push_deletes(deletes).keep(keep.clone());
        let mut pushing = pin!(with_progress(builder, self.invocation.show, cancel.clone(), Workspace::push));
        let mut deadline = pin!(tokio::time::sleep(FOREVER));
        if self.arrivals.first().is_some() {
            deadline.set(tokio::time::sleep(self.args.deadline));
        }
        let pushed: Result<_, WorkspaceError> = loop {
            tokio::select! {
                pushed = &mut pushing => break pushed,
                _signal = self.arrivals.next() => {
                    keep.cancel();
                    match self.arrivals.count() {
                        1 => deadline.set(tokio::time::sleep(self.args.deadline)),
                        _ => cancel.cancel(),
                    }
                }
                () = &mut deadline, if !cancel.is_cancelled() => cancel.cancel(),
            }
        };
        pushed.map_err(|error| CommandError::of_workspace(&error, self.arrivals.first().map(Exit::Signal)))
    }

    /// Returns the exit code: that of the program, unless it would hide that something was not pushed.
    fn exit(&self, status: Option<ExitStatus>, pushed: &Result<WorkspaceReport, CommandError>) -> Exit {
        let is_pushed = pushed.as_ref().is_ok_and(|report| report.success);
        exit(status.map_or(u8::MAX, code), is_pushed, self.arrivals.first())
    }

    fn report(&self, pushed: &Result<WorkspaceReport, CommandError>) {
        match pushed {
            Err(error) => self.invocation.report(error),
            Ok(report) => {
                report.warnings.iter().for_each(|warning| self.invocation.warnings.warn(warning));
                output::text(&problems(report));
                if !self.args.quiet {
                    output::text(&notes(report));
                    output::note(&summary_of_push(report));
                }
            }
        }
    }
}

fn exit(program: u8, is_pushed: bool, signal: Option<Signal>) -> Exit {
    match (program, is_pushed, signal) {
        (0, true, _) => Exit::Done,
        (0, false, Some(signal)) => Exit::Signal(signal),
        (0, false, None) => Exit::Failed,
        (code, ..) => Exit::Program(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_the_program_hides_no_failed_push() {
        let signal = Some(Signal::Terminate);
        for (program, is_pushed, signal, expected) in [
            (0, true, None, 0),
            (0, false, None, 1),
            (7, true, None, 7),
            (7, false, None, 7),
            (0, true, signal, 0),
            (0, false, signal, 143),
            (143, true, signal, 143),
        ] {
            assert_eq!(exit(program, is_pushed, signal).code(), expected, "{program} {is_pushed} {signal:?}");
        }
    }
}
