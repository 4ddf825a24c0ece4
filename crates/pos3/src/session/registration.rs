//! The registrations of a session and the conflicts between them.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use futures::future::{BoxFuture, Shared};
use pos3_core::{FailureKind, Guards, Report, SkipReason, run_blocking};
use pos3_local::Symlinks;

use super::error::SessionError;
use super::evidence::Evidence;
use super::mark::Mark;
use super::memory::Memory;
use super::observer::{Registered, RegistrationKind};
use super::options::{DownloadOptions, RemoteDelete, Shape, SyncBothOptions, UploadOptions};
use super::other_pairs::OtherPairs;
use super::surroundings::{Moved, Ownership, Reach, Surroundings};
use super::totals::Totals;
use crate::location::Location;
use crate::place::{Place, paths_overlap};
use crate::resolve::{PathKind, ends_in_slash};
use crate::transfer::Permission;

/// A download that several callers may wait for.
pub(super) type Downloading = Shared<BoxFuture<'static, Result<PathBuf, SessionError>>>;

/// The kind of a registration, with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Download(DownloadOptions),
    Upload(UploadOptions),
    Sync(SyncBothOptions),
}

impl Kind {
    /// Returns the kind without the options.
    pub(super) fn kind(&self) -> RegistrationKind {
        match self {
            Self::Download(_) => RegistrationKind::Download,
            Self::Upload(_) => RegistrationKind::Upload,
            Self::Sync(_) => RegistrationKind::Sync,
        }
    }

    /// Returns the options of the upload, if there is one.
    pub(super) fn upload(&self) -> Option<&UploadOptions> {
        match self {
            Self::Download(_) => None,
            Self::Upload(upload) | Self::Sync(SyncBothOptions { upload, .. }) => Some(upload),
        }
    }

    /// Returns the local path that was given. Without one, the local copy is in the cache.
    pub(super) fn local(&self) -> Option<&Path> {
        match self {
            Self::Download(download) => download.local.as_deref(),
            Self::Upload(upload) | Self::Sync(SyncBothOptions { upload, .. }) => upload.local.as_deref(),
        }
    }

    /// Returns the profile that was given.
    pub(super) fn profile(&self) -> Option<&str> {
        match self {
            Self::Download(download) => download.profile.as_deref(),
            Self::Upload(upload) | Self::Sync(SyncBothOptions { upload, .. }) => upload.profile.as_deref(),
        }
    }

    /// Returns true if it is an error that there is nothing at the location.
    pub(super) fn needs_objects(&self) -> bool {
        matches!(self, Self::Download(download) if !download.allow_missing)
    }

    /// Returns the required shape of the local path.
    pub(super) fn shape(&self) -> Shape {
        self.upload().map_or(Shape::Auto, |upload| upload.shape)
    }

    /// Returns how symbolic links below the local path are treated.
    pub(super) fn symlinks(&self) -> Symlinks {
        self.upload().map_or(Symlinks::Skip, |upload| upload.symlinks)
    }

    /// Returns true if an object is to be downloaded into a directory, because the given path ends in `/`.
    pub(super) fn goes_inside(&self) -> bool {
        matches!(self, Self::Download(download) if download.local.as_deref().is_some_and(ends_in_slash))
    }

    /// Returns true if the user named the local path.
    pub(super) fn has_given_path(&self) -> bool {
        match self {
            Self::Download(download) => download.local.is_some(),
            Self::Upload(upload) | Self::Sync(SyncBothOptions { upload, .. }) => upload.local.is_some(),
        }
    }

    /// Returns true if an empty directory at the path of a file may be removed, because it is below the cache root or
    /// left by an earlier attempt of this output.
    pub(super) fn owns_its_path(&self) -> bool {
        match self {
            Self::Download(download) => download.local.is_none(),
            Self::Upload(_) | Self::Sync(_) => true,
        }
    }

    pub(super) fn exclude(&self) -> &[String] {
        match self {
            Self::Download(download) => &download.exclude,
            Self::Upload(upload) | Self::Sync(SyncBothOptions { upload, .. }) => &upload.exclude,
        }
    }

    pub(super) fn ignore_files(&self) -> &[String] {
        match self {
            Self::Download(download) => &download.ignore_files,
            Self::Upload(upload) | Self::Sync(SyncBothOptions { upload, .. }) => &upload.ignore_files,
        }
    }

    /// Returns true if rules of the registration may exclude keys.
    pub(super) fn may_exclude(&self) -> bool {
        !self.exclude().is_empty() || !self.ignore_files().is_empty()
    }

    pub(super) fn guards(&self) -> Guards {
        match self {
            // If a location without a key is an error, it must not delete all local files before that error is
            // returned.
            Self::Download(download) => {
                download.guards.with_allow_empty(download.guards.allow_empty && download.allow_missing)
            }
            Self::Upload(upload) | Self::Sync(SyncBothOptions { upload, .. }) => upload.guards,
        }
    }

    fn deletes_locally(&self) -> bool {
        match self {
            Self::Download(download) => download.delete,
            Self::Upload(_) => false,
            Self::Sync(sync) => sync.delete_local,
        }
    }

    /// Returns true if it may delete objects.
    pub(super) fn deletes_remotely(&self) -> bool {
        self.upload().is_some_and(|upload| upload.delete != RemoteDelete::Never)
    }

    fn deletes(&self) -> bool {
        self.deletes_locally() || self.deletes_remotely()
    }

    /// Returns the kind without irrelevant differences: the order of the exclude patterns, and the text of the path and
    /// the profile, whose meanings are compared separately.
    fn normal(&self) -> Self {
        let mut kind = self.clone();
        let (local, profile, exclude) = match &mut kind {
            Self::Download(download) => (&mut download.local, &mut download.profile, &mut download.exclude),
            Self::Upload(upload) | Self::Sync(SyncBothOptions { upload, .. }) => {
                (&mut upload.local, &mut upload.profile, &mut upload.exclude)
            }
        };
        (*local, *profile) = (None, None);
        exclude.sort();
        kind
    }
}

/// A remote location and its local path.
pub(super) struct Registration {
    pub(super) location: Location,
    /// The actual place, for comparison with other locations.
    pub(super) place: Place,
    /// The local path with links resolved.
    pub(super) local: PathBuf,
    /// The local path as it was given, if that differs.
    pub(super) given: Option<PathBuf>,
    pub(super) kind: Kind,
    pub(super) memory: Memory,
    pub(super) evidence: Evidence,
    /// The pairs of other transfers that may write to the local path.
    pub(super) others: OtherPairs,
    /// The mark of the local path as unsaved output.
    pub(super) mark: Mutex<Option<Mark>>,
    /// The marks of sessions that had ended when the local path was marked, at this path, below it or above it. They have
    /// the names that they had before they became past marks.
    pub(super) earlier_marks: OnceLock<Vec<PathBuf>>,
    /// Locked while its local path is prepared for the program.
    pub(super) beginning: tokio::sync::Mutex<()>,
    /// Locked by the running transfer.
    pub(super) running: tokio::sync::Mutex<()>,
    pub(super) downloading: Mutex<Option<Downloading>>,
    /// Whether the local path of an upload has been returned to the program. The registration then stays, even if an
    /// identical call fails.
    pub(super) begun: AtomicBool,
    /// The kind of the local path of an upload when it was returned to the program.
    pub(super) begun_as: OnceLock<PathKind>,
    /// The directories and mounts of the local path of an upload when it was returned to the program.
    pub(super) surroundings: OnceLock<Arc<Surroundings>>,
    pub(super) history: Arc<Mutex<History>>,
}

/// The results of the transfers of a registration.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// The time of the last complete upload.
    pub(super) last_upload: Option<SystemTime>,
    /// The time of the last complete download.
    pub(super) last_download: Option<SystemTime>,
    /// The report of the last complete transfer.
    pub(super) last_report: Option<Arc<Report>>,
    /// Whether the location has keys, and the last download found that all of them are excluded.
    pub(super) is_excluded: bool,
    pub(super) uploaded: Totals,
    pub(super) downloaded: Totals,
    /// The number of consecutive failed uploads.
    pub(super) failures: u32,
    /// Which other session withheld deletes of the last upload.
    pub(super) withheld_by_others: Option<String>,
    /// Why the last upload withheld its deletes, if an object hides the output, or if this is unknown.
    pub(super) hidden: Option<SessionError>,
    pub(super) last_error: Option<SessionError>,
    pub(super) due: Option<tokio::time::Instant>,
}

impl Registration {
    pub(super) fn new(location: Location, place: Place, local: PathBuf, kind: Kind) -> Self {
        Self {
            location,
            place,
            local,
            given: None,
            kind,
            memory: Memory::default(),
            evidence: Evidence::default(),
            others: OtherPairs::default(),
            mark: Mutex::default(),
            earlier_marks: OnceLock::new(),
            beginning: tokio::sync::Mutex::default(),
            running: tokio::sync::Mutex::default(),
            downloading: Mutex::default(),
            begun: AtomicBool::new(false),
            begun_as: OnceLock::new(),
            surroundings: OnceLock::new(),
            history: Arc::default(),
        }
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how the path of an output has changed since it was returned to the program, if it has.
    pub(super) async fn moved(&self) -> Option<Moved> {
        let surroundings = self.surroundings.get()?.clone();
        run_blocking(move || surroundings.moved()).await
    }

    /// Returns the permission to list the local path again as long as no directory above it has changed.
    pub(super) fn stays(&self) -> Permission {
        let surroundings = self.surroundings.get().cloned();
        let is_above = |moved: Moved| moved.reach == Reach::Above;
        Permission::new(move || !surroundings.as_ref().and_then(|then| then.moved()).is_some_and(is_above))
    }

    /// Returns who wrote the files that are at the path of an output now.
    ///
    /// # Errors
    ///
    /// Fails if a directory above the output has changed, so that nothing must be uploaded.
    pub(super) async fn ownership(&self) -> Result<Ownership, SessionError> {
        match self.moved().await {
            Some(moved) if moved.reach == Reach::Above => Err(self.error_of(moved, true)),
            Some(moved) if moved.reach == Reach::At => Ok(Ownership::Others),
            Some(_) | None => Ok(Ownership::Program),
        }
    }

    /// Returns the error of an upload that was made after a change of the path, or refused because of it.
    pub(super) fn error_of(&self, moved: Moved, is_refused: bool) -> SessionError {
        let Moved { path, how, .. } = moved;
        SessionError::Moved { location: self.location.to_string(), path, change: how, is_refused }
    }

    /// Returns this registration as observers see it.
    pub(super) fn registered(&self) -> Registered {
        let (location, local) = (self.location.to_string(), self.local.clone());
        Registered { location, local, kind: self.kind.kind() }
    }

    /// Records the outcome of an upload.
    pub(super) fn record(&self, outcome: &Result<Option<Arc<Report>>, SessionError>) {
        let mut history = self.history();
        match outcome {
            Ok(_) => {
                history.last_upload = Some(SystemTime::now());
                history.failures = 0;
                history.last_error = None;
            }
            // A file that is being written or renamed is uploaded once it no longer changes. This is not a failure.
            Err(error) if is_being_written(error) => {}
            Err(error) => {
                tracing::warn!(location = %self.location, %error, "the upload failed and will be retried");
                history.failures = history.failures.saturating_add(1);
                history.last_error = Some(error.clone());
            }
        }
    }

    /// Returns true if `other` is an identical registration.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.place.is_certainly(&other.place) && self.local == other.local && self.kind.normal() == other.kind.normal()
    }

    /// Returns true if this is a part of `other`, both remotely and locally.
    fn is_part_of(&self, other: &Self) -> bool {
        self.place.is_certainly_inside(&other.place)
            && self.local != other.local
            && self.local.starts_with(&other.local)
    }

    /// Returns the error if this registration conflicts with `old`.
    pub(super) fn conflict(&self, old: &Self) -> Option<SessionError> {
        let same_kind = std::mem::discriminant(&self.kind) == std::mem::discriminant(&old.kind);
        if self.place.is_certainly(&old.place) && same_kind {
            let different = SessionError::Different { what: self.kind.kind(), location: self.location.to_string() };
            return (!self.is_same(old)).then_some(different);
        }
        let writes = self.kind.upload().is_some() || old.kind.upload().is_some();
        if writes && self.place.overlaps(&old.place) {
            return Some(SessionError::RemoteConflict {
                new: self.location.to_string(),
                new_kind: self.kind.kind(),
                old: old.location.to_string(),
                old_kind: old.kind.kind(),
            });
        }
        let shared = paths_overlap(&self.local, &old.local);
        let harmless = self.is_part_of(old) || old.is_part_of(self);
        (shared && (!harmless || self.kind.deletes() || old.kind.deletes()))
            .then(|| old.in_the_way_of(&self.location, &self.local))
    }

    /// Returns the error for a location whose local path conflicts with this registration.
    pub(super) fn in_the_way_of(&self, location: &Location, path: &Path) -> SessionError {
        SessionError::LocalConflict {
            new: location.to_string(),
            new_path: path.to_owned(),
            old: self.location.to_string(),
            old_path: self.local.clone(),
        }
    }
}

fn is_being_written(error: &SessionError) -> bool {
    let SessionError::Transfer { report, .. } = error else { return false };
    let report = &report.0;
    report.stopped.is_none()
        && !report.skipped.any(|why| !why.is_policy() && *why != SkipReason::Vanished)
        && report.failed.count(FailureKind::Changed) == report.failed.len()
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} at {}", self.kind.kind(), self.location, self.local.display())
    }
}
