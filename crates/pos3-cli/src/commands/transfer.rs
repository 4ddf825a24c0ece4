//! The parts that `download` and `upload` share: one transfer of one location, and the account of it.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Instant;

use pos3::{Error, Event, Location, Observer, Report, Session, SessionError, TransferPlan, Urgency};

use super::session::Sessions;
use crate::args::{Detail, Show, TransferArgs};
use crate::command_error::{CommandError, Direction};
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::json::SyncFields;
use crate::lines::Lines;
use crate::progress::{Progress, Watcher};
use crate::signals::Signals;
use crate::warnings::Warnings;
use crate::{output, summary};

/// A transfer.
pub(super) struct Transfer<'a> {
    pub(super) args: &'a TransferArgs,
    invocation: &'a Invocation,
    direction: Direction,
    remote: Location,
    /// The local path, which may not exist yet.
    pub(super) path: PathBuf,
    local: Location,
    sessions: Sessions<'a>,
    /// The text of its actions. It learns from the events whether the transfer is one file.
    lines: Lines,
    signals: Signals,
}

/// The observer of the session. It also prints warnings that no report contains.
struct Audience {
    watcher: Watcher,
    warnings: Warnings,
    /// The text before the warnings of the report. There is only one location, so its name is not repeated.
    prefix: String,
}

impl Observer for Audience {
    fn event(&self, event: &Event<'_>) {
        if let Event::Warning(warning) = event {
            self.warnings.warn(warning.strip_prefix(&self.prefix).unwrap_or(warning));
        }
        self.watcher.event(event);
    }
}

impl<'a> Transfer<'a> {
    /// Checks the URL and determines the local path. This changes nothing.
    pub(super) fn new(
        direction: Direction,
        args: &'a TransferArgs,
        invocation: &'a Invocation,
    ) -> Result<Self, CommandError> {
        if !args.url.starts_with("s3://") {
            return Err(CommandError::failed(format!("url must be an s3:// URL, got: {}", args.url)));
        }
        let not_started = |error: SessionError| CommandError::of_python_session(&error);
        let mut remote: Location = args.url.parse().map_err(|error| not_started(Error::from(error).into()))?;
        args.session.s3.add_profile([&mut remote]);
        let sessions = Sessions::new(&args.session, &invocation.warnings, &[&remote]).map_err(not_started)?;
        let path = sessions.builder().open().and_then(|session| {
            let path = session.local_path(&remote.to_string(), args.local.as_deref(), None)?;
            Ok(path)
        });
        let path = path.map_err(not_started)?;
        let local = Location::Local(path.clone());
        let lines = match direction {
            Direction::Download => Lines::new(&remote, &local),
            Direction::Upload => Lines::new(&local, &remote),
        };
        let signals = Signals::listen();
        Ok(Self { args, invocation, direction, remote, path, local, sessions, lines, signals })
    }

    /// Returns the remote location as a session expects it.
    pub(super) fn url(&self) -> String {
        self.remote.to_string()
    }

    /// Works with a session while progress is shown. A signal ends the session in good order.
    pub(super) async fn with_session<T>(
        &self,
        work: impl AsyncFnOnce(&Session) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let progress = Progress::start(self.show());
        let watcher = progress.watcher(&self.lines, self.show());
        let audience =
            Audience { watcher, warnings: self.invocation.warnings.clone(), prefix: format!("'{}': ", self.url()) };
        let session = self.sessions.builder().observer(audience).open()?;
        let done = {
            let mut work = pin!(work(&session));
            tokio::select! {
                biased;
                done = &mut work => done,
                () = self.signals.cancelled() => {
                    session.urge(Urgency::Stop);
                    work.await
                }
            }
        };
        progress.end();
        done
    }

    /// Reports a transfer that ended without an error of the session. `path` is printed to stdout. `error` is an error of
    /// this command. Returns the exit code.
    pub(super) fn done(&self, report: Option<&Report>, path: Option<&Path>, error: Option<&CommandError>) -> Exit {
        let nothing = Report::default();
        let report = report.unwrap_or(&nothing);
        let exit = error.map_or(Exit::Done, |error| error.exit);
        if let Some(error) = error {
            self.invocation.report(error);
        }
        self.invocation.warnings.warn_of(report);
        output::data(|out| match path {
            _ if self.show().json => {
                self.invocation.envelope(exit, error, self.fields().with_report(report, None)).write(out)
            }
            Some(path) => output::path(out, path),
            None => Ok(()),
        });
        if self.show().detail != Detail::Quiet {
            output::notes(|out| summary::account(out, report, None, self.show().detail));
        }
        exit
    }

    /// Makes a plan with a session and shows it.
    pub(super) async fn show_plan(
        &self,
        plan: impl AsyncFnOnce(&Session) -> Result<TransferPlan, SessionError>,
    ) -> Exit {
        let begin = Instant::now();
        match self.with_session(plan).await {
            Ok(plan) => self.planned(&plan, begin),
            Err(error) => self.failed(&error),
        }
    }

    fn planned(&self, planned: &TransferPlan, begin: Instant) -> Exit {
        let mut report = Report::of_plan(&planned.plan);
        report.usage = planned.usage();
        report.elapsed = begin.elapsed();
        let exit = Exit::of_report(&report, None);
        self.invocation.warnings.warn_of(&report);
        output::data(|out| {
            if self.show().json {
                let fields = self.fields().with_report(&report, Some(&planned.plan));
                return self.invocation.envelope(exit, None, fields).write(out);
            }
            for copy in planned.copies() {
                let (from, to) = copy.map_err(io::Error::other)?;
                writeln!(out, "(dryrun) {}: {from} to {to}", self.direction.verb())?;
            }
            let mut deletes = planned.deletes();
            deletes.try_for_each(|target| writeln!(out, "(dryrun) delete: {}", target.map_err(io::Error::other)?))
        });
        output::notes(|out| summary::problems(out, &report, &self.lines, self.show().detail));
        if self.show().detail != Detail::Quiet {
            output::notes(|out| summary::account(out, &report, Some(&planned.plan), self.show().detail));
        }
        exit
    }

    /// Reports a transfer that failed, and what it did before. Returns the exit code.
    pub(super) fn failed(&self, error: &SessionError) -> Exit {
        let report = report_of(error);
        if let Some(report) = report {
            self.invocation.warnings.warn_of(report);
            output::notes(|out| summary::problems(out, report, &self.lines, self.show().detail));
        }
        let error = CommandError::of_transfer(self.direction, error, &self.lines, self.signals.exit());
        let fields = match report {
            Some(report) => self.fields().with_report(report, None),
            None => self.fields(),
        };
        self.invocation.fail(&error, fields);
        if let Some(report) = report.filter(|_| self.show().detail != Detail::Quiet) {
            output::notes(|out| summary::account(out, report, None, self.show().detail));
        }
        error.exit
    }

    fn show(&self) -> Show {
        self.invocation.show
    }

    fn fields(&self) -> SyncFields<'_> {
        let locations = match self.direction {
            Direction::Download => (&self.remote, &self.local),
            Direction::Upload => (&self.local, &self.remote),
        };
        SyncFields::new(locations, self.args.dry_run)
    }
}

fn report_of(error: &SessionError) -> Option<&Report> {
    match error {
        SessionError::Transfer { report, .. } => Some(&report.0),
        SessionError::Several(errors) => errors.iter().find_map(report_of),
        _ => None,
    }
}
