//! Errors of plan files.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use pos3_core::{Key, SpillError};

use crate::error::Error;

/// The reason why a plan file cannot be executed, or a plan cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFileError {
    /// The first line is not the header of a plan.
    #[error("it is not a plan: line 1 does not contain \"format\":\"pos3-plan\"")]
    NotAPlan,
    /// The version of the format is newer, or never existed.
    #[error(
        "it is a plan of version {0}; this program reads versions {earlier} and {latest}",
        earlier = super::header::UNSEALED,
        latest = super::header::VERSION
    )]
    Version(u64),
    /// A line cannot be parsed or is not allowed.
    #[error("line {line}: {problem}")]
    Line {
        /// The number of the line, from 1.
        line: u64,
        /// The problem with it.
        problem: String,
    },
    /// The file is truncated.
    #[error("it is truncated: it has {found} of {expected} actions")]
    Cut {
        /// The number of actions in the header.
        expected: u64,
        /// The number of actions in the file.
        found: u64,
    },
    /// The file is complete, but not as it was written.
    #[error("it was changed after it was written: its checksum is wrong")]
    Edited,
    /// A location cannot be written as text, because it is not UTF-8.
    #[error("'{location}' is not valid UTF-8, so a plan cannot contain it")]
    NotUtf8 {
        /// The location, with replacement characters.
        location: String,
    },
    /// An action that no plan contains, such as a copy of an entry that cannot be read.
    #[error("cannot write the action on '{0}'")]
    Unwritable(Key),
    /// The path has a file that is not a plan. It may be one of the files that the plan is about.
    #[error("the file exists and is not a complete plan; remove it or name another file")]
    Occupied,
    /// Another process wrote to the file while the plan was written. Its content stays.
    #[error("another process changed the file meanwhile, and it stays; the plan is in '{}'", plan.display())]
    Changed {
        /// The file that contains the plan.
        plan: PathBuf,
    },
    /// The server of a location is unknown.
    #[error(transparent)]
    Server(#[from] Box<Error>),
    /// A temporary file for the actions cannot be used.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl PlanFileError {
    pub(super) fn line(line: u64, problem: &(impl Display + ?Sized)) -> Self {
        Self::Line { line, problem: problem.to_string() }
    }
}
