//! Why an ignore file cannot be used: [`IgnoreFileError`].

use pos3_core::{FilterError, Protection, StoreError};

/// The reason why an ignore file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoreFileError {
    /// It is not a regular file or object that can be read.
    #[error("it is not a readable file: {0}")]
    NotAFile(Protection),
    /// It is larger than 1 MiB.
    #[error("it is larger than 1 MiB")]
    TooLarge,
    /// It is not text.
    #[error("it is not valid UTF-8")]
    NotUtf8,
    /// It could not be read.
    #[error("it cannot be read")]
    Read(#[source] StoreError),
    /// One of its lines cannot be used.
    #[error(transparent)]
    Line(FilterError),
}
