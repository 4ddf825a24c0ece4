//! The account of a run, or of a plan that nobody executed: to people on stderr, to programs on stdout.

use std::io;

use pos3::{Location, Plan, Report, Side, Stop, one_line};

use crate::args::{Detail, Show};
use crate::exit::Exit;
use crate::json::{self, ErrorJson, SyncJson};
use crate::lines::Lines;
use crate::warnings::Warnings;
use crate::{hints, output, summary};

/// What a run came to.
pub(super) struct Outcome {
    pub(super) report: Report,
    /// What would be done; only where nothing was.
    pub(super) plan: Option<Plan>,
}

/// What is told of, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account<'a> {
    pub(super) command: &'static str,
    pub(super) from: &'a Location,
    pub(super) to: &'a Location,
    pub(super) show: Show,
    pub(super) warnings: &'a Warnings,
    pub(super) plans: Plans,
}

/// What becomes of a plan that is not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plans {
    /// There is none: what it says is done.
    Done,
    /// It is shown, one line each.
    Shown,
    /// It was written elsewhere.
    Written,
}

impl Outcome {
    /// Returns the outcome of a plan in which nothing was done.
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
    /// Says what happened.
    pub(super) fn tell(&self, outcome: &Outcome, exit: Exit) -> Exit {
        let Outcome { report, plan } = outcome;
        let Show { json, detail, .. } = self.show;
        let lines = Lines::new(self.from, self.to);
        let error = report.stopped.as_ref().map(|stop| self.early_end(stop, report, &lines));
        output::data(|out| match (json, plan) {
            (true, _) => {
                let shown = plan.as_ref().filter(|_| self.plans == Plans::Shown);
                json::write(out, &self.object(exit).with_report(report, shown).with_error(error.clone()))
            }
            (false, Some(plan)) if self.plans == Plans::Shown => {
                plan.actions().try_for_each(|action| match lines.line(&action.map_err(io::Error::other)?) {
                    Some(line) => writeln!(out, "(dryrun) {line}"),
                    None => Ok(()),
                })
            }
            (false, _) => Ok(()),
        });
        output::notes(|out| summary::problems(out, report, &lines, detail));
        if let Some(ErrorJson { message, hint }) = &error {
            output::error(message, hint.as_deref());
        } else if let Some(hint) = hints::for_report(report, hints::SKIP_ARCHIVED) {
            output::note(&format!("hint: {hint}"));
        }
        if detail != Detail::Quiet {
            output::notes(|out| summary::account(out, report, plan.as_ref(), detail));
        }
        exit
    }

    /// Says why nothing was begun.
    pub(super) fn not_begun(&self, exit: Exit, message: &str, hint: Option<String>) -> Exit {
        output::error(message, hint.as_deref());
        if !self.show.json {
            return exit;
        }
        let error = ErrorJson { message: message.to_owned(), hint };
        output::data(|out| json::write(out, &self.object(exit).with_error(Some(error))));
        exit
    }

    fn object(&self, exit: Exit) -> SyncJson<'_> {
        let object = SyncJson::new(self.command, (self.from, self.to), self.plans != Plans::Done, exit);
        object.with_warnings(self.warnings)
    }

    /// Returns why a run ended early, or why there is no plan.
    pub(super) fn early_end(&self, stop: &Stop, report: &Report, lines: &Lines) -> ErrorJson {
        let message = match stop {
            Stop::Listing { side, error, .. } => {
                let location = match side {
                    Side::Source => self.from,
                    Side::Target => self.to,
                };
                format!("cannot list the {} '{location}': {}", side.as_str(), error.cause())
            }
            Stop::Refused(refusal) => {
                let safe = if report.copied > 0 { "nothing was deleted" } else { "nothing was touched" };
                format!("refused, {safe}: {refusal} (source '{}', target '{}')", self.from, self.to)
            }
            Stop::Spill(error) if self.plans == Plans::Done => {
                format!("the run ended early, nothing more was deleted: {}", one_line(error))
            }
            Stop::Spill(error) => format!("cannot make the plan: {}", one_line(error)),
            Stop::Fatal(failure) => format!("the run ended early: {}", lines.failure(failure)),
            Stop::Cancelled if self.plans == Plans::Done => "ended by a signal; nothing more was deleted".to_owned(),
            Stop::Cancelled => "ended by a signal; nothing was touched".to_owned(),
            other => format!("the run ended early: {other:?}"),
        };
        ErrorJson { message, hint: hints::for_stop(stop) }
    }
}
