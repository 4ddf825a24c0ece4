//! The differences as lines, as JSON, and as a summary.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use pos3::{Event, Key, Observer};
use serde::{Serialize, Serializer};

use super::found::{Difference, Found, Sign};
use crate::args::CheckArgs;
use crate::invocation::Invocation;
use crate::output::{self, Text};
use crate::progress::Watcher;
use crate::{json, size};

/// The JSON fields of the command.
#[derive(Serialize)]
pub(super) struct Fields<'a> {
    source: String,
    target: String,
    equal: u64,
    target_only: u64,
    source_only: u64,
    differing: u64,
    unknown: u64,
    left_out: u64,
    differences: Differences<'a>,
    skipped: json::Skipped<'a>,
    elapsed_seconds: f64,
    requests: BTreeMap<&'static str, u64>,
}

/// The differences, which are written one by one; none if the comparison failed.
struct Differences<'a>(Option<&'a Found>);

#[derive(Serialize)]
struct DifferenceJson {
    path: Key,
    sign: Sign,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "json::optional_message")]
    reason: Option<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(args: &CheckArgs, found: &'a Found, invocation: &Invocation) -> Self {
        Self {
            equal: found.tally.unchanged,
            target_only: found.count(Sign::TargetOnly),
            source_only: found.count(Sign::SourceOnly),
            differing: found.count(Sign::Differs),
            unknown: found.count(Sign::Unknown),
            left_out: found.left_out.len(),
            differences: Differences(Some(found)),
            skipped: json::Skipped(Some(&found.left_out)),
            requests: json::requests(&found.usage),
            ..Self::of_nothing(args, invocation)
        }
    }

    /// Returns the fields of a comparison that failed.
    pub(super) fn of_nothing(args: &CheckArgs, invocation: &Invocation) -> Self {
        Self {
            source: args.from.to_string(),
            target: args.to.to_string(),
            equal: 0,
            target_only: 0,
            source_only: 0,
            differing: 0,
            unknown: 0,
            left_out: 0,
            differences: Differences(None),
            skipped: json::Skipped(None),
            elapsed_seconds: invocation.elapsed().as_secs_f64(),
            requests: BTreeMap::new(),
        }
    }
}

impl Serialize for Differences<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let differences = self.0.into_iter().flat_map(Found::differences).map(|difference| {
            let Difference { path, sign, reason } = difference?;
            Ok(DifferenceJson { path, sign, reason })
        });
        json::array(differences, serializer)
    }
}

/// Writes the differences to stdout.
pub(super) fn write_lines(found: &Found) {
    output::data(|out| {
        found.differences().try_for_each(|difference| {
            let Difference { path, sign, reason } = difference.map_err(io::Error::other)?;
            match reason {
                Some(reason) => writeln!(out, "{} {path} ({reason})", sign.as_char()),
                None => writeln!(out, "{} {path}", sign.as_char()),
            }
        })
    });
}

/// Returns the lines for stderr.
pub(super) fn summary(args: &CheckArgs, found: &Found, invocation: &Invocation) -> Text {
    let mut counts = vec![format!("{} equal", size::count(found.tally.unchanged))];
    for (sign, label) in [
        (Sign::Differs, "differ"),
        (Sign::SourceOnly, "only in the source"),
        (Sign::TargetOnly, "only in the target"),
        (Sign::Unknown, "could not be compared"),
    ] {
        let count = found.count(sign);
        if count > 0 {
            counts.push(format!("{} {label}", size::count(count)));
        }
    }
    if !found.left_out.is_empty() {
        counts.push(format!("{} left out", size::count(found.left_out.len())));
    }
    if found.tally.source == 0 {
        counts.push(format!("nothing was found in the source '{}'", args.from));
    }
    let mut text = Text::of(counts.join(", "));
    if found.usage.total() > 0 {
        text.line(format!("requests   {}", found.usage));
    }
    text.line(format!("time       {}", size::time(invocation.elapsed())));
    text
}

/// Observes the comparison, and writes the equal paths to stdout as they are found if that is requested.
pub(super) struct Comparison {
    counter: Watcher,
    shows_equal: bool,
    one_line_at_a_time: Mutex<()>,
}

impl Comparison {
    pub(super) fn new(counter: Watcher, shows_equal: bool) -> Self {
        Self { counter, shows_equal, one_line_at_a_time: Mutex::default() }
    }
}

impl Observer for Comparison {
    fn event(&self, event: &Event<'_>) {
        self.counter.event(event);
        if let (Event::Unchanged(key, _), true) = (event, self.shows_equal) {
            let _line = self.one_line_at_a_time.lock();
            output::data(|out| writeln!(out, "= {key}"));
        }
    }
}
