//! What a session was asked to keep in step, and which of it cannot go together.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use futures::future::{BoxFuture, Shared};
use pos3_core::{Guards, Report};
use pos3_local::Symlinks;

use super::deletes::Evidence;
use super::error::SessionError;
use super::memory::Memory;
use super::options::{DownloadOptions, RemoteDelete, Shape, SyncBothOptions, UploadOptions};
use super::place::Found;
use crate::location::Location;
use crate::place::{Place, paths_overlap};

/// A download that several callers may wait for.
pub(super) type Downloading = Shared<BoxFuture<'static, Result<PathBuf, SessionError>>>;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Download(DownloadOptions),
    Upload(UploadOptions),
    Sync(SyncBothOptions),
}

impl Kind {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Download(_) => "download",
            Self::Upload(_) => "upload",
            Self::Sync(_) => "sync",
        }
    }

    /// Returns how it is uploaded, if it is.
    pub(super) fn upload(&self) -> Option<&UploadOptions> {
        match self {
            Self::Download(_) => None,
            Self::Upload(upload) | Self::Sync(SyncBothOptions { upload, .. }) => Some(upload),
        }
    }

    /// Returns whether the local path is a file or a directory, as far as that was said.
    pub(super) fn shape(&self) -> Shape {
        self.upload().map_or(Shape::Auto, |upload| upload.shape)
    }

    /// Returns what becomes of symbolic links below the local path.
    pub(super) fn symlinks(&self) -> Symlinks {
        self.upload().map_or(Symlinks::Skip, |upload| upload.symlinks)
    }

    /// Returns true if an object is to be downloaded into a directory: the path that was given ends in `/`.
    pub(super) fn goes_inside(&self) -> bool {
        matches!(self, Self::Download(download) if download.local.as_deref().is_some_and(ends_in_slash))
    }

    /// Returns true if an empty directory in the place of a file may be removed: it is below the cache root, or left by an
    /// earlier try of this output.
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

    pub(super) fn guards(&self) -> Guards {
        match self {
            // Where a place with nothing in it is an error, it must not have emptied the directory before.
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

    fn deletes(&self) -> bool {
        self.deletes_locally() || self.upload().is_some_and(|upload| upload.delete != RemoteDelete::Never)
    }

    /// Returns the same kind without what does not matter: the order of what is excluded, and the words for a path and a
    /// profile, for what they mean is compared itself.
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

/// One remote place and its local path.
pub(super) struct Registration {
    pub(super) location: Location,
    /// Where it really is.
    pub(super) place: Place,
    pub(super) local: PathBuf,
    pub(super) kind: Kind,
    pub(super) memory: Memory,
    pub(super) evidence: Evidence,
    /// Held by the one transfer that runs.
    pub(super) running: tokio::sync::Mutex<()>,
    pub(super) downloading: Mutex<Option<Downloading>>,
    /// Whether the local path of an upload was handed out: it stays, also when the same is asked for again and fails.
    pub(super) begun: AtomicBool,
    /// What the local path of an upload was when it was handed out.
    pub(super) begun_as: OnceLock<Found>,
    pub(super) history: Arc<Mutex<History>>,
}

/// How the uploads of a registration went.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) last_success: Option<SystemTime>,
    /// What the last transfer that did all it was to do has done.
    pub(super) last_report: Option<Arc<Report>>,
    /// Uploads of single files that were done, and their bytes.
    pub(super) uploaded: u64,
    pub(super) uploaded_bytes: u64,
    /// Objects that were deleted.
    pub(super) deleted: u64,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) last_error: Option<SessionError>,
    pub(super) due: Option<tokio::time::Instant>,
}

impl Registration {
    pub(super) fn new(location: Location, place: Place, local: PathBuf, kind: Kind) -> Self {
        Self {
            location,
            place,
            local,
            kind,
            memory: Memory::default(),
            evidence: Evidence::default(),
            running: tokio::sync::Mutex::default(),
            downloading: Mutex::default(),
            begun: AtomicBool::new(false),
            begun_as: OnceLock::new(),
            history: Arc::default(),
        }
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if `other` asks for the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.place == other.place && self.local == other.local && self.kind.normal() == other.kind.normal()
    }

    /// Returns true if this is a part of what `other` brings: inside of it remotely, and locally too.
    fn is_part_of(&self, other: &Self) -> bool {
        self.place.inside(&other.place).is_some() && self.local != other.local && self.local.starts_with(&other.local)
    }

    /// Returns why this cannot be registered beside `old`.
    pub(super) fn conflict(&self, old: &Self) -> Option<SessionError> {
        let same_kind = std::mem::discriminant(&self.kind) == std::mem::discriminant(&old.kind);
        if self.place == old.place && same_kind {
            let different = SessionError::Different { what: self.kind.name(), location: self.location.to_string() };
            return (!self.is_same(old)).then_some(different);
        }
        let writes = self.kind.upload().is_some() || old.kind.upload().is_some();
        if writes && self.place.overlaps(&old.place) {
            return Some(SessionError::RemoteConflict {
                new: self.location.to_string(),
                new_kind: self.kind.name(),
                old: old.location.to_string(),
                old_kind: old.kind.name(),
            });
        }
        let shared = paths_overlap(&self.local, &old.local);
        let harmless = self.is_part_of(old) || old.is_part_of(self);
        (shared && (!harmless || self.kind.deletes() || old.kind.deletes()))
            .then(|| old.in_the_way_of(&self.location, &self.local))
    }

    /// Returns the error of a location that cannot be kept at a path because of what is kept for this.
    pub(super) fn in_the_way_of(&self, location: &Location, path: &Path) -> SessionError {
        SessionError::LocalConflict {
            new: location.to_string(),
            new_path: path.to_owned(),
            old: self.location.to_string(),
            old_path: self.local.clone(),
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} at {}", self.kind.name(), self.location, self.local.display())
    }
}

fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}
