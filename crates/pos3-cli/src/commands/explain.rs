//! `pos3-cli explain`: what a sync would do with one path, and what decides it.

mod meant;

use std::io;

use jiff::Timestamp;
use pos3::{
    Action, Change, Deletion, Effect, Entry, Error, Explanation, FilterRule, Fingerprint, Key, Kind, Location, Outcome,
    Report, SkipReason, Stop, Sync, SyncOptions, one_line,
};
use serde::Serialize;

use super::account::{Account, Plans};
use super::{registry, state};
use crate::args::{Detail, ExplainArgs, Show};
use crate::exit::Exit;
use crate::json::{self, ErrorJson};
use crate::lines::Lines;
use crate::output::Out;
use crate::warnings::Warnings;
use crate::{hints, output, size};

/// What `explain --json` writes.
#[derive(Serialize)]
struct ExplainJson {
    version: u32,
    command: &'static str,
    source: String,
    target: String,
    #[serde(serialize_with = "json::message")]
    path: String,
    exit_code: u8,
    error: Option<ErrorJson>,
    #[serde(serialize_with = "json::messages")]
    warnings: Vec<String>,
    #[serde(flatten)]
    explanation: Option<ExplanationJson>,
}

#[derive(Serialize)]
struct ExplanationJson {
    key: Key,
    rule: Option<RuleJson>,
    at_source: Option<EntryJson>,
    at_target: Option<EntryJson>,
    remembered: Option<RememberedJson>,
    outcome: &'static str,
    would: String,
    reason: String,
}

#[derive(Serialize)]
struct RuleJson {
    effect: &'static str,
    pattern: String,
    file: Option<String>,
    line: Option<usize>,
}

#[derive(Serialize)]
struct EntryJson {
    kind: String,
    size: u64,
    modified: Option<String>,
    fingerprint: Option<String>,
    digest: Option<String>,
}

#[derive(Serialize)]
struct RememberedJson {
    source_is_as_it_was: bool,
    target_is_as_it_was: bool,
    digest: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: &ExplainArgs) -> Exit {
    let warnings = Warnings::new(Detail::Usual);
    let options = match args.job.options() {
        Ok(options) => options,
        Err(error) => return failed(args, &warnings, Exit::Usage, error.to_string(), None),
    };
    let keys = match meant::keys(args) {
        Ok(keys) => keys,
        Err(why) => return failed(args, &warnings, Exit::Usage, why, None),
    };
    let deletion = options.deletion;
    match perform(args, options, &keys, &warnings).await {
        Ok(Ok(explanation)) => tell(args, &warnings, &explanation, deletion),
        Ok(Err(stop)) => stopped(args, &warnings, stop),
        // A sync would not be begun either.
        Err(error) => failed(args, &warnings, Exit::of_error(&error), one_line(&error), hints::for_error(&error)),
    }
}

/// Explains the first of these keys of which there is anything to say, else the first.
async fn perform(
    args: &ExplainArgs,
    options: SyncOptions,
    keys: &[Key],
    warnings: &Warnings,
) -> Result<Result<Explanation, Stop>, Error> {
    let (from, to) = (&args.job.from, &args.job.to);
    let registry = registry(&args.job.s3, warnings, args.job.symlinks(), &[from, to])?;
    let sync = Sync::open(&registry, from, to, options).await?;
    let memory = state::for_look(args.manifest, &registry, from, to).await;
    if let Some(warning) = &memory.warning {
        warnings.tell(warning);
    }
    let sync = memory.with(sync);
    let mut first = None;
    for key in keys {
        match sync.explain(key).await? {
            Ok(explanation) if matches!(explanation.outcome, Outcome::Absent) && explanation.inside.is_none() => {
                first.get_or_insert(explanation);
            }
            Ok(Explanation { outcome: Outcome::Absent, .. }) if !key.is_marker() => {
                return sync.explain(&Key::from(format!("{}/", key.as_str()))).await;
            }
            explained => return Ok(explained),
        }
    }
    first.map_or_else(|| Err(Error::NotFound { location: args.path.clone() }), |explanation| Ok(Ok(explanation)))
}

/// Says why a sync would end before it knew anything of the path.
fn stopped(args: &ExplainArgs, warnings: &Warnings, stop: Stop) -> Exit {
    let (from, to) = (&args.job.from, &args.job.to);
    let show = Show { json: args.json, detail: Detail::Usual, progress: false };
    let account = Account { command: "explain", from, to, show, warnings, plans: Plans::Shown };
    let mut report = Report::default();
    let ErrorJson { message, hint } = account.early_end(&stop, &report, &Lines::new(from, to));
    report.stopped = Some(stop);
    failed(args, warnings, Exit::of_report(&report, None), message, hint)
}

fn failed(args: &ExplainArgs, warnings: &Warnings, exit: Exit, message: String, hint: Option<String>) -> Exit {
    output::error(&message, hint.as_deref());
    if !args.json {
        return exit;
    }
    let object = object(args, warnings, exit, Some(ErrorJson { message, hint }), None);
    output::data(|out| json::write(out, &object));
    exit
}

fn object(
    args: &ExplainArgs,
    warnings: &Warnings,
    exit: Exit,
    error: Option<ErrorJson>,
    explanation: Option<ExplanationJson>,
) -> ExplainJson {
    ExplainJson {
        version: json::VERSION,
        command: "explain",
        source: args.job.from.to_string(),
        target: args.job.to.to_string(),
        path: args.path.clone(),
        exit_code: exit.code(),
        error,
        warnings: warnings.told(),
        explanation,
    }
}

fn tell(args: &ExplainArgs, warnings: &Warnings, explanation: &Explanation, deletion: Deletion) -> Exit {
    let words = Words::of(args, explanation, deletion);
    if explanation.key.as_str() != args.path.strip_prefix("./").unwrap_or(&args.path) {
        output::note(&format!("'{}' is taken for the path '{}' below both locations", args.path, explanation.key));
    }
    output::data(|out| {
        if args.json {
            let explanation = in_json(explanation, &words);
            json::write(out, &object(args, warnings, Exit::Done, None, Some(explanation)))
        } else {
            in_lines(out, args, explanation, &words)
        }
    });
    if matches!(explanation.outcome, Outcome::Absent) && explanation.inside.is_none() {
        let (program, from) = (crate::name::name(), &args.job.from);
        output::note(&format!(
            "hint: PATH is relative to both locations, such as 'reports/2024.csv'; '{program} ls -r {from}' shows what is there"
        ));
    }
    Exit::Done
}

/// What follows, and why, in words.
struct Words {
    outcome: &'static str,
    would: String,
    reason: String,
}

impl Words {
    fn of(args: &ExplainArgs, explanation: &Explanation, deletion: Deletion) -> Self {
        let words = |outcome, would: &str, reason: &str| Self { outcome, would: would.into(), reason: reason.into() };
        match &explanation.outcome {
            Outcome::Absent | Outcome::Nothing if explanation.inside.is_some() => {
                let inside = explanation.inside.as_ref().map(Key::to_string).unwrap_or_default();
                let reason = format!("it is a directory, which follows from what is in it, such as '{inside}'");
                words("nothing", "nothing", &reason)
            }
            Outcome::Absent => words("absent", "nothing", "it is on neither side"),
            Outcome::Excluded => {
                let rule = explanation.rule.as_ref().map(rule).unwrap_or_default();
                words("excluded", "nothing", &format!("left out by {rule}; it is neither copied nor deleted"))
            }
            Outcome::Unchanged(proof) => words("unchanged", "nothing", proof.as_str()),
            Outcome::Kept => {
                words("kept", "nothing", "only the target has it, and --delete, which would delete it, was not given")
            }
            Outcome::Shielded { by, why } => {
                let reason =
                    format!("in the source it would lie below '{by}', and {why}; so it is not taken for absent");
                words("protected", "nothing", &reason)
            }
            Outcome::Act(action) => Self::of_action(args, action, deletion),
            _ => words("nothing", "nothing", "a directory follows from what is in it; what is protected is left alone"),
        }
    }

    fn of_action(args: &ExplainArgs, action: &Action, deletion: Deletion) -> Self {
        let lines = Lines::new(&args.job.from, &args.job.to);
        let would = lines.line(action).unwrap_or_else(|| "skip it, and say so".to_owned());
        let (outcome, reason) = match action {
            Action::Copy { why: Change::New, .. } => ("copy", "the target does not have it".to_owned()),
            Action::Copy { why: Change::Incomparable, .. } => {
                ("copy", "nothing shows that both sides are equal: there is no digest that both know".to_owned())
            }
            Action::Copy { why, .. } => ("copy", why.as_str().to_owned()),
            Action::Delete { .. } => {
                let guards = "if everything else goes well and --max-delete and --allow-empty let the whole plan pass";
                ("delete", format!("only the target has it, and --delete was given; {guards}"))
            }
            Action::Replace { obstacle, .. } => {
                ("replace", format!("'{obstacle}' stands in the way, and is deleted first, as --delete allows"))
            }
            Action::Skip { why: why @ SkipReason::Clash(_), .. } if deletion == Deletion::Keep => {
                ("skip", format!("{why}; --delete may make room for it"))
            }
            Action::Skip { why, .. } => ("skip", why.to_string()),
        };
        Self { outcome, would, reason }
    }
}

fn in_lines(out: &mut Out<'_>, args: &ExplainArgs, explanation: &Explanation, words: &Words) -> io::Result<()> {
    let Explanation { key, rule: decided, source, target, .. } = explanation;
    let (from, to) = (&args.job.from, &args.job.to);
    let filter = decided.as_ref().map_or("no rule matches: it is in".to_owned(), |decided| {
        let effect = if decided.effect == Effect::Exclude { "left out by" } else { "taken by" };
        format!("{effect} {}", rule(decided))
    });
    writeln!(out, "path        {key}")?;
    writeln!(out, "filter      {filter}")?;
    side(out, "source", from, key, source.as_ref())?;
    side(out, "target", to, key, target.as_ref())?;
    writeln!(out, "remembered  {}", remembered(explanation))?;
    writeln!(out, "would       {}", words.would)?;
    writeln!(out, "because     {}", words.reason)
}

fn side(out: &mut Out<'_>, name: &str, location: &Location, key: &Key, entry: Option<&Entry>) -> io::Result<()> {
    let Some(entry) = entry else { return writeln!(out, "{name:<11} {}: nothing", location.child(key)) };
    writeln!(out, "{name:<11} {}: {}", location.child(key), kind(entry))?;
    let facts = [
        ("size", entry.has_content().then(|| bytes(entry.size))),
        ("modified", time(entry)),
        ("fingerprint", entry.fingerprint.as_ref().map(Fingerprint::to_text)),
        ("digest", entry.digest.map(|digest| digest.to_string())),
    ];
    for (fact, value) in facts {
        if let Some(value) = value {
            writeln!(out, "            {fact:<11} {value}")?;
        }
    }
    Ok(())
}

/// Returns a size with a unit, and exactly.
fn bytes(count: u64) -> String {
    if count < 1024 { size::bytes(count) } else { format!("{} ({count} bytes)", size::bytes(count)) }
}

fn kind(entry: &Entry) -> String {
    match &entry.kind {
        Kind::File => "a file".to_owned(),
        Kind::Marker => "an empty directory".to_owned(),
        Kind::Directory => "a directory".to_owned(),
        Kind::Protected(why) => format!("not touched, {why}"),
    }
}

fn time(entry: &Entry) -> Option<String> {
    entry.modified.and_then(|time| Timestamp::try_from(time).ok()).map(|time| time.to_string())
}

fn rule(rule: &FilterRule) -> String {
    match (&rule.line, rule.effect) {
        (Some(line), _) => format!("line {} of '{}': {}", line.number, line.name, rule.text),
        (None, Effect::Exclude) => format!("--exclude '{}'", rule.text),
        (None, Effect::Include) => format!("--include '{}'", rule.text),
    }
}

/// Returns whether each side is as it was when both were last equal.
fn unchanged_since(explanation: &Explanation) -> Option<(bool, bool)> {
    let row = explanation.remembered.as_ref()?;
    let is = |entry: &Option<Entry>, then: &Fingerprint| {
        entry.as_ref().is_some_and(|entry| entry.fingerprint.as_ref() == Some(then))
    };
    Some((is(&explanation.source, &row.source), is(&explanation.target, &row.target)))
}

fn remembered(explanation: &Explanation) -> &'static str {
    match unchanged_since(explanation) {
        None => "nothing",
        Some((true, true)) => "both sides were equal, and neither changed since",
        Some((false, true)) => "both sides were equal; the source changed since",
        Some((true, false)) => "both sides were equal; the target changed since",
        Some((false, false)) => "both sides were equal; both changed since",
    }
}

fn in_json(explanation: &Explanation, words: &Words) -> ExplanationJson {
    let entry = |entry: &Entry| EntryJson {
        kind: kind(entry),
        size: entry.size,
        modified: time(entry),
        fingerprint: entry.fingerprint.as_ref().map(Fingerprint::to_text),
        digest: entry.digest.map(|digest| digest.to_string()),
    };
    let rule = explanation.rule.as_ref().map(|rule| RuleJson {
        effect: if rule.effect == Effect::Exclude { "exclude" } else { "include" },
        pattern: rule.text.clone(),
        file: rule.line.as_ref().map(|line| line.name.clone()),
        line: rule.line.as_ref().map(|line| line.number),
    });
    let remembered = unchanged_since(explanation).map(|(source, target)| RememberedJson {
        source_is_as_it_was: source,
        target_is_as_it_was: target,
        digest: explanation.remembered.as_ref().and_then(|row| row.digest).map(|digest| digest.to_string()),
    });
    ExplanationJson {
        key: explanation.key.clone(),
        rule,
        at_source: explanation.source.as_ref().map(entry),
        at_target: explanation.target.as_ref().map(entry),
        remembered,
        outcome: words.outcome,
        would: words.would.clone(),
        reason: words.reason.clone(),
    }
}
