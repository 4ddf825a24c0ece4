//! `pos3-cli run`: runs a program between its inputs and its outputs.
//!
//! When the program has ended, the session uploads its outputs. pos3 passes signals on to the program, and acts on them
//! itself only after the program has ended.

mod account;
mod error;
mod fields;
mod inputs;
mod mirror;
mod outputs;
mod processes;
mod program;
mod report_file;
mod stage;
mod watch;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use pos3::{Ending, Mirror, Session, Urgency};
use serde::Serialize;
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::args::{Place, RunArgs, Show, Use};
use crate::command_error::{CommandError, ErrorPrefix};
use crate::envelope::NoFields;
use crate::exit::Exit;
use crate::invocation::{Execute, Invocation};
use crate::output::{command_error, note, text};
use crate::progress::Terminal;
use crate::signals;
pub(super) use processes::{Descendants, Left};
pub(super) use program::{Program, check, code};
pub(super) use report_file::{ReportFile, State};
pub(super) use watch::{Arrivals, watch};

use account::Account;
use fields::Fields;
use processes::process_id;
use stage::Audience;

const COMMAND: &str = "run";

/// The interval at which pos3 checks whether the processes that the program started have ended.
const GLANCE: Duration = Duration::from_millis(50);

/// The maximum number of processes that a warning names.
const NAMED: usize = 10;

/// An input or output and its local path.
type LocalPlace<'a> = (Use, &'a Place, PathBuf);

/// A run, from the download of its inputs to its report.
struct Run<'a> {
    args: &'a RunArgs,
    invocation: &'a Invocation,
    audience: Audience,
    arrivals: Arrivals,
    /// SIGUSR1 and SIGUSR2, which have a meaning only for the program.
    notices: UnboundedReceiver<SignalKind>,
}

impl Execute for RunArgs {
    const ERROR_PREFIX: ErrorPrefix = ErrorPrefix::RUN;
    const TERMINAL: Terminal = Terminal::Shared;

    fn name(&self) -> &'static str {
        COMMAND
    }

    /// Its JSON goes to a file, because stdout is the program's.
    fn show(&self) -> Show {
        Show { progress: !self.quiet, ..Show::without_progress(false, self.quiet) }
    }

    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError> {
        let waits = |path: &Path| {
            if !self.quiet {
                note(&format!("waiting for a process that reads the report from '{}'", path.display()));
            }
        };
        let running = || (COMMAND, Fields::of_state(State::Running));
        let open = |path: &Path| ReportFile::open(path, running(), || waits(path));
        let report_file = self.json_report.as_deref().map(open).transpose()?;
        match perform(self, invocation).await {
            Ok(account) => account.give(report_file),
            Err(error) => {
                if let Some(Err(unwritten)) =
                    report_file.map(|file| file.refuse(invocation, &error, &Fields::not_started(error.exit)))
                {
                    invocation.report(&unwritten);
                }
                Err(error)
            }
        }
    }

    fn fields_of_failure(&self, _invocation: &Invocation) -> impl Serialize {
        NoFields {}
    }
}

async fn perform<'a>(args: &'a RunArgs, invocation: &'a Invocation) -> Result<Account<'a>, CommandError> {
    if let Some((first, second)) = args.same_variable() {
        let (first, second, variable) = (&first.name, &second.name, first.variable());
        return Err(CommandError::usage(match first == second {
            true => format!("two places are named '{first}'"),
            false => format!("'{first}' and '{second}' would have the same variable: {variable}"),
        }));
    }
    check(&args.command)?;
    let (arrivals, notices) = (Arrivals::new(signals::each()), signals::user_defined());
    let audience = Audience::new(&invocation.warnings);
    let mut run = Run { args, invocation, audience, arrivals, notices };
    let stage = run.audience.stage(invocation.show);
    let mirror = tokio::select! {
        mirror = mirror::enter(args, &invocation.warnings, &run.audience) => mirror,
        signal = run.arrivals.next() => {
            drop(stage);
            let message = "ended by a signal before the program was started; nothing was uploaded";
            return Err(CommandError::new(Exit::Signal(signal), message));
        }
    };
    drop(stage);
    match mirror {
        Ok(mirror) => run.work(mirror).await,
        Err(error) => {
            text(&error::conflicts(&error));
            Err(error::of_session(&error))
        }
    }
}

impl<'a> Run<'a> {
    /// Runs the program, and then ends the session according to the program's result.
    async fn work(&mut self, mirror: Mirror) -> Result<Account<'a>, CommandError> {
        let paths = mirror::paths(self.args, &mirror).map_err(|error| error::of_session(&error))?;
        let inputs = inputs::inputs(self.args, &paths, &mirror.session().status());
        if !self.args.quiet {
            inputs::local_places(&paths).iter().for_each(|line| note(line));
            inputs.iter().for_each(|input| note(&input.words()));
        }
        let (name, value) = mirror.session().writer_variable();
        let variables = paths.iter().map(|(_, place, path)| (place.variable(), path.clone().into_os_string()));
        let variables = variables.chain([(name.to_owned(), value)]).collect();
        self.drop_early_notices();
        let descendants = Descendants::adopt();
        let started = mirror.session().start_writer(|| Program::start(&self.args.command, variables));
        let mut program = match started {
            Ok(program) => program,
            Err(error) => {
                mirror.discard();
                return Err(error);
            }
        };
        mirror.session().record_writers(program.id().map(process_id).as_slice());
        descendants.reap(program.id());
        let status = watch(&mut program, &mut self.arrivals, &mut self.notices, self.args.grace).await;
        if self.arrivals.count() > 1 {
            mirror.session().urge(Urgency::Abandon);
        }
        let left = self.left(&descendants).await;
        if left != Left::None {
            mirror.session().still_written();
        }
        if let Left::Some(processes) = &left {
            mirror.session().record_writers(processes);
        }
        let succeeded = status.is_some_and(|status| status.success()) && self.arrivals.first().is_none();
        let ending = self.end(mirror.session(), succeeded).await;
        let (signal, statuses) = (self.arrivals.first(), mirror.session().status());
        let (args, invocation) = (self.args, self.invocation);
        Ok(Account { args, invocation, paths, inputs, status, signal, left, statuses, ending })
    }

    /// Ignores each SIGUSR1 and SIGUSR2 that arrived before the program was started.
    fn drop_early_notices(&mut self) {
        if self.notices.try_recv().is_ok() {
            say("a SIGUSR1 or SIGUSR2 came before the program was started, and is not passed on");
        }
        while self.notices.try_recv().is_ok() {}
    }

    /// Returns the processes of the program that still run after its end, and warns of them.
    async fn left(&self, descendants: &Descendants) -> Left {
        let left = descendants.settled().await;
        match &left {
            Left::Some(processes) => self.warn_of(processes),
            Left::Hidden => self.invocation.warnings.warn(
                "the program has ended, but pos3 still has child processes, and /proc does not show whether the program \
                 started them; what they write from now on may not be uploaded, and nothing is deleted remotely",
            ),
            Left::Unknown if self.args.delete_remote && self.arrivals.first().is_none() => {
                self.invocation.warnings.warn(
                    "the program has ended, but this system does not show whether processes that it started still run; \
                 nothing is deleted remotely",
                );
            }
            // Without deletes, as after a signal, it makes no difference.
            Left::Unknown => return Left::None,
            Left::None => {}
        }
        left
    }

    fn warn_of(&self, processes: &[u32]) {
        let named: Vec<_> = processes.iter().take(NAMED).map(ToString::to_string).collect();
        let more = if processes.len() > NAMED { ", …" } else { "" };
        let named = match named.is_empty() {
            true => "each for a moment, one after the other".to_owned(),
            false => format!("PID {}{more}", named.join(", ")),
        };
        self.invocation.warnings.warn(&format!(
            "the program has ended, but processes that it started still run ({named}); what they write from now on may not \
             be uploaded, and nothing is deleted remotely"
        ));
    }

    /// Ends the session. After the first signal, uploads may continue until the deadline. The second signal ends them.
    async fn end(&mut self, session: &Session, succeeded: bool) -> Ending {
        let _stage = self.audience.stage(self.invocation.show);
        let mut ending = pin!(async { if succeeded { session.close().await } else { session.give_up().await } });
        loop {
            tokio::select! {
                biased;
                ending = &mut ending => return ending,
                _signal = self.arrivals.next() => match self.arrivals.count() {
                    1 => {
                        let seconds = self.args.deadline.as_secs();
                        say(&format!("uploads end within {seconds} s; send the signal again to end immediately"));
                        session.urge(Urgency::Hurry);
                    }
                    _ => session.urge(Urgency::Abandon),
                }
            }
        }
    }
}

/// Prints a line about the run.
fn say(line: &str) {
    command_error(COMMAND, line, None);
}
