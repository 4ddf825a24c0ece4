//! `pos3-cli run`: a program between its inputs and its outputs.
//!
//! However the program ends, its outputs are treated as a session treats them; a signal is the program's first, and ours
//! when it has ended.

mod account;
mod program;
mod report_file;
mod stage;

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use pos3::{
    DownloadOptions, Ending, Mirror, RemoteDelete, Session, SessionBuilder, SessionError, Signal, SyncBothOptions,
    UploadOptions,
};
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc::UnboundedReceiver;

use super::session::{self, Sessions};
use crate::args::{Detail, Place, RunArgs, Show, Use};
use crate::exit::Exit;
use crate::output;
use crate::signals;
use crate::warnings::Warnings;
use account::Account;
use program::{NotStarted, Program};
use report_file::ReportFile;
use stage::Audience;

const COMMAND: &str = "run";

/// A time that nobody waits for.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How often it is looked whether the processes that the program started have ended.
const GLANCE: Duration = Duration::from_millis(50);

/// How long processes that end together with the program may take.
const SETTLING: Duration = Duration::from_millis(500);

/// The most processes that a warning names.
const NAMED: usize = 10;

/// A run from its inputs to its account.
struct Run<'a> {
    args: &'a RunArgs,
    warnings: Warnings,
    audience: Audience,
    arrivals: Arrivals,
    /// SIGUSR1 and SIGUSR2, which only the program understands.
    notices: UnboundedReceiver<SignalKind>,
}

/// The signals that came, one after the other.
struct Arrivals {
    stream: UnboundedReceiver<Signal>,
    first: Option<Signal>,
    count: usize,
}

/// Why a program was not started.
struct Refused {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: &RunArgs) -> Exit {
    let report_file = match args.json_report.as_deref().map(ReportFile::open).transpose() {
        Ok(file) => file,
        Err(unusable) => return Refused::new(Exit::Failed, unusable).tell(None),
    };
    match perform(args).await {
        Ok(account) => account.tell(report_file),
        Err(refused) => refused.tell(report_file),
    }
}

async fn perform(args: &RunArgs) -> Result<Account<'_>, Refused> {
    if let Some(name) = args.duplicate() {
        return Err(Refused::new(Exit::Usage, format!("two places are named '{name}'")));
    }
    program::check(&args.command)?;
    let warnings = Warnings::new(if args.quiet { Detail::Quiet } else { Detail::Usual });
    let arrivals = Arrivals { stream: signals::each(), first: None, count: 0 };
    let notices = signals::user_defined();
    let audience = Audience::new(&warnings);
    let mut run = Run { args, audience, warnings, arrivals, notices };
    let stage = run.audience.stage(run.show());
    let mirror = tokio::select! {
        mirror = enter(args, &run.warnings, &run.audience) => mirror,
        signal = run.arrivals.next() => {
            drop(stage);
            let message = "ended by a signal before the program was started; nothing was uploaded";
            return Err(Refused::new(Exit::Signal(signal), message.to_owned()));
        }
    };
    drop(stage);
    match mirror {
        Ok(mirror) => run.work(mirror).await,
        Err(error) => {
            output::text(&session::conflicts(&error));
            let hint = account::hint(&error);
            Err(Refused { exit: session::exit(&error, None), message: session::message(&error), hint })
        }
    }
}

/// Fetches the inputs.
async fn enter(args: &RunArgs, warnings: &Warnings, audience: &Audience) -> Result<Mirror, SessionError> {
    let locations: Vec<_> = args.places().map(|(_, place)| &place.location).collect();
    let own = super::state_files();
    if let Some(report) = &args.json_report {
        own.add(report);
    }
    let sessions = Sessions::new(&args.session, warnings, &locations)?.with_own_files(own);
    let builder = sessions.builder().deadline(args.deadline).observer(audience.clone());
    declare(args, builder).await
}

async fn declare(args: &RunArgs, builder: SessionBuilder) -> Result<Mirror, SessionError> {
    let exclude = &args.session.exclude;
    let upload = UploadOptions::default()
        .with_interval(args.interval.0)
        .with_sync_on_error(args.sync_on_error)
        .with_delete(if args.delete_remote { RemoteDelete::Seen } else { RemoteDelete::Never })
        .with_guards(args.guards())
        .with_symlinks(args.symlinks())
        .with_exclude(exclude.clone());
    let download = DownloadOptions::default()
        .with_delete(args.delete_local)
        .with_guards(args.guards())
        .with_exclude(exclude.clone());
    let upload = |place: &Place| upload.clone().with_shape(place.shape);
    let sync = SyncBothOptions::default().with_delete_local(args.delete_local);
    let declared = args.places().fold(Mirror::builder(builder), |mirror, (kind, place)| match kind {
        Use::Download => mirror.download(&place.name, place.url(), download.clone()),
        Use::Upload => mirror.upload(&place.name, place.url(), upload(place)),
        Use::Sync => mirror.sync(&place.name, place.url(), sync.clone().with_upload(upload(place))),
    });
    declared.enter().await
}

impl<'a> Run<'a> {
    /// Runs the program, and then ends the session by how it ended.
    async fn work(&mut self, mirror: Mirror) -> Result<Account<'a>, Refused> {
        let paths = paths(self.args, &mirror).map_err(|error| Refused::new(Exit::Failed, session::message(&error)))?;
        let inputs = account::inputs(self.args, &paths, &mirror.session().status());
        if !self.args.quiet {
            account::local_places(&paths).iter().for_each(|line| output::note(line));
            inputs.iter().for_each(|input| output::note(&input.words()));
        }
        let variables = paths.iter().map(|(_, place, path)| (place.variable(), path.clone())).collect();
        self.drop_early_notices();
        let mut program = match Program::start(&self.args.command, variables) {
            Ok(program) => program,
            Err(not_started) => {
                mirror.discard();
                return Err(not_started.into());
            }
        };
        let status = watch(&mut program, &mut self.arrivals, &mut self.notices, self.args.grace).await;
        if self.arrivals.count > 1 {
            mirror.session().abandon();
        } else if self.arrivals.first.is_none() {
            self.warn_of_processes(&program).await;
        }
        let succeeded = status.is_some_and(|status| status.success()) && self.arrivals.first.is_none();
        let ending = self.end(mirror.session(), succeeded).await;
        let (signal, statuses, warnings) = (self.arrivals.first, mirror.session().status(), self.warnings.told());
        Ok(Account { args: self.args, paths, inputs, status, signal, statuses, ending, warnings })
    }

    /// Drops each SIGUSR1 and SIGUSR2 that came before there was a program.
    fn drop_early_notices(&mut self) {
        if self.notices.try_recv().is_ok() {
            say("a SIGUSR1 or SIGUSR2 came before the program was started, and is not passed on");
        }
        while self.notices.try_recv().is_ok() {}
    }

    /// Warns of processes that the program started and that have not ended with it.
    async fn warn_of_processes(&self, program: &Program) {
        let end = tokio::time::Instant::now() + SETTLING;
        let mut left = program.group();
        while !left.is_empty() && tokio::time::Instant::now() < end {
            tokio::time::sleep(GLANCE).await;
            left = program.group();
        }
        if left.is_empty() {
            return;
        }
        let named: Vec<_> = left.iter().take(NAMED).map(ToString::to_string).collect();
        let more = if left.len() > NAMED { ", …" } else { "" };
        self.warnings.tell(&format!(
            "the program has ended, but processes that it started still run (PID {}{more}); what they write from now on \
             may not be uploaded",
            named.join(", ")
        ));
    }

    /// Ends the session. The first signal that comes meanwhile leaves the uploads the deadline, a second ends them.
    async fn end(&mut self, session: &Session, succeeded: bool) -> Ending {
        let _stage = self.audience.stage(self.show());
        let mut ending = pin!(async { if succeeded { session.close().await } else { session.give_up().await } });
        loop {
            tokio::select! {
                biased;
                ending = &mut ending => return ending,
                _signal = self.arrivals.next() => match self.arrivals.count {
                    1 => {
                        let seconds = self.args.deadline.as_secs();
                        say(&format!("uploads end within {seconds} s; once more to end at once"));
                        session.hurry();
                    }
                    _ => session.abandon(),
                }
            }
        }
    }

    fn show(&self) -> Show {
        let detail = if self.args.quiet { Detail::Quiet } else { Detail::Usual };
        Show { json: false, detail, progress: !self.args.quiet }
    }
}

fn paths<'a>(args: &'a RunArgs, mirror: &Mirror) -> Result<Vec<(Use, &'a Place, PathBuf)>, SessionError> {
    args.places().map(|(kind, place)| Ok((kind, place, mirror.path(&place.name)?.to_owned()))).collect()
}

/// Waits for the program's end. The first signal is passed on and starts the time of grace, in which what the program
/// started must end, too; the second kills.
async fn watch(
    program: &mut Program,
    arrivals: &mut Arrivals,
    notices: &mut UnboundedReceiver<SignalKind>,
    grace: Duration,
) -> Option<ExitStatus> {
    let mut patience = pin!(tokio::time::sleep(FOREVER));
    let (mut ended, mut killed) = (None, false);
    loop {
        if let Some(status) = ended
            && (killed || arrivals.first.is_none() || program.group().is_empty())
        {
            return status;
        }
        tokio::select! {
            biased;
            status = program.wait(), if ended.is_none() => ended = Some(status.ok()),
            signal = arrivals.next() => {
                if arrivals.count > 1 {
                    program.kill();
                    killed = true;
                } else {
                    program.pass_on(signal);
                    patience.set(tokio::time::sleep(grace));
                }
            }
            Some(signal) = notices.recv() => program.notify(signal),
            () = &mut patience, if !killed => {
                let what = if ended.is_some() { "what the program started" } else { "the program" };
                say(&format!("{what} did not end in time and is killed"));
                program.kill();
                killed = true;
            }
            () = tokio::time::sleep(GLANCE), if ended.is_some() => {}
        }
    }
}

impl Arrivals {
    /// Waits for a signal.
    async fn next(&mut self) -> Signal {
        match self.stream.recv().await {
            Some(signal) => {
                self.first.get_or_insert(signal);
                self.count += 1;
                signal
            }
            None => std::future::pending().await,
        }
    }
}

/// Reports that a program cannot be started, and returns the exit code.
#[cfg(target_os = "linux")]
pub(crate) fn not_started(name: &std::ffi::OsStr, error: &std::io::Error) -> Exit {
    Refused::from(program::not_started(name, error)).tell(None)
}

impl Refused {
    fn new(exit: Exit, message: String) -> Self {
        Self { exit, message, hint: None }
    }

    /// Says why, to people and in the report.
    fn tell(self, report_file: Option<ReportFile>) -> Exit {
        output::command_error(COMMAND, &self.message, self.hint.as_deref());
        if let Some(Err(unwritten)) = report_file.map(|mut file| file.refuse(&self)) {
            output::command_error(COMMAND, &unwritten, None);
        }
        self.exit
    }
}

impl From<NotStarted> for Refused {
    fn from(not_started: NotStarted) -> Self {
        Self::new(not_started.exit, not_started.message)
    }
}

/// Says what this command does.
fn say(line: &str) {
    output::command_error(COMMAND, line, None);
}
