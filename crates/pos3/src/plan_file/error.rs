//! What is wrong with a plan's file.

use std::fmt::Display;
use std::io;

use pos3_core::{Key, SpillError};

/// A file that is no plan this program can execute, or a plan that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanFileError {
    /// The first line is no header of a plan.
    #[error("it is not a plan: line 1 does not say \"format\":\"pos3-plan\"")]
    NotAPlan,
    /// The format is newer, or none that there ever was.
    #[error("it is a plan of version {0}; this program reads version {known}", known = super::header::VERSION)]
    Version(u64),
    /// A line that cannot be understood, or must not be there.
    #[error("line {line}: {problem}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The file ends too early.
    #[error("it is cut short: it has {found} of {expected} actions")]
    Cut {
        /// What the header says.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A location that no text can express exactly.
    #[error("'{location}' is not valid UTF-8, so no plan can name it")]
    NotUtf8 {
        /// The location, with replacement characters.
        location: String,
    },
    /// Something that no plan does, such as a copy of what cannot be read.
    #[error("the action on '{0}' cannot be written down")]
    Unwritable(Key),
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
