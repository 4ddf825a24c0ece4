//! The status of the registrations of a session.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use pos3_core::Report;

use super::error::SessionError;
use super::registration::Registration;

/// The status of one registration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The remote location, as it was registered.
    pub location: String,
    /// The local path.
    pub local: PathBuf,
    /// `download`, `upload` or `sync`.
    pub kind: &'static str,
    /// Whether a transfer is running.
    pub running: bool,
    /// The time of the last complete upload.
    pub last_success: Option<SystemTime>,
    /// The report of the last complete transfer.
    pub last_report: Option<Arc<Report>>,
    /// The number of files uploaded so far. Each upload of the same file counts.
    pub uploaded: u64,
    /// The size of these uploads in bytes.
    pub uploaded_bytes: u64,
    /// The number of objects deleted so far.
    pub deleted: u64,
    /// The number of consecutive failed uploads.
    pub failures: u32,
    /// The error of the last failed upload, until an upload succeeds.
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
