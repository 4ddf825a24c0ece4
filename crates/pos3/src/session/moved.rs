//! Uploads an output only if its path still leads to the directory that the session returned.
//!
//! All uploads of a session go through this module, so none of them can treat the files of another directory as output
//! of the program.

use std::sync::Arc;

use pos3_core::Report;

use super::deletes::Occasion;
use super::error::SessionError;
use super::inner::Inner;
use super::progress::Watch;
use super::registration::Registration;
use super::transfer;

/// Uploads changes and returns the report, or `None` if the local path does not exist yet.
pub(super) async fn upload(
    inner: &Inner,
    registration: &Registration,
    occasion: Occasion,
) -> Result<Option<Arc<Report>>, SessionError> {
    upload_watched(inner, registration, occasion, None).await
}

/// Uploads changes. `watch` receives the whole plan before it is executed.
///
/// If a directory above the output has changed since the beginning, this uploads nothing. If the output itself or a part
/// of it has, this uploads the files that are there, and returns an error.
pub(super) async fn upload_watched(
    inner: &Inner,
    registration: &Registration,
    occasion: Occasion,
    watch: Option<&Watch>,
) -> Result<Option<Arc<Report>>, SessionError> {
    // A transfer also checks this, once no other process transfers the same files. An earlier check does not wait.
    registration.ownership().await?;
    let outcome = transfer::upload_watched(inner, registration, occasion, watch).await;
    // The change may also have been made during the upload.
    let Some(moved) = registration.moved().await else { return outcome };
    let moved = registration.error_of(moved, false);
    match outcome {
        Err(error @ SessionError::Moved { .. }) => Err(error),
        Err(error) if !error.is_refused() => {
            inner.warn(&[moved.to_string()]);
            Err(error)
        }
        Ok(_) | Err(_) => Err(moved),
    }
}
