//! Detects an object `x` that hides an output in `x/`: a download of `x` returns the object and not the directory.
//!
//! Another writer may store the object while a session runs. A session whose output is hidden must not delete anything.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use pos3_core::{CancellationToken, ErrorKind, LastLook};

use super::error::SessionError;
use super::inner::Inner;
use super::registration::Registration;
use crate::error::Error;
use crate::location::Location;
use crate::registry::{Registry, Role};
use crate::resolve::names_prefix;

/// What the look before the deletes of an upload found.
#[derive(Clone, Default)]
pub(super) struct Hiding(Arc<OnceLock<SessionError>>);

impl Hiding {
    /// Returns the look right before the first delete. It cancels `keep` if an object hides the output, or if this is
    /// unknown.
    pub(super) fn look(&self, inner: &Inner, registration: &Registration, keep: &CancellationToken) -> LastLook {
        let (registry, keep, found) = (inner.registry.clone(), keep.clone(), self.clone());
        let (location, local) = (registration.location.clone(), registration.local.clone());
        LastLook::new(move || {
            let (registry, keep, found) = (registry.clone(), keep.clone(), found.clone());
            let (location, local) = (location.clone(), local.clone());
            async move {
                if let Err(error) = uploaded(&registry, &location, &local).await {
                    let _first = found.0.set(error);
                    keep.cancel();
                }
            }
        })
    }

    /// Returns why the look withheld the deletes, if it did.
    pub(super) fn found(&self) -> Option<SessionError> {
        self.0.get().cloned()
    }
}

/// Returns an error if an object hides the directory that was uploaded, or if the look before the deletes found one.
pub(super) async fn after_upload(inner: &Inner, registration: &Registration) -> Result<(), SessionError> {
    if let Some(found) = registration.history().hidden.clone() {
        return Err(found);
    }
    tokio::select! {
        biased;
        // The object is not looked up if there is no time.
        () = inner.course.last_uploads().cancelled() => Ok(()),
        looked_up = uploaded(&inner.registry, &registration.location, &registration.local) => looked_up,
    }
}

/// Returns the error for an upload that has been made. That of a single file is not hidden.
async fn uploaded(registry: &Registry, location: &Location, local: &Path) -> Result<(), SessionError> {
    if local.is_dir() { unless_hidden(registry, location, local).await } else { Ok(()) }
}

/// Returns an error if a directory is uploaded to `x` and there is an object `x`, or if this is unknown. Without the
/// permission to look it up, this is not an error.
pub(super) async fn unless_hidden(registry: &Registry, location: &Location, local: &Path) -> Result<(), SessionError> {
    if names_prefix(location) {
        return Ok(());
    }
    let remote = registry.open(location, Role::Target).await?;
    match remote.object().await {
        Ok(Some(_)) => Err(SessionError::HiddenByObject { location: location.to_string(), path: local.to_owned() }),
        Ok(None) => Ok(()),
        Err(Error::Store { source, .. }) if source.kind() == ErrorKind::Denied => Ok(()),
        Err(error) => Err(error.into()),
    }
}
