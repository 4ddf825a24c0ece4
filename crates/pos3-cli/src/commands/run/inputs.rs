//! The downloads before the program starts.

use std::path::PathBuf;
use std::sync::Arc;

use pos3::{RegistrationKind, Report, Shape, SkipReason, Status};

use super::LocalPlace;
use crate::args::{Place, RunArgs, Use};
use crate::size;

/// The download of one place.
pub(super) struct Input<'a> {
    pub(super) place: &'a Place,
    /// Whether local files are deleted that do not exist in the remote location.
    deletes: bool,
    /// Whether it is also uploaded. Then only files that were stored before are deleted.
    is_output: bool,
    pub(super) path: PathBuf,
    pub(super) report: Arc<Report>,
    /// Whether everything in the location is excluded.
    is_excluded: bool,
}

/// Returns the downloads of all inputs.
pub(super) fn inputs<'a>(args: &RunArgs, paths: &[LocalPlace<'a>], registrations: &[Status]) -> Vec<Input<'a>> {
    let inputs = paths.iter().filter(|(kind, ..)| *kind != Use::Upload).filter_map(|(kind, place, path)| {
        let status =
            registrations.iter().find(|status| status.local == *path && status.kind != RegistrationKind::Upload)?;
        let (deletes, is_output) = (args.delete_local, *kind == Use::Sync);
        let (report, is_excluded) = (status.last_report.clone()?, status.is_excluded);
        Some(Input { place, deletes, is_output, path: path.clone(), report, is_excluded })
    });
    inputs.collect()
}

/// Returns a line for each place that is a local path, because the user may have forgotten the `s3://`.
pub(super) fn local_places(paths: &[LocalPlace<'_>]) -> Vec<String> {
    let local = paths.iter().filter(|(_, place, _)| !place.is_remote());
    let line = |(kind, place, _): &LocalPlace<'_>| {
        let what = if place.shape == Shape::File { "file" } else { "directory" };
        let not_done = match kind {
            Use::Download => "downloaded",
            Use::Upload => "uploaded",
            Use::Sync => "downloaded or uploaded",
        };
        format!("{}: {} is a local {what}, nothing is {not_done}", place.name, place.url())
    };
    local.map(line).collect()
}

impl Input<'_> {
    /// Returns the line about the download.
    pub(super) fn words(&self) -> String {
        let (name, url, report) = (&self.place.name, self.place.url(), &self.report);
        let mut text = if self.is_excluded {
            format!("{name}: everything in {url} is excluded")
        } else if report.tally.source == 0 {
            format!("{name}: nothing in {url} yet")
        } else {
            let (files, bytes) = (size::counted(report.copied, "file"), size::bytes(report.copied_bytes));
            let here = size::count(report.tally.unchanged);
            format!("{name}: {files} ({bytes}) fetched from {url}, {here} here already")
        };
        if self.changed_here() > 0 {
            let changed = size::counted(self.changed_here(), "file");
            text.push_str(&format!("; {changed} changed here and kept, because not uploaded yet"));
        }
        let removed = report.skipped.count(|why| *why == SkipReason::Removed);
        if removed > 0 {
            let removed = size::counted(removed, "file");
            text.push_str(&format!("; {removed} not fetched, because another session removed it here"));
        }
        if report.deleted > 0 {
            text.push_str(&format!("; {} deleted here", size::counted(report.deleted, "file")));
        }
        if report.tally.extra > 0 {
            let extra = size::counted(report.tally.extra, "file");
            let why = match (self.deletes, self.is_output) {
                (true, _) => ", because not known to be stored there",
                (false, true) => " (--delete-local removes those that were stored there before)",
                (false, false) => " (--delete-local removes them)",
            };
            text.push_str(&format!("; {extra} only in {}, kept{why}", self.path.display()));
        }
        text
    }

    /// Returns the number of local files that differ from their objects and were changed locally.
    pub(super) fn changed_here(&self) -> u64 {
        self.report.skipped.count(|why| *why == SkipReason::Newer)
    }
}
