//! What a session refuses, and what did not go well in it.

use std::path::PathBuf;
use std::sync::Arc;

use pos3_core::{FilterError, Incomplete, SkipReason, Stop, one_line};

use crate::error::Error;

/// Why a session, or one registration of it, failed. Cheap to clone: callers who asked for the same get the same.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A location that is none or cannot be opened; the text has every cause.
    #[error("{}", one_line(&**.0))]
    Open(Arc<Error>),
    /// The same place is registered with other options.
    #[error("{what} of '{location}' is registered already with different options")]
    Different {
        /// A download, an upload or a sync.
        what: &'static str,
        /// The place.
        location: String,
    },
    /// Two registrations whose remote places overlap, at least one of which writes.
    #[error("{new_kind} '{new}' overlaps with {old_kind} '{old}'")]
    RemoteConflict {
        /// What was to be registered.
        new: String,
        /// Whether it is a download, an upload or a sync.
        new_kind: &'static str,
        /// What is registered.
        old: String,
        /// Whether it is a download, an upload or a sync.
        old_kind: &'static str,
    },
    /// Two registrations share local files.
    #[error("'{new}' would be kept in '{}', which overlaps with '{}' of '{old}'", new_path.display(), old_path.display())]
    LocalConflict {
        /// What was to be registered.
        new: String,
        /// Its local path.
        new_path: PathBuf,
        /// What is registered.
        old: String,
        /// Its local path.
        old_path: PathBuf,
    },
    /// Several conflicts, found at once.
    #[error("{}", list(.0))]
    Conflicts(Vec<SessionError>),
    /// One name for two paths.
    #[error("two paths are named '{0}'")]
    NameTaken(String),
    /// No path was named so.
    #[error("nothing is named '{0}' here")]
    NoSuchName(String),
    /// An interval of zero.
    #[error("the interval of '{location}' must be longer than nothing; None means at the end only")]
    NoInterval {
        /// The place.
        location: String,
    },
    /// A rate that is no positive number.
    #[error("a rate must be a positive number of bytes per second, not {0}")]
    BadRate(f64),
    /// There is nothing at the remote place, and that was not allowed.
    #[error("there is nothing at '{location}'")]
    Missing {
        /// The place.
        location: String,
    },
    /// A plan of a path instead of a URL.
    #[error("'{0}' is a path, which is used where it is: nothing would be copied")]
    PassedThrough(String),
    /// A pattern of what is left alone that could match nothing.
    #[error(transparent)]
    BadPattern(FilterError),
    /// A local path that must exist does not.
    #[error("'{}' does not exist", .0.display())]
    NoLocalPath(PathBuf),
    /// One object was to be put where a directory is.
    #[error("'{location}' is one object, and '{}' is a directory: name the file, or end the path in '/' to put it inside", path.display())]
    DirectoryInTheWay {
        /// The object.
        location: String,
        /// The directory.
        path: PathBuf,
    },
    /// A prefix was to be put where a file is.
    #[error("'{location}' is a prefix, and '{}' is a file: name a directory", path.display())]
    FileInTheWay {
        /// The prefix.
        location: String,
        /// The file.
        path: PathBuf,
    },
    /// An output of one file whose location names a prefix.
    #[error("'{location}' ends in '/', so it is not one file: name the object")]
    NotOneFile {
        /// The location.
        location: String,
    },
    /// The local path of an output is a symbolic link, which a program may have put there.
    #[error("'{}' is a symbolic link to '{}', which is not followed", path.display(), target.display())]
    IsLink {
        /// The path.
        path: PathBuf,
        /// Where the link leads.
        target: PathBuf,
    },
    /// An output is not what it was, and the remote location has what it was.
    #[error("'{}' was a {was} and is a {is} now, and '{location}' is a {was}, so nothing was uploaded", path.display())]
    OtherShape {
        /// The remote location.
        location: String,
        /// The output.
        path: PathBuf,
        /// What it was when the session began.
        was: &'static str,
        /// What it is now.
        is: &'static str,
    },
    /// An output of one file that the program did not make.
    #[error("there is no '{}', so nothing was uploaded to '{location}'", path.display())]
    NotMade {
        /// The remote location.
        location: String,
        /// The file.
        path: PathBuf,
    },
    /// A local path cannot be used.
    #[error("cannot use '{}': {cause}", path.display())]
    LocalPath {
        /// The path.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A transfer that did not do all it was to do.
    #[error("'{location}': {}", incomplete(report, conflicts))]
    Transfer {
        /// The place.
        location: String,
        /// What happened.
        report: Arc<Incomplete>,
        /// The files and objects that are in conflict, which is why neither replaced the other; at most a thousand.
        conflicts: Vec<ConflictingPair>,
    },
    /// A transfer that was cancelled before it began, while another process had its sync state.
    #[error("'{location}': cancelled while waiting for another process{} that uses it", in_parentheses(*holder))]
    Waiting {
        /// The place.
        location: String,
        /// The ID of the process, if it is known.
        holder: Option<u32>,
    },
    /// Registrations that failed at the end, or since the last flush.
    #[error("{}", list(.0))]
    Several(Vec<SessionError>),
    /// The threads of a session without a runtime cannot be started.
    #[error("cannot start threads: {0}")]
    NoThreads(String),
    /// The session is closed.
    #[error("the session is closed")]
    Closed,
    /// The end of the session was itself cut short, because its runtime was shut down.
    #[error("'{location}': the session was not ended, so it is not known what was uploaded")]
    CutShort {
        /// The place.
        location: String,
    },
    /// The time for ending was over before this was uploaded.
    #[error("'{location}': {}", late(*missing, cause.as_deref()))]
    Deadline {
        /// The place.
        location: String,
        /// How many files are not uploaded; nothing if time was over before that was known.
        missing: Option<usize>,
        /// Why an upload failed that was tried again until the time was over, as far as that is known.
        cause: Option<String>,
    },
}

/// A local file and an object that differ, and of which neither may replace the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{local}' and '{remote}' conflict: {why}")]
pub struct ConflictingPair {
    /// The path of the file.
    pub local: String,
    /// The URL of the object.
    pub remote: String,
    /// Why neither is known to be the one to keep.
    pub why: SkipReason,
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self::Open(Arc::new(error))
    }
}

/// Failures that are named where several are one error.
const NAMED: usize = 5;

fn late(missing: Option<usize>, cause: Option<&str>) -> String {
    let late = match missing {
        Some(missing) => format!("{missing} of its files did not make it in time"),
        None => "time was over before it was known which of its files did not make it".to_owned(),
    };
    cause.map_or(late.clone(), |cause| format!("{late}; the last attempt failed: {cause}"))
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

/// Names the first cause, which is what a person needs first.
fn incomplete(incomplete: &Incomplete, conflicts: &[ConflictingPair]) -> String {
    let report = &incomplete.0;
    if let (None, [], [first, ..]) = (&report.stopped, report.failed.head(), conflicts) {
        return format!("{incomplete}: {first}");
    }
    let skipped = report.skipped.iter().flatten().find(|(_, why)| !why.is_policy());
    match (&report.stopped, report.failed.head().first(), skipped) {
        (Some(Stop::Listing { error, .. }), ..) => format!("{incomplete}: {}", error.cause()),
        (Some(_), ..) => incomplete.to_string(),
        (None, Some(failure), _) => format!("{incomplete}: {failure}"),
        (None, None, Some((key, why))) => format!("{incomplete}: '{key}' because {why}"),
        (None, None, None) => incomplete.to_string(),
    }
}
