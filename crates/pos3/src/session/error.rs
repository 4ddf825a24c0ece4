//! The errors of a session.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pos3_core::{FilterError, Incomplete, Report, SkipReason, Stop, one_line};

use super::observer::RegistrationKind;
use super::surroundings::PathChange;
use crate::error::Error;

/// Why a session or one of its registrations failed. Cloning is cheap: callers that share a registration receive the
/// same error.
///
/// The text contains every cause, because one error may have several. So there is no [`source`](std::error::Error::source),
/// and code that prints the whole chain prints each cause once.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A location is invalid or cannot be opened.
    #[error("{}", one_line(&**.0))]
    Open(Arc<Error>),
    /// The same location is registered with other options.
    #[error("{what} of '{location}' is already registered with different options")]
    Different {
        /// The kind of both registrations.
        what: RegistrationKind,
        /// The location.
        location: String,
    },
    /// The remote locations of two registrations overlap, and at least one of them writes.
    #[error("{new_kind} '{new}' overlaps with {old_kind} '{old}'")]
    RemoteConflict {
        /// The rejected location.
        new: String,
        /// Its kind.
        new_kind: RegistrationKind,
        /// The registered location.
        old: String,
        /// Its kind.
        old_kind: RegistrationKind,
    },
    /// Two registrations share local files.
    #[error("'{new}' would be stored in '{}', which overlaps with '{}' of '{old}'", new_path.display(), old_path.display())]
    LocalConflict {
        /// The rejected location.
        new: String,
        /// Its local path.
        new_path: PathBuf,
        /// The registered location.
        old: String,
        /// Its local path.
        old_path: PathBuf,
    },
    /// Several conflicts, found at once.
    #[error("{}", list(.0))]
    Conflicts(Vec<SessionError>),
    /// Two paths have the same name.
    #[error("two paths have the name '{0}'")]
    NameTaken(String),
    /// No path has this name.
    #[error("no path has the name '{0}'")]
    NoSuchName(String),
    /// The interval is zero.
    #[error("the interval of '{location}' must be greater than zero; None uploads only at the end")]
    NoInterval {
        /// The location.
        location: String,
    },
    /// The rate is not a positive number.
    #[error("a rate must be a positive number of bytes per second, not {0}")]
    BadRate(f64),
    /// The remote location has no key, and `allow_missing` is not set.
    #[error("there is nothing at '{location}'")]
    Missing {
        /// The location.
        location: String,
    },
    /// A plan was requested for a local path instead of a URL.
    #[error("'{0}' is a local path, which is used in place: nothing would be copied")]
    PassedThrough(String),
    /// A pattern of `exclude` cannot match any key.
    #[error(transparent)]
    BadPattern(FilterError),
    /// A single file that was named is excluded, so nothing would be copied.
    #[error("'{location}' is one file, and the pattern '{pattern}' excludes it")]
    FileExcluded {
        /// The location.
        location: String,
        /// The first pattern that excludes it.
        pattern: String,
    },
    /// The location has keys, and the patterns of `exclude` match all of them.
    #[error("everything at '{location}' is excluded")]
    AllExcluded {
        /// The location.
        location: String,
    },
    /// A required local path does not exist.
    #[error("'{}' does not exist", .0.display())]
    NoLocalPath(PathBuf),
    /// One object cannot be downloaded to the path of a directory.
    #[error("'{location}' is one object, and '{}' is a directory: {advice}", path.display())]
    DirectoryInTheWay {
        /// The object.
        location: String,
        /// The directory.
        path: PathBuf,
        /// What the user can do about it.
        advice: &'static str,
    },
    /// A prefix cannot be downloaded to the path of a file.
    #[error("'{location}' is a prefix, and '{}' is a file: {advice}", path.display())]
    FileInTheWay {
        /// The prefix.
        location: String,
        /// The file.
        path: PathBuf,
        /// What the user can do about it.
        advice: &'static str,
    },
    /// The location of an output of one file ends in `/`.
    #[error("'{location}' ends in '/', so it is not one file: name the object")]
    NotOneFile {
        /// The location.
        location: String,
    },
    /// The local path of an output is a symbolic link, which a program may have created.
    #[error("'{}' is a symbolic link to '{}', which is not followed", path.display(), target.display())]
    IsLink {
        /// The path.
        path: PathBuf,
        /// The target of the link.
        target: PathBuf,
    },
    /// A directory became a file or the other way round, and the remote location still has the earlier shape.
    #[error("'{}' was a {was} and is a {is} now, and '{location}' is a {was}, so nothing was uploaded", path.display())]
    OtherShape {
        /// The remote location.
        location: String,
        /// The local path of the output.
        path: PathBuf,
        /// The shape at the beginning of the session.
        was: &'static str,
        /// The shape now.
        is: &'static str,
    },
    /// A directory is uploaded to a location at which there is one object.
    #[error(
        "there is an object '{location}', and '{}' is a directory: a download of '{location}' returns only the object", path.display()
    )]
    HiddenByObject {
        /// The location, and the object.
        location: String,
        /// The directory.
        path: PathBuf,
    },
    /// The program did not create its output of one file.
    #[error("'{}' does not exist, so nothing was uploaded to '{location}'", path.display())]
    NotMade {
        /// The remote location.
        location: String,
        /// The path of the file.
        path: PathBuf,
    },
    /// The path of an output does not lead to all files that were written there since the session returned it.
    #[error("'{location}': {}, {}", change.describe(path), consequence(*is_refused))]
    Moved {
        /// The remote location.
        location: String,
        /// The changed path: that of the output, or one above or below it.
        path: PathBuf,
        /// How it has changed.
        change: PathChange,
        /// Whether nothing was uploaded, because a directory above the output is another one.
        is_refused: bool,
    },
    /// The local copies in the cache belong to another server. There may be none at the moment.
    #[error(
        "the local copies in '{}' belong to the server {recorded} (recorded in '{}'), and '{location}' is on the server \
         {server}", path.display(), record.display()
    )]
    OtherServer {
        /// The location.
        location: String,
        /// The directory of all local copies of the bucket.
        path: PathBuf,
        /// The server that they belong to.
        recorded: String,
        /// The server of the location.
        server: String,
        /// The file that records the server.
        record: PathBuf,
    },
    /// The record of the server of local copies cannot be used.
    #[error("cannot determine which server the local copies in '{}' are from: '{}': {cause}", path.display(), at.display())]
    ServerUnknown {
        /// The directory of all local copies of the bucket.
        path: PathBuf,
        /// The file that records the server.
        record: PathBuf,
        /// What cannot be used: the record, or a directory above it.
        at: PathBuf,
        /// The cause.
        cause: String,
    },
    /// The server of local copies cannot be recorded.
    #[error(
        "cannot record that the local copies in '{}' are from the server {server}: '{}': {cause}", path.display(), record.display()
    )]
    ServerNotRecorded {
        /// The directory of all local copies of the bucket.
        path: PathBuf,
        /// The server.
        server: String,
        /// The file that would record the server, or a directory above it that cannot be used.
        record: PathBuf,
        /// The cause.
        cause: String,
    },
    /// Local copies of the bucket may be unsaved output of another session, and the record of their server was deleted.
    #[error(
        "'{location}' cannot use its local copies in the cache, because {}, and '{}', which would record the server of that \
         output, does not exist", marked(mark, output.as_deref()), record.display()
    )]
    OutputOfUnknownServer {
        /// The location.
        location: String,
        /// The marked path, or `None` if the mark cannot be read.
        output: Option<PathBuf>,
        /// The mark.
        mark: PathBuf,
        /// The file that would record the server.
        record: PathBuf,
    },
    /// A local path cannot be used.
    #[error("cannot use '{}': {cause}", path.display())]
    LocalPath {
        /// The path.
        path: PathBuf,
        /// The cause.
        cause: String,
    },
    /// A transfer is incomplete.
    #[error("'{location}': {}", incomplete(report, conflicts))]
    Transfer {
        /// The location.
        location: String,
        /// The report of the transfer.
        report: Arc<Incomplete>,
        /// The pairs of a file and an object that are in conflict, so that neither replaced the other. At most a
        /// thousand.
        conflicts: Vec<ConflictingPair>,
    },
    /// A transfer was cancelled while it waited for another process that had locked the sync state.
    #[error("'{location}': cancelled while waiting for another process{} that uses it", in_parentheses(*holder))]
    Waiting {
        /// The location.
        location: String,
        /// The ID of the process, if it is known.
        holder: Option<u32>,
    },
    /// Several registrations failed, at the end or in a flush.
    #[error("{}", list(.0))]
    Several(Vec<SessionError>),
    /// The threads of a blocking session cannot be started.
    #[error("cannot start threads: {0}")]
    NoThreads(String),
    /// The session is closed.
    #[error("the session is closed")]
    Closed,
    /// The end of the session was cut short because its runtime was shut down.
    #[error("'{location}': the end of the session was cut short, so it is unknown what was uploaded")]
    CutShort {
        /// The location.
        location: String,
    },
    /// The deadline passed before everything was uploaded.
    #[error("'{location}': {}", late(*missing, cause.as_deref()))]
    Deadline {
        /// The location.
        location: String,
        /// The number of files that were not uploaded, or `None` if the deadline passed before this was known.
        missing: Option<usize>,
        /// Why the last attempt of a retried upload failed, if this is known.
        cause: Option<String>,
    },
}

/// A local file and an object that differ, and neither of which may replace the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{local}' and '{remote}' conflict: {why}")]
pub struct ConflictingPair {
    /// The path of the file.
    pub local: String,
    /// The URL of the object.
    pub remote: String,
    /// Why pos3 cannot decide between them.
    pub why: SkipReason,
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self::Open(Arc::new(error))
    }
}

impl SessionError {
    /// Returns true if a guard refused the transfer or its deletes.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Transfer { report, .. } if matches!(report.0.stopped, Some(Stop::Refused(_))))
    }

    /// Returns the report of the transfer that failed, if there is one.
    pub(super) fn report(&self) -> Option<&Report> {
        match self {
            Self::Transfer { report, .. } => Some(&report.0),
            Self::Several(errors) => errors.iter().find_map(Self::report),
            _ => None,
        }
    }

    /// Returns true if everything was uploaded, and only deletes were refused or have failed.
    pub(super) fn lacks_only_deletes(&self) -> bool {
        matches!(self, Self::Transfer { report, .. } if report.0.lacks_only_deletes())
    }

    /// Returns true if the deadline of the end passed.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Self::Deadline { .. })
    }

    /// Returns true if pos3 cancelled the transfer itself.
    pub(super) fn is_cancelled(&self) -> bool {
        match self {
            Self::Waiting { .. } => true,
            Self::Transfer { report, .. } => matches!(report.0.stopped, Some(Stop::Cancelled)),
            _ => false,
        }
    }
}

/// Returns the error of a local path that cannot be used.
pub(super) fn unusable(path: &Path, cause: &str) -> SessionError {
    SessionError::LocalPath { path: path.to_owned(), cause: cause.to_owned() }
}

/// The number of errors that the text of several errors contains.
const NAMED: usize = 5;

fn late(missing: Option<usize>, cause: Option<&str>) -> String {
    let late = match missing {
        Some(1) => "1 of its files was not uploaded before the deadline".to_owned(),
        Some(missing) => format!("{missing} of its files were not uploaded before the deadline"),
        None => "the deadline passed before the missing files were known".to_owned(),
    };
    cause.map_or(late.clone(), |cause| format!("{late}; the last attempt failed: {cause}"))
}

fn marked(mark: &Path, output: Option<&Path>) -> String {
    let mark = mark.display();
    match output {
        Some(output) => format!("'{mark}' marks '{}' as unsaved output", output.display()),
        None => format!("'{mark}' marks unsaved output and cannot be read"),
    }
}

fn consequence(is_refused: bool) -> &'static str {
    if is_refused { "so nothing was uploaded" } else { "so files that were written before may not have been uploaded" }
}

fn in_parentheses(process: Option<u32>) -> String {
    process.map(|process| format!(" ({process})")).unwrap_or_default()
}

fn list(errors: &[SessionError]) -> String {
    match errors {
        [only] => only.to_string(),
        [_, ..] => {
            let named: Vec<_> = errors.iter().take(NAMED).map(ToString::to_string).collect();
            let more = if errors.len() > NAMED { "; and more" } else { "" };
            format!("{} failures: {}{more}", errors.len(), named.join("; "))
        }
        [] => "nothing failed".to_owned(),
    }
}

/// Appends the first cause, which the user needs most.
fn incomplete(incomplete: &Incomplete, conflicts: &[ConflictingPair]) -> String {
    let report = &incomplete.0;
    if let (None, [], [first, ..]) = (&report.stopped, report.failed.head(), conflicts) {
        return format!("{incomplete}: {first}");
    }
    let skipped = report.skipped.iter().flatten().find(|(_, why)| !why.is_policy());
    match (&report.stopped, report.failed.head().first(), skipped) {
        (Some(Stop::Listing { error, .. } | Stop::Displaced { error, .. }), ..) => {
            format!("{incomplete}: {}", error.cause())
        }
        (Some(Stop::Spill(error)), ..) => format!("{incomplete}: {}", one_line(error)),
        (Some(_), ..) => incomplete.to_string(),
        (None, Some(failure), _) => format!("{incomplete}: {failure}"),
        (None, None, Some((key, why))) => format!("{incomplete}: '{key}' because {why}"),
        (None, None, None) => incomplete.to_string(),
    }
}

#[cfg(test)]
mod tests;
