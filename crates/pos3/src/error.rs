//! Errors that are found before anything is changed: [`Error`].
//!
//! The failure of one file is not an [`Error`]; the report has it.

mod ignore_file;
mod state;

use pos3_core::StoreError;

use crate::location::LocationError;
#[cfg(feature = "s3")]
use crate::profile::ProfileError;
#[cfg(feature = "s3")]
use crate::s3::S3SettingsError;

pub use ignore_file::IgnoreFileError;
pub use state::StateError;

/// The reason why an operation could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a location.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// No provider is registered for a scheme.
    #[error("'{location}': unknown scheme '{scheme}'; the known schemes are {known}")]
    UnknownScheme {
        /// The location.
        location: String,
        /// Its scheme.
        scheme: String,
        /// The known schemes.
        known: String,
    },
    /// The profile does not exist.
    #[error("'{location}': there is no profile '{profile}'")]
    UnknownProfile {
        /// The location.
        location: String,
        /// The profile that it names.
        profile: String,
    },
    /// The provider that is registered for the scheme cannot open such a location.
    #[error("'{location}' cannot be opened by the provider that is registered for its scheme")]
    WrongKind {
        /// The location.
        location: String,
    },
    /// The source of a sync does not exist.
    #[error("the source '{location}' does not exist")]
    SourceMissing {
        /// The location.
        location: String,
    },
    /// Nothing exists at the location.
    #[error("'{location}' does not exist")]
    NotFound {
        /// The location.
        location: String,
    },
    /// The source has no file any more, and the plan would delete files in the target.
    #[error("there is no file at the source '{location}', so nothing is deleted")]
    NoSourceFile {
        /// The location.
        location: String,
    },
    /// The source's prefix matches no key of the bucket.
    #[error("there is nothing at the source '{location}'")]
    NoSource {
        /// The location.
        location: String,
    },
    /// The target of a comparison does not exist: a directory, or a prefix that matches no key of the bucket.
    #[error("there is nothing at the target '{location}'")]
    NoTarget {
        /// The location.
        location: String,
    },
    /// The source is one file or object, where a directory or prefix is needed.
    #[error("the source '{location}' is a single file, not a directory")]
    SourceIsFile {
        /// The location.
        location: String,
    },
    /// The source is a pipe, a socket or a device.
    #[error("the source '{location}' is neither a directory nor a regular file")]
    SourceIsSpecial {
        /// The location.
        location: String,
    },
    /// The target is one file, where a directory is needed.
    #[error("the target '{location}' is a file, not a directory")]
    TargetIsFile {
        /// The location.
        location: String,
    },
    /// Source and target are the same location, or one lies inside the other, or the same files can be reached in both.
    #[error(
        "the source '{from}' and the target '{to}' overlap: one is the other or lies inside it, or both lead to the same files"
    )]
    Overlap {
        /// The source.
        from: String,
        /// The target.
        to: String,
    },
    /// A plan was made for another server than the one that the settings of this run name.
    #[error(
        "the plan was made with '{location}' on the server {}, and the settings of this run name {}",
        planned.as_deref().unwrap_or("(none)"),
        found.as_deref().unwrap_or("none")
    )]
    OtherServer {
        /// The location, as in the plan.
        location: String,
        /// The server in the plan.
        planned: Option<String>,
        /// The server that the settings name.
        found: Option<String>,
    },
    /// The backup location is a file.
    #[error("the backup directory '{location}' is a file")]
    BackupIsFile {
        /// The location.
        location: String,
    },
    /// The backup location is one side of the sync, lies inside it or contains it.
    #[error("the backup directory '{backup}' overlaps '{side}'")]
    BackupOverlaps {
        /// The backup location.
        backup: String,
        /// The source or the target.
        side: String,
    },
    /// An ignore file cannot be used. Nothing is transferred, because it may protect any file.
    #[error("the ignore file '{file}' cannot be used")]
    IgnoreFile {
        /// The location of the file.
        file: String,
        /// The reason.
        source: Box<IgnoreFileError>,
    },
    /// The profile of a location cannot be used.
    #[cfg(feature = "s3")]
    #[error("'{location}' cannot be opened")]
    Profile {
        /// The location.
        location: String,
        /// The problem with the profile.
        source: Box<ProfileError>,
    },
    /// S3 settings are missing or invalid.
    #[cfg(feature = "s3")]
    #[error(transparent)]
    S3Settings(#[from] S3SettingsError),
    /// The sync state of the two locations cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A request to a store failed.
    #[error("'{location}' cannot be opened")]
    Store {
        /// The location.
        location: String,
        /// The store's error.
        source: StoreError,
    },
    /// The provider of the scheme could not open the location.
    #[error("'{location}' cannot be opened")]
    Provider {
        /// The location.
        location: String,
        /// The provider's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
