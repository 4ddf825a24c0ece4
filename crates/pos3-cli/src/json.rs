//! The one JSON object of `--json`, for programs. Its `version` changes when a field changes its meaning or goes;
//! fields may be added.

use std::collections::BTreeMap;
use std::io::{self, Write};

use pos3::{Action, FailedAction, Location, Plan, Report, Usage};
use serde::Serialize;

use crate::exit::Exit;
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
    warnings: Vec<String>,
    #[serde(flatten)]
    result: Option<ResultJson<'a>>,
}

/// Why a run ended early or was not begun.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ErrorJson {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
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
    extra: u64,
    skipped: Vec<SkippedJson<'a>>,
    failed: Vec<FailedJson<'a>>,
    elapsed_seconds: f64,
    requests: BTreeMap<&'static str, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Vec<ActionJson<'a>>>,
}

#[derive(Serialize)]
struct CopiedJson {
    files: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct SkippedJson<'a> {
    key: &'a str,
    reason: String,
    by_policy: bool,
}

#[derive(Serialize)]
struct FailedJson<'a> {
    key: &'a str,
    action: &'static str,
    kind: &'static str,
    cause: String,
}

#[derive(Serialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum ActionJson<'a> {
    Copy { key: &'a str, bytes: u64, reason: &'static str },
    Delete { key: &'a str },
    Replace { key: &'a str, bytes: u64, obstacle: &'a str },
    Skip { key: &'a str, reason: String },
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
            extra: report.tally.extra,
            skipped: skipped(report),
            failed: failed(report),
            elapsed_seconds: report.elapsed.as_secs_f64(),
            requests: requests(&report.usage),
            plan: plan.map(|plan| plan.actions.iter().map(action).collect()),
        });
        self
    }
}

/// Returns requests by kind.
pub(crate) fn requests(usage: &Usage) -> BTreeMap<&'static str, u64> {
    usage.iter().collect()
}

/// Writes an object and a newline.
pub(crate) fn write(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

fn skipped(report: &Report) -> Vec<SkippedJson<'_>> {
    let skipped = report.skipped.iter();
    skipped
        .map(|(key, why)| SkippedJson { key: key.as_str(), reason: why.to_string(), by_policy: why.is_policy() })
        .collect()
}

fn failed(report: &Report) -> Vec<FailedJson<'_>> {
    let failed = report.failed.iter();
    failed
        .map(|failure| FailedJson {
            key: failure.key.as_str(),
            action: match failure.action {
                FailedAction::Copy => "copy",
                FailedAction::Delete => "delete",
            },
            kind: failure.kind.as_str(),
            cause: failure.cause(),
        })
        .collect()
}

fn action(action: &Action) -> ActionJson<'_> {
    match action {
        Action::Copy { source, why, .. } => {
            ActionJson::Copy { key: source.key.as_str(), bytes: source.size, reason: why.as_str() }
        }
        Action::Delete { target } => ActionJson::Delete { key: target.key.as_str() },
        Action::Replace { source, obstacle } => {
            ActionJson::Replace { key: source.key.as_str(), bytes: source.size, obstacle: obstacle.as_str() }
        }
        Action::Skip { key, why } => ActionJson::Skip { key: key.as_str(), reason: why.to_string() },
    }
}
