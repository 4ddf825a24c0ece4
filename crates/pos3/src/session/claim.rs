//! Records which server the local copies of a registration are from, before any of them is used.
//!
//! A mistyped endpoint must not claim a directory. So the server is recorded only once it has answered for the location.
//! Before that, nothing in the directory is written, and nothing there is treated as a copy from this server.

use pos3_core::run_blocking;

use super::error::SessionError;
use super::inner::{Inner, absolute};
use super::place;
use super::registration::Registration;
use super::servers::LocalCopies;
use super::unsaved::{Marks, OtherMark};
use crate::location::Location;
use crate::state::ends_with_the_process;

/// The local copies in the cache that a location uses.
#[derive(Clone)]
struct Claim {
    copies: LocalCopies,
    marks: Marks,
    /// Whether the location ends with the process. No later process has the same one, so its server is not recorded.
    is_fleeting: bool,
}

/// Returns an error if a location must not use its local copies in the cache. Changes nothing.
pub(super) fn check(inner: &Inner, location: &Location) -> Result<(), SessionError> {
    Claim::of(inner, location)?.map_or(Ok(()), |claim| claim.check().map(drop))
}

/// Records the server of the local copies in the cache that a registration uses, unless that was done before. Returns
/// false, and records nothing, if the registration needs objects and there is none.
///
/// # Errors
///
/// Fails if the local copies belong to another server, or if the server is not recorded yet and does not answer.
pub(super) async fn claim(inner: &Inner, registration: &Registration) -> Result<bool, SessionError> {
    let Registration { location, kind, .. } = registration;
    if kind.local().is_some() {
        return Ok(true);
    }
    let Some(claim) = Claim::of(inner, location)? else { return Ok(true) };
    let checked = claim.clone();
    if run_blocking(move || checked.check()).await? {
        return Ok(true);
    }
    if !place::has_anything(&inner.registry, location).await? && kind.needs_objects() {
        return Ok(false);
    }
    match run_blocking(move || claim.record()).await {
        Err(error @ SessionError::ServerNotRecorded { .. }) if kind.upload().is_none() => {
            // Without a record, no output can use these copies, so nothing of them can be uploaded.
            inner.warn(&[error.to_string()]);
            Ok(true)
        }
        recorded => recorded.map(|()| true),
    }
}

impl Claim {
    fn of(inner: &Inner, location: &Location) -> Result<Option<Self>, SessionError> {
        let Location::Remote(remote) = location else { return Ok(None) };
        let (server, name) = (inner.registry.server(location)?, inner.registry.local_name(location)?);
        Ok(Some(Self {
            copies: LocalCopies::new(absolute(&inner.cache_root)?, &name, remote, server.as_deref()),
            marks: Marks::of(inner),
            is_fleeting: ends_with_the_process(location, location).is_some(),
        }))
    }

    /// Returns true if nothing has to be recorded.
    fn check(&self) -> Result<bool, SessionError> {
        if self.copies.are_recorded()? || self.is_fleeting {
            return Ok(true);
        }
        match self.marks.of_others(self.copies.directories()) {
            None => Ok(false),
            // Another session may have recorded this server meanwhile, and then written its mark.
            Some(_) if self.copies.are_recorded()? => Ok(true),
            Some(OtherMark { file, output }) => Err(self.copies.of_unknown_server(file, output)),
        }
    }

    fn record(&self) -> Result<(), SessionError> {
        if self.check()? { Ok(()) } else { self.copies.record() }
    }
}
