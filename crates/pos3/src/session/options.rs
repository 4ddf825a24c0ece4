//! What can be asked of each registration. Every default lives here.

use std::path::PathBuf;
use std::time::Duration;

use pos3_core::{Filter, Guards};
use pos3_local::Symlinks;

use super::error::SessionError;

/// How often outputs are uploaded in the background, where nothing else is asked for.
const INTERVAL: Duration = Duration::from_secs(300);

/// What an upload may delete from the remote place. An end by an error deletes nothing. While the session works, an upload
/// deletes only what was absent at the background upload before, too: an output that is removed and written anew keeps its
/// object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteDelete {
    /// Nothing.
    #[default]
    Never,
    /// What this session found locally and is not there any more, that this machine uploaded or downloaded, and that nobody
    /// changed since. A fresh directory deletes nothing, and one that was emptied only where the guards
    /// [allow](Guards::allow_empty) it. Where the guards refuse so many deletes, none is done and everything is uploaded all
    /// the same; that is an error.
    Seen,
    /// Everything that is not there locally, except what appeared after the registration: the remote place becomes like
    /// the directory. Refused as a whole when the directory is empty, or when more than half of 20 or more objects would
    /// go, unless the guards say otherwise. Registering then lists the remote place once.
    Mirror,
}

/// What the local copy of an output is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// The one that is there: a file or a directory locally, or, for a sync, an object remotely. Where there is nothing yet,
    /// a directory, which is made.
    #[default]
    Auto,
    /// A directory, which is made.
    Directory,
    /// One file. The directory that it lies in is made, and its own path is left to the program; an empty directory that
    /// stands there is removed.
    File,
}

/// Which objects an upload may overwrite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteOverwrite {
    /// All, except those that another writer replaced and whose local files have not changed since they were uploaded or
    /// downloaded. [`Ended::left_to_others`](super::Ended::left_to_others) names those.
    #[default]
    UnlessTheirs,
    /// All: the remote place becomes like the directory.
    Always,
}

/// Options of [`Session::download`](super::Session::download).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadOptions {
    /// The exact local path, a file for an object and a directory for a prefix. An object goes inside a path that ends in
    /// `/`, under its own name. Default: below the cache root.
    pub local: Option<PathBuf>,
    /// Whether local files go that the remote place does not have. Default: no.
    pub delete: bool,
    /// How much may be deleted. Default: not all, and not more than half of 20 or more.
    pub guards: Guards,
    /// Patterns of what is left alone on both sides, in the language of
    /// [`FilterBuilder::exclude_matching`](pos3_core::FilterBuilder::exclude_matching): `logs`, `*.tmp`, `raw/**/old`. Default:
    /// none.
    pub exclude: Vec<String>,
    /// The profile, where the URL names none. Default: the session's.
    pub profile: Option<String>,
    /// Whether a place with nothing in it is an empty directory instead of an error. Default: no. Without it no guard lets
    /// such a place empty the local directory.
    pub allow_missing: bool,
}

/// Options of [`Session::upload`](super::Session::upload).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadOptions {
    /// The exact local path. Default: below the cache root.
    pub local: Option<PathBuf>,
    /// Whether the local path is a file or a directory. Default: what is there, else a directory.
    pub shape: Shape,
    /// Whether symbolic links below the local path are followed. Default: they are left out and reported. The local path
    /// itself is never followed when it becomes a link.
    pub symlinks: Symlinks,
    /// How often changes are uploaded in the background; `None`: at the end only. Default: 300 seconds.
    pub interval: Option<Duration>,
    /// What may be deleted remotely. Default: [`RemoteDelete::Never`].
    pub delete: RemoteDelete,
    /// What may be overwritten remotely. Default: [`RemoteOverwrite::UnlessTheirs`].
    pub overwrite: RemoteOverwrite,
    /// How much may be deleted. Default: nothing for a directory that is empty, and not more than half of 20 or more.
    pub guards: Guards,
    /// Whether this is uploaded too when the session ends because of an error or a signal. Default: no.
    pub sync_on_error: bool,
    /// Which registrations go first when time is short: the greater number. Default: 0.
    pub priority: i32,
    /// Patterns of what is left alone on both sides, in the language of
    /// [`FilterBuilder::exclude_matching`](pos3_core::FilterBuilder::exclude_matching): `logs`, `*.tmp`, `raw/**/old`. Default:
    /// none.
    pub exclude: Vec<String>,
    /// The profile, where the URL names none. Default: the session's.
    pub profile: Option<String>,
}

/// Options of [`Session::sync`](super::Session::sync): a download now, uploads from then on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncBothOptions {
    /// Whether the first download deletes local files that the remote place does not have. Default: no.
    pub delete_local: bool,
    /// Everything else.
    pub upload: UploadOptions,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            local: None,
            shape: Shape::default(),
            symlinks: Symlinks::default(),
            interval: Some(INTERVAL),
            delete: RemoteDelete::default(),
            overwrite: RemoteOverwrite::default(),
            guards: Guards::default(),
            sync_on_error: false,
            priority: 0,
            exclude: Vec::new(),
            profile: None,
        }
    }
}

/// Returns the filter of what is left alone.
///
/// # Errors
///
/// A pattern that could match nothing.
pub(super) fn excluding(patterns: &[String]) -> Result<Filter, SessionError> {
    let filter = patterns.iter().try_fold(Filter::builder(), |filter, pattern| filter.exclude_matching(pattern));
    filter.and_then(pos3_core::FilterBuilder::build).map_err(SessionError::BadPattern)
}

/// Writes the `with_` method of one field.
macro_rules! with {
    ($(#[$doc:meta])* $method:ident, $field:ident: $type:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $method(mut self, $field: $type) -> Self {
            self.$field = $field.into();
            self
        }
    };
}

impl DownloadOptions {
    with!(/** Sets the exact local path. */ with_local, local: impl Into<Option<PathBuf>>);
    with!(/** Sets whether local files go that the remote place does not have. */ with_delete, delete: bool);
    with!(/** Sets how much may be deleted. */ with_guards, guards: Guards);
    with!(/** Sets the patterns of what is left alone on both sides. */ with_exclude, exclude: impl Into<Vec<String>>);
    with!(/** Sets the profile. */ with_profile, profile: impl Into<Option<String>>);
    with!(/** Sets whether a place with nothing in it is fine. */ with_allow_missing, allow_missing: bool);
}

impl UploadOptions {
    with!(/** Sets the exact local path. */ with_local, local: impl Into<Option<PathBuf>>);
    with!(/** Sets whether the local path is a file or a directory. */ with_shape, shape: Shape);
    with!(/** Sets whether symbolic links below the local path are followed. */ with_symlinks, symlinks: Symlinks);
    with!(/** Sets how often changes are uploaded; `None`: at the end only. */ with_interval, interval: impl Into<Option<Duration>>);
    with!(/** Sets what may be deleted remotely. */ with_delete, delete: RemoteDelete);
    with!(/** Sets what may be overwritten remotely. */ with_overwrite, overwrite: RemoteOverwrite);
    with!(/** Sets how much may be deleted. */ with_guards, guards: Guards);
    with!(/** Sets whether this is uploaded too when the session ends because of an error. */ with_sync_on_error, sync_on_error: bool);
    with!(/** Sets which registrations go first when time is short. */ with_priority, priority: i32);
    with!(/** Sets the patterns of what is left alone on both sides. */ with_exclude, exclude: impl Into<Vec<String>>);
    with!(/** Sets the profile. */ with_profile, profile: impl Into<Option<String>>);
}

impl SyncBothOptions {
    with!(/** Sets whether the first download deletes local files. */ with_delete_local, delete_local: bool);
    with!(/** Sets everything else. */ with_upload, upload: UploadOptions);
}
