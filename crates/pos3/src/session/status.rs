//! How the registrations of a session are doing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use pos3_core::Report;

use super::error::SessionError;
use super::registration::Registration;

/// How one registration is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The remote place, as it was registered.
    pub location: String,
    /// Where it is kept locally.
    pub local: PathBuf,
    /// `download`, `upload` or `sync`.
    pub kind: &'static str,
    /// Whether a transfer is running.
    pub running: bool,
    /// When an upload last did everything it was to do.
    pub last_success: Option<SystemTime>,
    /// What the last transfer has done that did all it was to do.
    pub last_report: Option<Arc<Report>>,
    /// Files uploaded so far, each as often as it was.
    pub uploaded: u64,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Objects deleted so far.
    pub deleted: u64,
    /// Uploads that failed in a row.
    pub failures: u32,
    /// Why the last of them failed.
    pub last_error: Option<SessionError>,
}

impl Status {
    pub(super) fn of(registration: &Registration) -> Self {
        let history = registration.history().clone();
        Self {
            location: registration.location.to_string(),
            local: registration.local.clone(),
            kind: registration.kind.name(),
            running: registration.running.try_lock().is_err(),
            last_success: history.last_success,
            last_report: history.last_report,
            uploaded: history.uploaded,
            uploaded_bytes: history.uploaded_bytes,
            deleted: history.deleted,
            failures: history.failures,
            last_error: history.last_error,
        }
    }
}
