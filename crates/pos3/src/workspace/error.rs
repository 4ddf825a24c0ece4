//! The errors of a workspace: [`WorkspaceError`].

use std::path::PathBuf;

use pos3_core::{FilterError, Incomplete, Refusal, Report, Stop, one_line};

use crate::error::Error;

/// Why a pull, a push or a status of a workspace could not be made. After it, nothing was deleted.
///
/// The failure of one file is no such error: [`WorkspaceReport::errors`](super::WorkspaceReport::errors) has it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// A location is invalid or cannot be opened, or another process uses the workspace.
    #[error("{}", one_line(.0))]
    Open(#[from] Error),
    /// The threads of a blocking workspace cannot be started.
    #[error("the threads of the workspace cannot be started: {0}")]
    NoThreads(String),
    /// A path or a pattern cannot be used.
    #[error(transparent)]
    Pattern(#[from] FilterError),
    /// The remote location is a whole bucket.
    #[error("'{location}' is a whole bucket: a workspace needs a prefix, such as {location}/workspace")]
    NoPrefix {
        /// The location.
        location: String,
    },
    /// A limit of copies in progress is zero.
    #[error("the {what} must be at least 1, not 0")]
    NoConcurrency {
        /// `download concurrency` or `upload concurrency`.
        what: &'static str,
    },
    /// The directory of the workspace does not exist.
    #[error("'{}' does not exist: pull the workspace first", .0.display())]
    NoDirectory(PathBuf),
    /// The directory is no workspace yet, and no location was given.
    #[error("'{}' is not a workspace yet: give its location, such as s3://bucket/prefix", .0.display())]
    NoLocation(PathBuf),
    /// The directory belongs to another location.
    #[error(
        "'{}' is the workspace of '{known}', not of '{given}': use another directory, or remove '{}' to make it that of \
         '{given}'",
        directory.display(),
        record.display()
    )]
    OtherLocation {
        /// The directory.
        directory: PathBuf,
        /// The location that it belongs to, with its server if only that differs.
        known: String,
        /// The given location, likewise.
        given: String,
        /// The file with the record.
        record: PathBuf,
    },
    /// What was recorded about the workspace cannot be read or written.
    #[error("'{}' cannot be used: {why}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The problem, and what to do.
        why: String,
    },
    /// A side could not be listed, or the run ended early for another reason.
    #[error("{}", one_line(.0))]
    Stopped(Incomplete),
    /// The location has no object, and the directory has files that exist nowhere else.
    #[error(
        "there is nothing at '{location}', and '{}' has {files} that were never pushed, so they stay: push them, or check the \
         location",
        directory.display()
    )]
    NothingToPull {
        /// The location.
        location: String,
        /// The directory.
        directory: PathBuf,
        /// The number of files, as text.
        files: String,
    },
    /// The files to fetch need more space than the disk has.
    #[error(
        "the pull needs {needed} bytes, and the disk of '{}' has {free} free: nothing was fetched; free some space, or pull a \
         part with 'only' or a size limit",
        directory.display()
    )]
    NoSpace {
        /// The directory.
        directory: PathBuf,
        /// The bytes to fetch.
        needed: u64,
        /// The free bytes.
        free: u64,
    },
    /// The workspace is larger than the limit for it.
    #[error("'{location}' has {total} bytes, and the limit of the workspace is {limit}: nothing was fetched")]
    TooLarge {
        /// The location.
        location: String,
        /// The bytes of all objects that would be in the workspace.
        total: u64,
        /// The limit.
        limit: u64,
    },
    /// Another machine holds the lease of the workspace.
    #[error(
        "{holder} holds the lease of '{location}', for {seconds} s unless it is renewed: wait, or end that process"
    )]
    Leased {
        /// The location.
        location: String,
        /// The process and its machine.
        holder: String,
        /// How many seconds it lasts.
        seconds: u64,
    },
    /// The lease of the workspace cannot be taken, or was lost.
    #[error("the lease of '{location}' cannot be used: {why}")]
    Lease {
        /// The location.
        location: String,
        /// The reason.
        why: String,
    },
    /// A file that was asked for cannot be read.
    #[error("'{path}' cannot be opened: {why}")]
    File {
        /// The path in the workspace.
        path: String,
        /// The reason.
        why: String,
    },
    /// An earlier pull in the background failed. Callers that wait for one pull share its error.
    #[error("{0}")]
    Shared(std::sync::Arc<WorkspaceError>),
}

impl WorkspaceError {
    /// Returns an identifier for programs: `S3_OPERATION_ERROR` if a side could not be listed or the run ended early,
    /// and otherwise `SYNC_ERROR`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stopped(_) | Self::Open(Error::Store { .. }) => "S3_OPERATION_ERROR",
            Self::Shared(error) => error.code(),
            _ => "SYNC_ERROR",
        }
    }

    /// Returns the refusal of a guard, if that is the reason.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Stopped(Incomplete(report)) => match &report.stopped {
                Some(Stop::Refused(refusal)) => Some(refusal),
                _ => None,
            },
            Self::Shared(error) => error.refusal(),
            _ => None,
        }
    }

    /// Returns the error of a run that ended early.
    pub(super) fn stopped(report: Report) -> Self {
        Self::Stopped(Incomplete(Box::new(report)))
    }
}
