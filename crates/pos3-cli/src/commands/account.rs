//! The account of a run, or of a plan that is not executed: text on stderr, lines or JSON on stdout.

use std::io;

use pos3::{Location, Plan, Report, Stop};

use crate::args::Detail;
use crate::command_error::{CommandError, Purpose};
use crate::exit::Exit;
use crate::invocation::Invocation;
use crate::json::SyncFields;
use crate::lines::Lines;
use crate::{hints, output, summary};

/// The outcome of a run.
pub(super) struct Outcome {
    pub(super) report: Report,
    /// The plan, if it was not executed.
    pub(super) plan: Option<Plan>,
}

/// Gives account of the outcome of a command.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) invocation: &'a Invocation,
    pub(super) from: &'a Location,
    pub(super) to: &'a Location,
    pub(super) plans: Plans,
}

/// How the command uses its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plans {
    Executed,
    /// It prints one line for each action.
    Shown,
    /// It has written the plan to a file or to stdout.
    Written,
}

impl Outcome {
    /// Returns the outcome of making a plan.
    pub(super) fn of_plan(plan: Result<Plan, Stop>) -> Self {
        match plan {
            Ok(plan) => Self { report: Report::of_plan(&plan), plan: Some(plan) },
            Err(stop) => {
                let mut report = Report::default();
                report.stopped = Some(stop);
                Self { report, plan: None }
            }
        }
    }
}

impl Account<'_> {
    /// Reports the outcome. `signal` is the exit code of the signal that ended the run, if one did. Returns the exit code.
    pub(super) fn give(&self, outcome: &Outcome, signal: Option<Exit>) -> Exit {
        let Outcome { report, plan } = outcome;
        let detail = self.invocation.show.detail;
        let exit = Exit::of_report(report, signal);
        let error = report
            .stopped
            .as_ref()
            .map(|stop| CommandError::of_stop(stop, self.plans.purpose(), (self.from, self.to), report.copied, signal));
        self.invocation.warnings.warn_of(report);
        self.write_data(outcome, exit, error.as_ref());
        output::notes(|out| summary::problems(out, report, &self.lines(), detail));
        if let Some(error) = &error {
            self.invocation.report(error);
        } else if let Some(hint) = hints::for_report(report, hints::Advice::OF_PLANS) {
            output::note(&format!("hint: {hint}"));
        }
        if detail != Detail::Quiet {
            output::notes(|out| summary::account(out, report, plan.as_ref(), detail));
        }
        exit
    }

    /// Reports the error of a run that was not started. Returns the exit code.
    pub(super) fn fail(&self, error: &CommandError) -> Exit {
        self.invocation.fail(error, self.fields())
    }

    fn write_data(&self, outcome: &Outcome, exit: Exit, error: Option<&CommandError>) {
        let shown = outcome.plan.as_ref().filter(|_| self.plans == Plans::Shown);
        output::data(|out| match shown {
            _ if self.invocation.show.json => {
                let fields = self.fields().with_report(&outcome.report, shown);
                self.invocation.envelope(exit, error, fields).write(out)
            }
            Some(plan) => {
                let lines = self.lines();
                plan.actions().try_for_each(|action| match lines.line(&action.map_err(io::Error::other)?) {
                    Some(line) => writeln!(out, "(dryrun) {line}"),
                    None => Ok(()),
                })
            }
            None => Ok(()),
        });
    }

    fn fields(&self) -> SyncFields<'_> {
        SyncFields::new((self.from, self.to), self.plans != Plans::Executed)
    }

    fn lines(&self) -> Lines {
        Lines::new(self.from, self.to)
    }
}

impl Plans {
    fn purpose(self) -> Purpose {
        match self {
            Self::Executed => Purpose::Sync,
            Self::Shown | Self::Written => Purpose::Plan,
        }
    }
}
