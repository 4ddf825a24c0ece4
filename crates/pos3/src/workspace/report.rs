//! The result of a pull or a push: [`WorkspaceReport`].

use std::time::Duration;

use pos3_core::{Report, SkipReason, Usage, counted};
use serde::Serialize;

/// The largest number of errors and of names that a report lists. The counts are always complete.
const LISTED: usize = 1000;

/// The result of [`Workspace::pull`](super::Workspace::pull) or [`Workspace::push`](super::Workspace::push).
#[must_use = "a report contains the failures"]
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WorkspaceReport {
    /// Whether everything that was due was done. Conflicts do not prevent it: both versions are stored.
    pub success: bool,
    /// Files fetched from the location, also to resolve a conflict.
    pub downloaded: u64,
    /// Files stored at the location.
    pub uploaded: u64,
    /// Files deleted: by a pull in the directory, by a push at the location.
    pub deleted: u64,
    /// Files that are equal on both sides.
    pub unchanged: u64,
    /// Files and objects that were left as they are, each for a reason that is no failure: a symbolic link, or a side
    /// that is newer.
    pub skipped: u64,
    /// The conflicts of a push. Both versions exist.
    pub conflicts: Vec<ConflictCopy>,
    /// The files that a push left alone because the last pull could not fetch them.
    pub protected: Vec<String>,
    /// The files that existed only in the directory, and that a pull moved aside.
    pub set_aside: Vec<SetAside>,
    /// The failures, one line each. At most 1000 are listed; [`failed`](Self::failed) counts all.
    pub errors: Vec<String>,
    /// The number of failures.
    pub failed: u64,
    /// Problems that did not stop the run.
    pub warnings: Vec<String>,
    /// The elapsed time.
    pub duration: Duration,
    /// The bytes of all copied files.
    pub bytes: u64,
    /// The requests sent, by kind.
    pub requests: Usage,
}

/// A file that two workspaces have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConflictCopy {
    /// The path in the workspace. It has the version of the other writer, on both sides.
    pub path: String,
    /// The path of the version of this workspace, on both sides.
    pub copy: String,
}

/// A file that a pull has moved aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SetAside {
    /// The path in the workspace.
    pub path: String,
    /// Where it is now, as a path in the directory of the workspace.
    pub now: String,
}

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Down,
    Up,
}

impl WorkspaceReport {
    /// Adds the counts of a transfer.
    pub(super) fn count(&mut self, way: Way, report: &Report) {
        match way {
            Way::Down => self.downloaded += report.copied,
            Way::Up => self.uploaded += report.copied,
        }
        self.deleted += report.deleted;
        self.bytes += report.copied_bytes;
        for warning in &report.warnings {
            if !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
    }

    /// Adds the failures and the counts of the last transfer, and whether it was a success.
    pub(super) fn finish(&mut self, last: &Report) {
        self.unchanged = last.tally.unchanged;
        self.skipped = last.skipped.count(SkipReason::is_policy);
        for failure in last.failed.iter() {
            self.add_error(failure.map_or_else(|lost| lost.to_string(), |failure| failure.to_string()));
        }
        for row in last.skipped.iter() {
            match row {
                Ok((_, why)) if why.is_policy() => {}
                Ok((key, SkipReason::NotPulled)) => self.add_protected(key.as_str().to_owned()),
                Ok((key, why)) => self.add_error(format!("'{key}': {why}")),
                Err(lost) => self.add_error(lost.to_string()),
            }
        }
        if last.withheld > 0 {
            self.warnings
                .push(format!("{} not deleted, because something failed before", counted(last.withheld, "file")));
        }
        let is_protected = last.skipped.any(|why| *why == SkipReason::NotPulled);
        self.success = self.failed == 0 && last.withheld == 0 && !is_protected;
    }

    /// Adds a failure.
    pub(super) fn add_error(&mut self, error: String) {
        self.failed += 1;
        if self.errors.len() < LISTED {
            self.errors.push(error);
        }
    }

    /// Adds a key that a push left alone because the last pull could not fetch it.
    pub(super) fn add_protected(&mut self, key: String) {
        if self.protected.len() < LISTED && !self.protected.contains(&key) {
            self.protected.push(key);
        }
    }
}
