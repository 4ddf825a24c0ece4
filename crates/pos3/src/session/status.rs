//! The status of the registrations of a session.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use pos3_core::Report;
use tokio::time::Instant;

use super::error::SessionError;
use super::observer::RegistrationKind;
use super::registration::{History, Registration};
use super::totals::Totals;

/// The status of one registration.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use pos3::{RegistrationKind, Session, UploadOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cache = tempfile::tempdir()?;
/// let session = Session::builder().cache_root(cache.path()).open()?;
/// let options = UploadOptions::default().with_interval(Duration::from_secs(3600));
/// let out = session.upload("memory://bucket/run", options).await?;
/// std::fs::write(out.join("log"), "12345")?;
/// session.flush().await?;
///
/// let status = &session.status()[0];
/// assert_eq!(status.kind, RegistrationKind::Upload);
/// assert_eq!((status.uploaded.files, status.uploaded.bytes), (1, 5));
/// assert!(status.last_upload.is_some() && status.next_upload > Some(SystemTime::now()));
/// # session.discard();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The remote location, as it was registered.
    pub location: String,
    /// The local path.
    pub local: PathBuf,
    /// Whether it is downloaded, uploaded or both.
    pub kind: RegistrationKind,
    /// Whether a transfer is running.
    pub running: bool,
    /// The time at which the next background upload is due. `None` while an upload runs, without an
    /// [`interval`](super::UploadOptions::interval), and after the end of the session has begun.
    pub next_upload: Option<SystemTime>,
    /// The time of the last complete upload.
    pub last_upload: Option<SystemTime>,
    /// The time of the last complete download.
    pub last_download: Option<SystemTime>,
    /// The report of the last complete transfer.
    pub last_report: Option<Arc<Report>>,
    /// Whether the location has keys, and the last download found that all of them are excluded.
    pub is_excluded: bool,
    /// All uploads since the registration.
    pub uploaded: Totals,
    /// All downloads since the registration.
    pub downloaded: Totals,
    /// The number of consecutive failed uploads.
    pub failures: u32,
    /// The error of the last failed upload, until an upload succeeds.
    pub last_error: Option<SessionError>,
}

impl Status {
    /// Returns the status of a registration. `is_open` is false once the end of the session has begun.
    pub(super) fn of(registration: &Registration, is_open: bool) -> Self {
        let history: History = registration.history().clone();
        Self {
            location: registration.location.to_string(),
            local: registration.local.clone(),
            kind: registration.kind.kind(),
            running: registration.running.try_lock().is_err(),
            next_upload: history.due.filter(|_| is_open).and_then(time_of),
            last_upload: history.last_upload,
            last_download: history.last_download,
            last_report: history.last_report,
            is_excluded: history.is_excluded,
            uploaded: history.uploaded,
            downloaded: history.downloaded,
            failures: history.failures,
            last_error: history.last_error,
        }
    }
}

/// Returns the time of the system's clock at an instant. An instant in the past is treated as now.
fn time_of(instant: Instant) -> Option<SystemTime> {
    SystemTime::now().checked_add(instant.saturating_duration_since(Instant::now()))
}
