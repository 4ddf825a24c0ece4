//! The beginning of an output: its local path is prepared, marked and looked at, before the program gets it.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::background;
use super::claim;
use super::error::SessionError;
use super::inner::{Inner, absolute};
use super::options::Shape;
use super::overlay;
use super::place;
use super::registration::Registration;
use super::surroundings::Surroundings;
use super::transfer;
use super::unsaved;
use crate::resolve::PathKind;

/// Creates the directory of a registration, starts its background uploads, and returns the local path.
pub(super) async fn begin(inner: &Arc<Inner>, registration: &Arc<Registration>) -> Result<PathBuf, SessionError> {
    let beginning = registration.beginning.lock().await;
    let path = ready(inner, registration).await.inspect_err(|_not_begun| inner.forget(registration))?;
    registration.begun.store(true, Ordering::Release);
    drop(beginning);
    if registration.kind.upload().is_none_or(|upload| upload.interval.is_none()) {
        return Ok(path);
    }
    if registration.history().due.is_none() {
        background::schedule(registration);
    }
    let mut background = inner.background.lock().unwrap_or_else(PoisonError::into_inner);
    if background.is_none() && !inner.course.is_closed() {
        *background = Some(tokio::spawn(background::run(inner.clone())));
    }
    inner.wake.notify_one();
    Ok(path)
}

/// Creates the directory of a registration, marks it, and records what exists on both sides.
async fn ready(inner: &Arc<Inner>, registration: &Arc<Registration>) -> Result<PathBuf, SessionError> {
    let last_uploads = inner.course.last_uploads();
    transfer::unless_cancelled(last_uploads, registration, claim::claim(inner, registration)).await?;
    inner.warn_of_link(registration)?;
    let path = inner.blocking(registration, prepare).await?;
    // From now on, sessions that end leave their marks, so none of them removes a file unnoticed.
    inner.blocking(registration, unsaved::mark).await;
    let evidence = transfer::take_evidence(inner, registration);
    let taken = transfer::unless_cancelled(last_uploads, registration, evidence).await;
    if taken.is_ok() || registration.begun.load(Ordering::Acquire) {
        inner.blocking(registration, unsaved::replace_earlier).await;
    } else {
        inner.blocking(registration, |_, registration| unsaved::unmark(registration)).await;
    }
    taken.map(|()| path)
}

/// Prepares the local path of an output. Records whether it is a file or a directory, and its surroundings.
fn prepare(inner: &Inner, registration: &Registration) -> Result<PathBuf, SessionError> {
    if registration.kind.shape() == Shape::File {
        unsaved::unless_in_use(inner, registration, &registration.local)?;
    }
    let path = place::prepare(registration.local.clone(), registration.kind.shape())?;
    if let Ok(kind) = PathKind::at(&path) {
        registration.begun_as.get_or_init(|| kind);
    }
    let cache_root = absolute(&inner.cache_root)?;
    registration.surroundings.get_or_init(|| {
        // In the cache root, a directory with a new time of creation is another one.
        if path.starts_with(&cache_root) {
            overlay::copy_up(&path);
        }
        Arc::new(Surroundings::of(&path, &cache_root))
    });
    Ok(path)
}
