//! The frame of every command: how it is executed, and how its error is reported on stderr and in JSON.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::args::Show;
use crate::command_error::{CommandError, ErrorPrefix};
use crate::envelope::{Envelope, Head, ResultFields};
use crate::exit::Exit;
use crate::output;
use crate::progress::{Terminal, Watch};
use crate::warnings::Warnings;

/// A command, with its arguments.
pub(crate) trait Execute {
    /// The start of the lines that report its errors.
    const ERROR_PREFIX: ErrorPrefix = ErrorPrefix::Error;

    /// Whether it uses the terminal alone.
    const TERMINAL: Terminal = Terminal::Own;

    /// Returns its name, as users type it and as its JSON has it.
    fn name(&self) -> &'static str;

    /// Returns how much the command prints, and in which format.
    fn show(&self) -> Show;

    /// Executes it. The caller reports an error; a command that fails after it has printed something reports the error
    /// itself and returns the exit code.
    async fn execute(&self, invocation: &Invocation) -> Result<Exit, CommandError>;

    /// Returns its own JSON fields for an execution that failed before it had a result.
    fn fields_of_failure(&self, invocation: &Invocation) -> impl Serialize;
}

/// One execution of a command.
pub(crate) struct Invocation {
    name: &'static str,
    error_prefix: ErrorPrefix,
    pub(crate) show: Show,
    pub(crate) warnings: Warnings,
    start: Instant,
}

/// Executes a command and reports its error.
pub(crate) async fn execute<C: Execute>(command: &C) -> Exit {
    let show = command.show();
    let invocation = Invocation {
        name: command.name(),
        error_prefix: C::ERROR_PREFIX,
        show,
        warnings: Warnings::new(show.detail),
        start: Instant::now(),
    };
    let _watch = Watch::start(show, C::TERMINAL);
    match command.execute(&invocation).await {
        Ok(exit) => exit,
        Err(error) => invocation.fail(&error, command.fields_of_failure(&invocation)),
    }
}

impl Invocation {
    /// Reports an error on stderr and, with `--json`, as an object with these fields. Returns the exit code.
    pub(crate) fn fail(&self, error: &CommandError, fields: impl Serialize) -> Exit {
        self.report(error);
        if self.show.json {
            output::data(|out| self.envelope(error.exit, Some(error), fields).write(out));
        }
        error.exit
    }

    /// Reports an error on stderr.
    pub(crate) fn report(&self, error: &CommandError) {
        error.report(self.error_prefix);
    }

    /// Returns the JSON object with these fields.
    pub(crate) fn envelope<'a, T>(&'a self, exit: Exit, error: Option<&'a CommandError>, data: T) -> Envelope<'a, T> {
        Envelope { head: self.head(), result: self.result(exit, error), data }
    }

    /// Returns the first fields of the JSON object, for a command that writes it in parts.
    pub(crate) fn head(&self) -> Head<'_> {
        Head::new(Some(self.name))
    }

    /// Returns the fields of the result, for a command that writes its JSON object in parts.
    pub(crate) fn result<'a>(&self, exit: Exit, error: Option<&'a CommandError>) -> ResultFields<'a> {
        ResultFields::new(exit, error, self.warnings.all())
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
