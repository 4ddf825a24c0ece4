//! What keeps a door of this library from opening: [`Error`].
//!
//! A failure of one file is no error here: it is in the report. What is here was found before anything was touched.

use pos3_core::StoreError;

use crate::location::LocationError;
#[cfg(feature = "s3")]
use crate::profile::ProfileError;
#[cfg(feature = "s3")]
use crate::s3::S3SettingsError;
use crate::state::StateError;

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is no location.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// No provider is registered for a scheme.
    #[error("'{location}': the scheme '{scheme}' is not known; there are: {known}")]
    UnknownScheme {
        /// The location.
        location: String,
        /// Its scheme.
        scheme: String,
        /// The schemes there are.
        known: String,
    },
    /// A profile that does not exist.
    #[error("'{location}': there is no profile '{profile}'")]
    UnknownProfile {
        /// The location.
        location: String,
        /// The profile it asks for.
        profile: String,
    },
    /// A scheme is registered with a provider that cannot serve such a location.
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
    /// There is nothing of this name.
    #[error("'{location}' does not exist")]
    NotFound {
        /// The location.
        location: String,
    },
    /// The source has not a single file any more, and a plan would delete files in the target.
    #[error("there is no file at the source '{location}', so nothing is deleted")]
    NoSourceFile {
        /// The location.
        location: String,
    },
    /// No key of a bucket begins with the source's prefix.
    #[error("there is nothing at the source '{location}'")]
    NoSource {
        /// The location.
        location: String,
    },
    /// The source is one file or object, where a directory or prefix is needed.
    #[error("the source '{location}' is a single file, not a directory")]
    SourceIsFile {
        /// The location.
        location: String,
    },
    /// The target is one file, where a directory is needed.
    #[error("the target '{location}' is a file, not a directory")]
    TargetIsFile {
        /// The location.
        location: String,
    },
    /// Source and target are the same place, or one lies inside the other.
    #[error("the source '{from}' and the target '{to}' overlap: one is the other or lies inside it")]
    Overlap {
        /// The source.
        from: String,
        /// The target.
        to: String,
    },
    /// The place for backups is one side of the sync, or lies inside it, or holds it.
    #[error("the backup directory '{backup}' overlaps '{side}'")]
    BackupOverlaps {
        /// The place for backups.
        backup: String,
        /// The source or the target.
        side: String,
    },
    /// A location's profile cannot be used.
    #[cfg(feature = "s3")]
    #[error("'{location}' cannot be opened")]
    Profile {
        /// The location.
        location: String,
        /// What is wrong with the profile.
        source: Box<ProfileError>,
    },
    /// Settings that are missing or make no sense.
    #[cfg(feature = "s3")]
    #[error(transparent)]
    S3Settings(#[from] S3SettingsError),
    /// What was remembered of two locations cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A store could not be asked.
    #[error("'{location}' cannot be opened")]
    Store {
        /// The location.
        location: String,
        /// What happened.
        source: StoreError,
    },
    /// The provider of a scheme could not open a location.
    #[error("'{location}' cannot be opened")]
    Provider {
        /// The location.
        location: String,
        /// The provider's own error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
