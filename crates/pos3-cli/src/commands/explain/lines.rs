//! An explanation as lines of text.

use std::io;

use jiff::Timestamp;
use pos3::{Effect, Entry, Explanation, FilterRule, Fingerprint, Key, Kind, Location};

use super::words::Words;
use crate::args::ExplainArgs;
use crate::output::Out;
use crate::size;

/// Writes an explanation.
pub(super) fn write(out: &mut Out<'_>, args: &ExplainArgs, explanation: &Explanation, words: &Words) -> io::Result<()> {
    let Explanation { key, rule: decided, source, target, .. } = explanation;
    let (from, to) = (&args.job.from, &args.job.to);
    let filter = decided.as_ref().map_or("included, because no rule matches".to_owned(), |decided| {
        let effect = if decided.effect == Effect::Exclude { "excluded by" } else { "included by" };
        format!("{effect} {}", rule(decided))
    });
    writeln!(out, "path        {key}")?;
    writeln!(out, "filter      {filter}")?;
    side(out, "source", from, key, source.as_ref())?;
    side(out, "target", to, key, target.as_ref())?;
    writeln!(out, "sync state  {}", sync_state(explanation))?;
    writeln!(out, "would       {}", words.would)?;
    writeln!(out, "because     {}", words.reason)
}

/// Returns a rule of a filter as it was written.
pub(super) fn rule(rule: &FilterRule) -> String {
    match (&rule.line, rule.effect) {
        (Some(line), _) => format!("line {} of '{}': {}", line.number, line.name, rule.text),
        (None, Effect::Exclude) => format!("--exclude '{}'", rule.text),
        (None, Effect::Include) => format!("--include '{}'", rule.text),
    }
}

/// Returns the kind of an entry in words.
pub(super) fn kind(entry: &Entry) -> String {
    match &entry.kind {
        Kind::File => "a file".to_owned(),
        Kind::Marker if entry.size == 0 => "an empty directory".to_owned(),
        Kind::Marker => "an object with content whose key ends in '/'".to_owned(),
        Kind::Directory => "a directory".to_owned(),
        Kind::Protected(why) => format!("protected, {why}"),
    }
}

/// Returns the modification time of an entry.
pub(super) fn time(entry: &Entry) -> Option<String> {
    entry.modified.and_then(|time| Timestamp::try_from(time).ok()).map(|time| time.to_string())
}

/// Returns whether each side is unchanged since both were last equal; nothing if the sync state has no row.
pub(super) fn unchanged_since(explanation: &Explanation) -> Option<(bool, bool)> {
    let row = explanation.row.as_ref()?;
    let is = |entry: &Option<Entry>, then: &Fingerprint| {
        entry.as_ref().is_some_and(|entry| entry.fingerprint.as_ref() == Some(then))
    };
    Some((is(&explanation.source, &row.source), is(&explanation.target, &row.target)))
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

/// Returns a size with a unit, and the exact number if the unit rounds it.
fn bytes(count: u64) -> String {
    if count < 1024 { size::bytes(count) } else { format!("{} ({count} bytes)", size::bytes(count)) }
}

fn sync_state(explanation: &Explanation) -> &'static str {
    match unchanged_since(explanation) {
        None => "no row for this path",
        Some((true, true)) => "both sides were equal, and neither changed since",
        Some((false, true)) => "both sides were equal; the source changed since",
        Some((true, false)) => "both sides were equal; the target changed since",
        Some((false, false)) => "both sides were equal; both changed since",
    }
}
