//! The error that ends a command: its exit code, its message and the hint.
//!
//! Every error of a library becomes a [`CommandError`] here. Otherwise the same failure would have another exit code or no
//! hint in some commands.

mod early_end;
mod plan_file;
mod program;
mod python;
mod session;
mod workspace;

use std::fmt::Display;
use std::io;

use pos3::{Error, ManifestError, S3SettingsError, StateError, StoreError, one_line};
use serde::Serialize;

use crate::args::FilterArgsError;
use crate::exit::Exit;
use crate::{hints, json, output};

pub(crate) use early_end::Purpose;
pub(crate) use python::Direction;

/// Why a command ended without doing all its work. As JSON it has only the message and the hint, because the exit code is
/// a field of the [`Envelope`](crate::envelope::Envelope).
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CommandError {
    #[serde(skip)]
    pub(crate) exit: Exit,
    #[serde(serialize_with = "json::message")]
    pub(crate) message: String,
    #[serde(serialize_with = "json::optional_message")]
    pub(crate) hint: Option<String>,
}

/// The start of an error's line on stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ErrorPrefix {
    /// `error: …`.
    Error,
    /// `pos3 ls: …`, for the commands that the Python program has too.
    Command(&'static str),
}

impl ErrorPrefix {
    /// `pos3 run: …`.
    pub(crate) const RUN: Self = Self::Command("run");
}

impl CommandError {
    /// Returns an error without a hint.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// Returns a failure without a hint.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// Returns a usage error.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Returns the error of a process that the system lets not start its work.
    pub(crate) fn of_start(error: &io::Error) -> Self {
        Self::failed(format!("cannot start: {error}")).with_hint(hints::for_start(error).map(str::to_owned))
    }

    /// Returns the failure of a listing.
    pub(crate) fn of_listing(location: &impl Display, error: &StoreError) -> Self {
        Self::failed(format!("cannot list '{location}': {}", error.cause())).with_hint(hints::for_store(error))
    }

    /// Replaces the hint.
    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Returns this error for a command that changes nothing: it fails where a sync would be refused for safety.
    pub(crate) fn of_read_only(mut self) -> Self {
        if self.exit == Exit::Refused {
            self.exit = Exit::Failed;
        }
        self
    }

    /// Writes the message and the hint to stderr.
    pub(crate) fn report(&self, prefix: ErrorPrefix) {
        match prefix {
            ErrorPrefix::Error => output::error(&self.message, self.hint.as_deref()),
            ErrorPrefix::Command(command) => {
                output::command_error(command, &self.message, self.hint.as_deref());
            }
        }
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for CommandError {
    fn from(error: &Error) -> Self {
        Self::new(exit(error), one_line(error)).with_hint(hints::for_error(error))
    }
}

impl From<S3SettingsError> for CommandError {
    fn from(error: S3SettingsError) -> Self {
        Error::from(error).into()
    }
}

impl From<ManifestError> for CommandError {
    fn from(error: ManifestError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<FilterArgsError> for CommandError {
    fn from(error: FilterArgsError) -> Self {
        Self::usage(error.to_string())
    }
}

/// Returns the exit code of an operation that could not start.
fn exit(error: &Error) -> Exit {
    match error {
        Error::Location(_)
        | Error::UnknownScheme { .. }
        | Error::UnknownProfile { .. }
        | Error::Profile { .. }
        | Error::WrongKind { .. }
        | Error::S3Settings(
            S3SettingsError::Config(_)
            | S3SettingsError::NotUtf8(_)
            | S3SettingsError::Blank(_)
            | S3SettingsError::Number { .. }
            | S3SettingsError::HalfCredentials { .. }
            | S3SettingsError::UnknownAwsProfile { .. }
            | S3SettingsError::CaBundle { .. },
        ) => Exit::Usage,
        Error::NoSourceFile { .. }
        | Error::SourceIsFile { .. }
        | Error::SourceIsSpecial { .. }
        | Error::TargetIsFile { .. }
        | Error::BackupIsFile { .. }
        | Error::Overlap { .. }
        | Error::OtherServer { .. }
        | Error::BackupOverlaps { .. }
        | Error::State(StateError::Locked { .. } | StateError::Newer { .. }) => Exit::Refused,
        _ => Exit::Failed,
    }
}
