//! The JSON fields of the commands that make a plan or execute one.

use std::collections::BTreeMap;

use pos3::{Action, FailedAction, Failures, Key, Location, Plan, Report, Skips};
use serde::{Serialize, Serializer};

use super::{array, message, requests};

/// The fields.
#[derive(Serialize)]
pub(crate) struct SyncFields<'a> {
    source: Option<String>,
    target: Option<String>,
    dry_run: bool,
    #[serde(flatten)]
    report: Option<ReportFields<'a>>,
}

#[derive(Serialize)]
struct ReportFields<'a> {
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

impl<'a> SyncFields<'a> {
    /// Returns the fields of a run between two locations that was not started.
    pub(crate) fn new((source, target): (&Location, &Location), dry_run: bool) -> Self {
        Self { source: Some(source.to_string()), target: Some(target.to_string()), dry_run, report: None }
    }

    /// Returns the fields of a run whose locations are unknown.
    pub(crate) fn without_locations(dry_run: bool) -> Self {
        Self { source: None, target: None, dry_run, report: None }
    }

    /// Adds the report of the run, and the plan of a dry run.
    pub(crate) fn with_report(mut self, report: &'a Report, plan: Option<&'a Plan>) -> Self {
        self.report = Some(ReportFields {
            source_entries: report.tally.source,
            target_files: report.tally.target,
            unchanged: report.tally.unchanged,
            copied: CopiedJson { files: report.copied, bytes: report.copied_bytes },
            unverified: report.unverified,
            deleted: report.deleted,
            withheld_deletes: report.withheld,
            not_begun: Some(report.not_begun.known()).filter(|count| *count > 0),
            extra: report.tally.extra,
            skipped: Skipped(Some(&report.skipped)),
            failed: Failed(&report.failed),
            elapsed_seconds: report.elapsed.as_secs_f64(),
            requests: requests(&report.usage),
            plan: plan.map(Planned),
        });
        self
    }
}

/// The skipped keys, written one by one; none if the command failed before it knew them.
pub(crate) struct Skipped<'a>(pub(crate) Option<&'a Skips>);

impl Serialize for Skipped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.0.into_iter().flat_map(Skips::iter).map(|row| {
            let (key, why) = row?;
            Ok(SkippedJson { key, reason: why.to_string(), by_policy: why.is_policy() })
        });
        array(rows, serializer)
    }
}

/// The failures, written one by one.
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

/// The actions of the plan, written one by one.
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
