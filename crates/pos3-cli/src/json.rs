//! The one JSON object of `--json`, for programs. Its `version` changes when a field changes its meaning or goes;
//! fields may be added.

use std::collections::BTreeMap;
use std::io;

use pos3::{
    Action, FailedAction, Failures, Key, Location, Plan, Report, Skips, SpillError, Usage, one_line, write_json,
};
use serde::Serialize;
use serde::ser::{Error, SerializeSeq, Serializer};

use crate::exit::Exit;
use crate::output::{self, Out, Reader};
use crate::warnings::Warnings;

/// The version of both objects.
pub(crate) const VERSION: u32 = 1;

/// What `sync --json`, `plan --json` and `apply --json` write.
#[derive(Serialize)]
pub(crate) struct SyncJson<'a> {
    version: u32,
    command: &'static str,
    source: Option<String>,
    target: Option<String>,
    dry_run: bool,
    exit_code: u8,
    error: Option<ErrorJson>,
    #[serde(serialize_with = "messages")]
    warnings: Vec<String>,
    #[serde(flatten)]
    result: Option<ResultJson<'a>>,
}

/// Why a run ended early or was not begun.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ErrorJson {
    #[serde(serialize_with = "message")]
    pub(crate) message: String,
    #[serde(serialize_with = "optional_message")]
    pub(crate) hint: Option<String>,
}

/// What is written where not even the options of a command are known.
#[derive(Serialize)]
struct NotBegunJson<'a> {
    version: u32,
    command: Option<&'a str>,
    exit_code: u8,
    error: ErrorJson,
}

#[derive(Serialize)]
struct ResultJson<'a> {
    source_entries: u64,
    target_files: u64,
    unchanged: u64,
    copied: CopiedJson,
    unverified: u64,
    deleted: u64,
    withheld_deletes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_begun: Option<u64>,
    extra: u64,
    skipped: Skipped<'a>,
    failed: Failed<'a>,
    elapsed_seconds: f64,
    requests: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Planned<'a>>,
}

#[derive(Serialize)]
struct CopiedJson {
    files: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct SkippedJson {
    key: Key,
    reason: String,
    by_policy: bool,
}

#[derive(Serialize)]
struct FailedJson {
    key: Key,
    action: &'static str,
    kind: &'static str,
    #[serde(serialize_with = "message")]
    cause: String,
}

#[derive(Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum ActionJson {
    Copy { key: Key, bytes: u64, reason: &'static str },
    Delete { key: Key },
    Replace { key: Key, bytes: u64, obstacle: Key },
    Skip { key: Key, reason: String },
}

impl<'a> SyncJson<'a> {
    /// Returns the object of a run that was not begun or planned.
    pub(crate) fn new(command: &'static str, places: (&Location, &Location), dry_run: bool, exit: Exit) -> Self {
        let (source, target) = (Some(places.0.to_string()), Some(places.1.to_string()));
        Self { source, target, ..Self::without_places(command, dry_run, exit) }
    }

    /// Returns the object of a run of which not even the places are known.
    pub(crate) fn without_places(command: &'static str, dry_run: bool, exit: Exit) -> Self {
        Self {
            version: VERSION,
            command,
            source: None,
            target: None,
            dry_run,
            exit_code: exit.code(),
            error: None,
            warnings: Vec::new(),
            result: None,
        }
    }

    /// Adds why the run ended early.
    pub(crate) fn with_error(mut self, error: Option<ErrorJson>) -> Self {
        self.error = error;
        self
    }

    /// Adds what was said on the way.
    pub(crate) fn with_warnings(mut self, warnings: &Warnings) -> Self {
        self.warnings.extend(warnings.told());
        self
    }

    /// Adds what happened, and the plan of a dry run.
    pub(crate) fn with_report(mut self, report: &'a Report, plan: Option<&'a Plan>) -> Self {
        self.warnings.extend_from_slice(&report.warnings);
        self.result = Some(ResultJson {
            source_entries: report.tally.source,
            target_files: report.tally.target,
            unchanged: report.tally.unchanged,
            copied: CopiedJson { files: report.copied, bytes: report.copied_bytes },
            unverified: report.unverified,
            deleted: report.deleted,
            withheld_deletes: report.withheld,
            not_begun: Some(report.not_begun.known()).filter(|count| *count > 0),
            extra: report.tally.extra,
            skipped: Skipped(&report.skipped),
            failed: Failed(&report.failed),
            elapsed_seconds: report.elapsed.as_secs_f64(),
            requests: requests(&report.usage),
            plan: plan.map(Planned),
        });
        self
    }
}

/// Returns requests by kind.
pub(crate) fn requests(usage: &Usage) -> BTreeMap<&'static str, u64> {
    usage.iter().collect()
}

/// Writes an object and a newline.
pub(crate) fn write(out: &mut Out<'_>, object: &impl Serialize) -> io::Result<()> {
    out.json(object)
}

/// Writes why a command was not begun, where its own object cannot be made.
pub(crate) fn not_begun(command: Option<&str>, exit: Exit, error: ErrorJson) -> Reader {
    output::data(|out| write(out, &NotBegunJson { version: VERSION, command, exit_code: exit.code(), error }))
}

/// Writes the text of an error, a hint or a warning as it is on stderr.
pub(crate) fn message<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&output::message(text))
}

/// Writes such a text, if there is one.
pub(crate) fn optional_message<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().map(output::message).serialize(serializer)
}

/// Writes such texts.
pub(crate) fn messages<S: Serializer>(texts: impl AsRef<[String]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(texts.as_ref().iter().map(|text| output::message(text)))
}

/// What was left alone.
struct Skipped<'a>(&'a Skips);

impl Serialize for Skipped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.0.iter().map(|row| {
            let (key, why) = row?;
            Ok(SkippedJson { key, reason: why.to_string(), by_policy: why.is_policy() })
        });
        array(rows, serializer)
    }
}

/// What went wrong.
struct Failed<'a>(&'a Failures);

impl Serialize for Failed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.0.iter().map(|failure| {
            let failure = failure?;
            let action = match failure.action {
                FailedAction::Copy => "copy",
                FailedAction::Delete => "delete",
            };
            Ok(FailedJson { action, kind: failure.kind.as_str(), cause: failure.cause(), key: failure.key })
        });
        array(rows, serializer)
    }
}

/// What would be done.
struct Planned<'a>(&'a Plan);

impl Serialize for Planned<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        array(self.0.actions().map(|action| action.map(ActionJson::from)), serializer)
    }
}

impl From<Action> for ActionJson {
    fn from(action: Action) -> Self {
        match action {
            Action::Copy { source, why, .. } => {
                Self::Copy { key: source.key, bytes: source.size, reason: why.as_str() }
            }
            Action::Delete { target } => Self::Delete { key: target.key },
            Action::Replace { source, obstacle } => Self::Replace { key: source.key, bytes: source.size, obstacle },
            Action::Skip { key, why } => Self::Skip { key, reason: why.to_string() },
        }
    }
}

/// Writes an array element by element, each as it is read.
pub(crate) fn array<T: Serialize, S: Serializer>(
    elements: impl Iterator<Item = Result<T, SpillError>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut array = serializer.serialize_seq(None)?;
    for element in elements {
        array.serialize_element(&element.map_err(|error| S::Error::custom(one_line(&error)))?)?;
    }
    array.end()
}

/// An object of which one array is written while it grows, between the fields before it and those after it.
pub(crate) struct Growing {
    separator: &'static str,
}

impl Growing {
    /// Returns an object of which nothing is written yet.
    pub(crate) fn new() -> Self {
        Self { separator: "" }
    }

    /// Writes the fields before the array, and its name.
    pub(crate) fn begin(&self, out: &mut Out<'_>, fields: &impl Serialize, array: &str) -> io::Result<()> {
        let mut object = Vec::new();
        write_json(&mut object, fields)?;
        let out = out.document();
        out.write_all(object.strip_suffix(b"}").unwrap_or(&object))?;
        write!(out, ",\"{array}\":[")
    }

    /// Writes an element.
    pub(crate) fn push(&mut self, out: &mut Out<'_>, element: &impl Serialize) -> io::Result<()> {
        let out = out.document();
        out.write_all(std::mem::replace(&mut self.separator, ",").as_bytes())?;
        write_json(out, element)
    }

    /// Writes the fields after the array and ends the object.
    pub(crate) fn end(self, out: &mut Out<'_>, fields: &impl Serialize) -> io::Result<()> {
        let mut object = Vec::new();
        write_json(&mut object, fields)?;
        let out = out.document();
        out.write_all(b"],")?;
        out.write_all(object.strip_prefix(b"{").unwrap_or(&object))?;
        out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_grows_is_one_object() {
        for elements in [vec![], vec![1], vec![1, 2, 3]] {
            let mut written = Vec::new();
            let mut out = Out::for_data(&mut written);
            let mut object = Growing::new();
            object.begin(&mut out, &serde_json::json!({"version": 1, "nested": {"a": {}}}), "numbers").unwrap();
            elements.iter().for_each(|element| object.push(&mut out, element).unwrap());
            object.end(&mut out, &serde_json::json!({"end": {"b": {}}})).unwrap();
            let expected = serde_json::json!(
                {"version": 1, "nested": {"a": {}}, "numbers": elements, "end": {"b": {}}});
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).unwrap(), expected);
        }
    }
}
