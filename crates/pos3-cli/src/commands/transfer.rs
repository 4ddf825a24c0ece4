//! What `download` and `upload` have in common: one transfer of one place, and the account of it.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Instant;

use pos3::{Error, Location, Report, Session, SessionError, TransferPlan};

use super::contract;
use super::session::{self, Sessions};
use crate::args::{Detail, Show, TransferArgs};
use crate::exit::Exit;
use crate::json::{self, ErrorJson, SyncJson};
use crate::lines::Lines;
use crate::progress::Progress;
use crate::signals::Signals;
use crate::warnings::Warnings;
use crate::{output, summary};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Down,
    Up,
}

/// A command at work.
pub(super) struct Transfer<'a> {
    pub(super) args: &'a TransferArgs,
    way: Way,
    location: Location,
    /// Where the local copy is, or will be.
    pub(super) path: PathBuf,
    sessions: Sessions<'a>,
    /// The words for its actions, which learn from the events whether it is one file.
    lines: Lines,
    warnings: Warnings,
    pub(super) signals: Signals,
}

/// What a person is to be told when nothing was begun.
pub(super) struct NotBegun {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl<'a> Transfer<'a> {
    /// Checks the URL and finds the local path; this touches nothing.
    pub(super) fn new(way: Way, args: &'a TransferArgs) -> Result<Self, NotBegun> {
        if !args.url.starts_with("s3://") {
            let message = format!("url must be an s3:// URL, got: {}", args.url);
            return Err(NotBegun { exit: Exit::Failed, message, hint: None });
        }
        let warnings = Warnings::new(args.show.show().detail);
        let mut location: Location = args.url.parse().map_err(Error::from).map_err(SessionError::from)?;
        args.session.s3.locate(&mut location);
        let sessions = Sessions::new(&args.session, &warnings, &[&location])?;
        let path = sessions.builder().open()?.local_path(&location.to_string(), args.local.as_deref(), None)?;
        let local = Location::Local(path.clone());
        let lines = match way {
            Way::Down => Lines::new(&location, &local),
            Way::Up => Lines::new(&local, &location),
        };
        Ok(Self { args, way, location, path, lines, sessions, warnings, signals: Signals::listen() })
    }

    /// Returns the place as the session takes it.
    pub(super) fn url(&self) -> String {
        self.location.to_string()
    }

    /// Works with a session while progress is shown; a signal ends in good order what it is at.
    pub(super) async fn with_session<T>(
        &self,
        work: impl AsyncFnOnce(&Session) -> Result<T, SessionError>,
    ) -> Result<T, SessionError> {
        let progress = Progress::start(self.show());
        let builder = self.sessions.builder().observer(progress.watcher(&self.lines(), self.show()));
        let session = builder.open()?;
        let done = {
            let mut work = pin!(work(&session));
            tokio::select! {
                biased;
                done = &mut work => done,
                () = self.signals.cancelled() => {
                    session.abort();
                    work.await
                }
            }
        };
        progress.end();
        done
    }

    /// Says what was done, and ends with this code; `path` is what stdout is told, where that is wanted.
    pub(super) fn done(&self, report: Option<&Report>, path: Option<&Path>, exit: Exit) -> Exit {
        let nothing = Report::default();
        let report = report.unwrap_or(&nothing);
        output::data(|out| match path {
            _ if self.show().json => json::write(out, &self.object(false, exit).with_report(report, None)),
            Some(path) => output::path(out, path),
            None => Ok(()),
        });
        if self.show().detail != Detail::Quiet {
            output::notes(|out| summary::account(out, report, None, self.show().detail));
        }
        exit
    }

    /// Makes a plan with a session and says what would be done.
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

    /// Shows what would be done.
    fn planned(&self, planned: &TransferPlan, begin: Instant) -> Exit {
        let mut report = Report::of_plan(&planned.plan);
        report.usage = planned.usage();
        report.elapsed = begin.elapsed();
        let exit = Exit::of_report(&report, None);
        output::data(|out| {
            if self.show().json {
                return json::write(out, &self.object(true, exit).with_report(&report, Some(&planned.plan)));
            }
            for copy in planned.copies() {
                let (from, to) = copy.map_err(io::Error::other)?;
                writeln!(out, "(dryrun) {}: {from} to {to}", self.verb())?;
            }
            let mut deletes = planned.deletes();
            deletes.try_for_each(|target| writeln!(out, "(dryrun) delete: {}", target.map_err(io::Error::other)?))
        });
        output::notes(|out| summary::problems(out, &report, &self.lines(), self.show().detail));
        if self.show().detail != Detail::Quiet {
            output::notes(|out| summary::account(out, &report, Some(&planned.plan), self.show().detail));
        }
        exit
    }

    /// Says why not everything was done, and what was.
    pub(super) fn failed(&self, error: &SessionError) -> Exit {
        let exit = exit_of(error, self.signals.exit());
        let report = report_of(error);
        if let Some(report) = report {
            output::notes(|out| summary::problems(out, report, &self.lines(), self.show().detail));
        }
        let (message, hint) = (contract::failed(self.way, error, &self.lines()), hint(error));
        output::command_error(self.command(), &message, hint.as_deref());
        if let Some(report) = report.filter(|_| self.show().detail != Detail::Quiet) {
            output::notes(|out| summary::account(out, report, None, self.show().detail));
        }
        if !self.show().json {
            return exit;
        }
        let object = self.object(self.args.dry_run, exit).with_error(Some(ErrorJson { message, hint }));
        let object = match report {
            Some(report) => object.with_report(report, None),
            None => object,
        };
        output::data(|out| json::write(out, &object));
        exit
    }

    pub(super) fn show(&self) -> Show {
        self.args.show.show()
    }

    fn command(&self) -> &'static str {
        self.way.command()
    }

    fn verb(&self) -> &'static str {
        self.way.command()
    }

    fn lines(&self) -> Lines {
        self.lines.clone()
    }

    fn object(&self, dry_run: bool, exit: Exit) -> SyncJson<'_> {
        let local = Location::Local(self.path.clone());
        let places = match self.way {
            Way::Down => (&self.location, &local),
            Way::Up => (&local, &self.location),
        };
        SyncJson::new(self.command(), places, dry_run, exit).with_warnings(&self.warnings)
    }
}

impl Way {
    fn command(self) -> &'static str {
        match self {
            Self::Down => "download",
            Self::Up => "upload",
        }
    }
}

impl NotBegun {
    /// Returns a failure with a message of its own.
    pub(super) fn failed(message: String) -> Self {
        Self { exit: Exit::Failed, message, hint: None }
    }

    /// Says why.
    pub(super) fn tell(self, way: Way, args: &TransferArgs) -> Exit {
        let Self { exit, message, hint } = self;
        output::command_error(way.command(), &message, hint.as_deref());
        if !args.show.show().json {
            return exit;
        }
        let object = SyncJson::without_places(way.command(), args.dry_run, exit);
        let object = object.with_error(Some(ErrorJson { message, hint }));
        output::data(|out| json::write(out, &object));
        exit
    }
}

impl From<SessionError> for NotBegun {
    fn from(error: SessionError) -> Self {
        let message = match &error {
            SessionError::Open(error) => contract::not_begun(error),
            error => session::message(error),
        };
        Self { exit: exit_of(&error, None), message, hint: session::hint(&error) }
    }
}

/// Returns advice on an error, with the options of these commands.
fn hint(error: &SessionError) -> Option<String> {
    let hint = session::hint(error)?;
    Some(match error {
        SessionError::Missing { .. } => {
            format!("{hint}; with --delete, --allow-empty accepts a location that is empty")
        }
        _ => hint,
    })
}

fn report_of(error: &SessionError) -> Option<&Report> {
    match error {
        SessionError::Transfer { report, .. } => Some(&report.0),
        SessionError::Several(errors) => errors.iter().find_map(report_of),
        _ => None,
    }
}

fn exit_of(error: &SessionError, signal: Option<Exit>) -> Exit {
    match error {
        SessionError::Open(error) => Exit::of_contract(error),
        error => session::exit(error, signal),
    }
}
