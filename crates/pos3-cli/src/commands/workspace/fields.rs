//! The JSON fields of the commands of a workspace, and the lines of a status.

use std::collections::BTreeMap;
use std::io;

use pos3::{ConflictCopy, PathStatus, SetAside, WorkspaceReport, WorkspaceStatus};
use serde::Serialize;

use crate::commands::run::State;
use crate::json;
use crate::output::Out;

/// The fields of every pull and push.
#[derive(Serialize)]
struct Common<'a> {
    success: bool,
    deleted: u64,
    unchanged: u64,
    skipped: u64,
    failed: u64,
    #[serde(serialize_with = "json::messages")]
    errors: &'a [String],
    bytes: u64,
    seconds: f64,
    requests: BTreeMap<&'static str, u64>,
}

/// The fields of a pull.
#[derive(Serialize)]
pub(super) struct PulledFields<'a> {
    downloaded: u64,
    set_aside: &'a [SetAside],
    #[serde(flatten)]
    common: Common<'a>,
}

/// The fields of a push.
#[derive(Serialize)]
pub(super) struct PushedFields<'a> {
    uploaded: u64,
    /// Other versions of conflicting files.
    downloaded: u64,
    conflicts: &'a [ConflictCopy],
    protected: &'a [String],
    #[serde(flatten)]
    common: Common<'a>,
}

/// The fields of `workspace run`.
#[derive(Serialize)]
pub(super) struct RunFields<'a> {
    pub(super) state: State,
    /// The exit code of the program.
    pub(super) code: Option<u8>,
    /// The first signal, if one arrived.
    pub(super) signal: Option<&'static str>,
    pub(super) complete: bool,
    pub(super) pull: Option<PulledFields<'a>>,
    pub(super) push: Option<PushedFields<'a>>,
}

/// The fields of a status.
#[derive(Serialize)]
pub(super) struct StatusFields<'a> {
    clean: bool,
    #[serde(flatten)]
    status: &'a WorkspaceStatus,
}

impl<'a> Common<'a> {
    fn of(report: &'a WorkspaceReport) -> Self {
        Self {
            success: report.success,
            deleted: report.deleted,
            unchanged: report.unchanged,
            skipped: report.skipped,
            failed: report.failed,
            errors: &report.errors,
            bytes: report.bytes,
            seconds: report.duration.as_secs_f64(),
            requests: json::requests(&report.requests),
        }
    }
}

impl<'a> PulledFields<'a> {
    pub(super) fn of(report: &'a WorkspaceReport) -> Self {
        Self { downloaded: report.downloaded, set_aside: &report.set_aside, common: Common::of(report) }
    }
}

impl<'a> PushedFields<'a> {
    pub(super) fn of(report: &'a WorkspaceReport) -> Self {
        Self {
            uploaded: report.uploaded,
            downloaded: report.downloaded,
            conflicts: &report.conflicts,
            protected: &report.protected,
            common: Common::of(report),
        }
    }
}

impl RunFields<'_> {
    pub(super) fn of_state(state: State) -> Self {
        Self { state, code: None, signal: None, complete: false, pull: None, push: None }
    }
}

impl<'a> StatusFields<'a> {
    pub(super) fn of(status: &'a WorkspaceStatus) -> Self {
        Self { clean: status.is_clean(), status }
    }
}

/// Writes one line per difference.
pub(super) fn write_status(out: &mut Out<'_>, status: &WorkspaceStatus) -> io::Result<()> {
    for (command, paths) in [("pull", &status.pull), ("push", &status.push)] {
        for path in paths {
            let change = match path {
                PathStatus::New(_) => "new",
                PathStatus::Changed(_) => "changed",
                PathStatus::Deleted(_) => "deleted",
                _ => "other",
            };
            writeln!(out, "{command} {change:<9} {}", path.path())?;
        }
    }
    for path in &status.conflicts {
        writeln!(out, "conflict       {path}")?;
    }
    for path in &status.protected {
        writeln!(out, "protected      {path}")?;
    }
    Ok(())
}
