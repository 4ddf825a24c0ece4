//! `pos3-cli check`: what differs between two locations, in the lines of `rclone check --combined`.
//!
//! It is the plan of a sync that nobody executes, told as differences.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::Instant;

use pos3::{
    Action, CancellationToken, Change, Error, Event, FileProvider, Key, Observer, Plan, Role, Side, Signal, SkipReason,
    Sorted, Sorter, SpillError, Stop, Sync, Tally, Usage, one_line,
};
use serde::{Deserialize, Serialize, Serializer};

use super::registry;
use crate::args::{CheckArgs, Detail};
use crate::exit::Exit;
use crate::json::{self, ErrorJson};
use crate::output::{Reader, Text};
use crate::signals::Signals;
use crate::warnings::Warnings;
use crate::{hints, output, size};

/// What is said of one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Sign {
    #[serde(rename = "-")]
    TargetOnly,
    #[serde(rename = "+")]
    SourceOnly,
    #[serde(rename = "*")]
    Differs,
    #[serde(rename = "!")]
    Unknown,
}

/// One path that is not the same on both sides, or not known to be. They are shown in the order of their paths.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Difference {
    path: Key,
    sign: Sign,
    reason: Option<String>,
}

/// What `check --json` writes.
#[derive(Serialize)]
struct CheckJson<'a> {
    version: u32,
    command: &'static str,
    source: String,
    target: String,
    exit_code: u8,
    error: Option<ErrorJson>,
    equal: u64,
    target_only: u64,
    source_only: u64,
    differing: u64,
    unknown: u64,
    differences: Differences<'a>,
    #[serde(serialize_with = "json::messages")]
    warnings: Vec<String>,
    elapsed_seconds: f64,
    requests: BTreeMap<&'static str, u64>,
}

/// The differences as `check --json` writes them, one by one.
struct Differences<'a>(&'a Found);

#[derive(Serialize)]
struct DifferenceJson {
    path: Key,
    sign: Sign,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "json::optional_message")]
    reason: Option<String>,
}

/// What was found.
#[derive(Default)]
struct Found {
    differences: Option<Sorted<Difference>>,
    counts: BTreeMap<Sign, u64>,
    /// Left out by policy, such as symbolic links.
    left_out: u64,
    tally: Tally,
    warnings: Vec<String>,
    usage: Usage,
}

/// Runs the command.
pub(crate) async fn run(args: &CheckArgs) -> Exit {
    let begin = Instant::now();
    let signals = Signals::listen();
    let warnings = Warnings::new(if args.quiet { Detail::Quiet } else { Detail::Usual });
    let (found, failed) = match compare(args, &warnings, signals.cancel()).await {
        Ok(found) => (found, None),
        Err(failed) => (Found::default(), Some(failed)),
    };
    let exit = match &failed {
        Some(failed) if matches!(failed.exit, Exit::Signal(_)) => signals.exit().unwrap_or(failed.exit),
        Some(failed) => failed.exit,
        None => found.exit(),
    };
    let error = failed.map(|failed| failed.error);
    if let Some(error) = &error {
        output::error(&error.message, error.hint.as_deref());
    }
    if args.json {
        output::data(|out| json::write(out, &object(args, &found, &warnings, error.clone(), exit, begin)));
    } else {
        lines(&found);
    }
    if error.is_none() && !args.quiet {
        output::text(&summary(args, &found, begin));
    }
    exit
}

/// Why there is no answer.
struct Failed {
    exit: Exit,
    error: ErrorJson,
}

impl Failed {
    fn new(exit: Exit, message: String, hint: Option<String>) -> Self {
        Self { exit, error: ErrorJson { message, hint } }
    }
}

async fn compare(args: &CheckArgs, warnings: &Warnings, cancel: CancellationToken) -> Result<Found, Failed> {
    let mut options = args.options().map_err(|error| Failed::new(Exit::Usage, error.to_string(), None))?;
    if args.all {
        options = options.with_observer(Equals::default());
    }
    let sync = open(args, options, warnings).await.map_err(|error| {
        // Nothing is touched, so nothing is refused for safety.
        let exit = if Exit::of_error(&error) == Exit::Usage { Exit::Usage } else { Exit::Failed };
        Failed::new(exit, one_line(&error), hints::for_error(&error))
    })?;
    let sync = sync.with_cancel(cancel);
    match sync.plan().await {
        Ok(Ok(plan)) => Found::of(&plan, sync.usage(), args).map_err(|error| stopped(args, &Stop::Spill(error))),
        Ok(Err(stop)) => Err(stopped(args, &stop)),
        Err(error) => Err(Failed::new(Exit::Failed, one_line(&error), hints::for_error(&error))),
    }
}

async fn open(args: &CheckArgs, options: pos3::SyncOptions, warnings: &Warnings) -> Result<Sync, Error> {
    let registry = registry(&args.s3, warnings, args.symlinks(), &[&args.from, &args.to])?;
    let registry = registry.with("file", FileProvider::default().with_symlinks_of_both(args.symlinks()));
    if !args.allow_empty {
        // A sync would create the target. A comparison has nothing to compare with.
        registry.open(&args.to, Role::Source).await.map_err(of_target)?;
    }
    let sync = Sync::open(&registry, &args.from, &args.to, options).await?;
    Ok(sync.with_missing_source(args.allow_empty).with_missing_target(args.allow_empty))
}

/// Returns the error of a target that was opened as if it were a source.
fn of_target(error: Error) -> Error {
    match error {
        Error::SourceMissing { location } => Error::NoTarget { location },
        Error::SourceIsFile { location } => Error::TargetIsFile { location },
        error => error,
    }
}

fn stopped(args: &CheckArgs, stop: &Stop) -> Failed {
    match stop {
        Stop::Listing { side, error, .. } => {
            let location = if *side == Side::Source { &args.from } else { &args.to };
            let message = format!("cannot list '{location}': {}", error.cause());
            Failed::new(Exit::Failed, message, hints::for_stop(stop))
        }
        Stop::Spill(error) => Failed::new(Exit::Failed, one_line(error), hints::for_stop(stop)),
        Stop::Refused(refusal) => {
            Failed::new(Exit::Failed, format!("cannot compare: {refusal}"), hints::for_stop(stop))
        }
        Stop::Cancelled => Failed::new(Exit::Signal(Signal::Interrupt), "ended by a signal".to_owned(), None),
        other => Failed::new(Exit::Failed, format!("the comparison ended early: {other:?}"), None),
    }
}

impl Found {
    fn of(plan: &Plan, usage: Usage, args: &CheckArgs) -> Result<Self, SpillError> {
        let mut found = Self { tally: plan.tally, warnings: plan.warnings.clone(), usage, ..Self::default() };
        let mut differences = Sorter::new();
        for action in plan.actions() {
            let action = action?;
            if let Some((sign, reason)) = found.judge(&action, args) {
                *found.counts.entry(sign).or_default() += 1;
                differences.push(Difference { path: action.key().clone(), sign, reason })?;
            }
        }
        found.differences = Some(differences.finish()?);
        Ok(found)
    }

    /// Returns what is said of an action's path, if anything is.
    fn judge(&mut self, action: &Action, args: &CheckArgs) -> Option<(Sign, Option<String>)> {
        Some(match action {
            Action::Copy { target: None, .. } | Action::Replace { .. } => (Sign::SourceOnly, None),
            Action::Copy { why: Change::Incomparable, .. } => (Sign::Unknown, Some(incomparable(args))),
            Action::Copy { .. } => (Sign::Differs, None),
            Action::Delete { target } if target.has_content() => (Sign::TargetOnly, None),
            // What it holds is told.
            Action::Delete { .. } => return None,
            Action::Skip { why, .. } if why.is_policy() => {
                self.left_out += 1;
                return None;
            }
            Action::Skip { why: SkipReason::Unsafe(_), .. } => (Sign::SourceOnly, None),
            Action::Skip { why, .. } => (Sign::Unknown, Some(why.to_string())),
        })
    }

    fn differences(&self) -> impl Iterator<Item = Result<Difference, SpillError>> {
        self.differences.iter().flat_map(Sorted::iter)
    }

    fn count(&self, sign: Sign) -> u64 {
        self.counts.get(&sign).copied().unwrap_or_default()
    }

    fn exit(&self) -> Exit {
        match (self.count(Sign::Unknown), self.counts.is_empty()) {
            (0, true) => Exit::Done,
            (0, false) => Exit::Differs,
            _ => Exit::Failed,
        }
    }
}

fn incomparable(args: &CheckArgs) -> String {
    if args.download {
        "the target could not be read".to_owned()
    } else {
        "no digest that both sides know: --download would tell".to_owned()
    }
}

impl Sign {
    fn as_char(self) -> char {
        match self {
            Self::TargetOnly => '-',
            Self::SourceOnly => '+',
            Self::Differs => '*',
            Self::Unknown => '!',
        }
    }
}

fn lines(found: &Found) -> Reader {
    output::data(|out| {
        found.differences().try_for_each(|difference| {
            let Difference { path, sign, reason } = difference.map_err(io::Error::other)?;
            match reason {
                Some(reason) => writeln!(out, "{} {path} ({reason})", sign.as_char()),
                None => writeln!(out, "{} {path}", sign.as_char()),
            }
        })
    })
}

impl Serialize for Differences<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let differences = self.0.differences().map(|difference| {
            let Difference { path, sign, reason } = difference?;
            Ok(DifferenceJson { path, sign, reason })
        });
        json::array(differences, serializer)
    }
}

fn object<'a>(
    args: &CheckArgs,
    found: &'a Found,
    warnings: &Warnings,
    error: Option<ErrorJson>,
    exit: Exit,
    begin: Instant,
) -> CheckJson<'a> {
    CheckJson {
        version: json::VERSION,
        command: "check",
        source: args.from.to_string(),
        target: args.to.to_string(),
        exit_code: exit.code(),
        error,
        equal: found.tally.unchanged,
        target_only: found.count(Sign::TargetOnly),
        source_only: found.count(Sign::SourceOnly),
        differing: found.count(Sign::Differs),
        unknown: found.count(Sign::Unknown),
        differences: Differences(found),
        warnings: [warnings.told().as_slice(), &found.warnings].concat(),
        elapsed_seconds: begin.elapsed().as_secs_f64(),
        requests: json::requests(&found.usage),
    }
}

fn summary(args: &CheckArgs, found: &Found, begin: Instant) -> Text {
    let mut text = Text::default();
    found.warnings.iter().for_each(|warning| text.line(format!("warning: {warning}")));
    let mut told = vec![format!("{} equal", size::count(found.tally.unchanged))];
    for (sign, words) in [
        (Sign::Differs, "differ"),
        (Sign::SourceOnly, "only in the source"),
        (Sign::TargetOnly, "only in the target"),
        (Sign::Unknown, "could not be compared"),
    ] {
        let count = found.count(sign);
        if count > 0 {
            told.push(format!("{} {words}", size::count(count)));
        }
    }
    if found.left_out > 0 {
        told.push(format!("{} left out", size::count(found.left_out)));
    }
    if found.tally.source == 0 {
        told.push(format!("nothing was found in the source '{}'", args.from));
    }
    text.line(told.join(", "));
    if found.usage.total() > 0 {
        text.line(format!("requests   {}", found.usage));
    }
    text.line(format!("time       {}", size::time(begin.elapsed())));
    text
}

/// Writes what is equal, as it is found.
#[derive(Default)]
struct Equals(Mutex<()>);

impl Observer for Equals {
    fn event(&self, event: &Event<'_>) {
        if let Event::Unchanged(key, _) = event {
            let _one_line_at_a_time = self.0.lock();
            output::data(|out| writeln!(out, "= {key}"));
        }
    }
}
