//! The options of each registration, with their defaults.

use std::path::PathBuf;
use std::time::Duration;

use pos3_core::{Filter, Guards, Key};
use pos3_local::Symlinks;

use super::error::SessionError;
use crate::policy::{Conflict, Policy};

/// The default interval of background uploads.
const INTERVAL: Duration = Duration::from_secs(300);

/// Which objects an upload may delete. Only a clean end of the session deletes. So an output that the program removes
/// and writes again keeps its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemoteDelete {
    /// None.
    #[default]
    Never,
    /// Deletes an object under three conditions: this session saw its file locally and the file is gone, this machine
    /// uploaded or downloaded it, and no other writer has changed it since then. For a new directory, pos3 deletes
    /// nothing. For a directory that was emptied, it deletes only if the guards [allow](Guards::allow_empty) it. If the
    /// guards refuse the number of deletes, pos3 deletes nothing, uploads everything, and returns an error.
    Seen,
    /// Deletes every extra object: one without a local file, unless it appeared after the registration. So the remote
    /// location becomes like the directory. By default, all deletes are refused if the directory is empty, or if they
    /// are more than half of 20 or more objects. The registration lists the remote location once.
    Extra,
}

/// Whether the local copy of an output is a directory or a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// The shape of the existing local file or directory or, for a sync, of the object. If there is nothing yet, a
    /// directory, which pos3 creates.
    #[default]
    Auto,
    /// A directory, which pos3 creates.
    Directory,
    /// One file, which the program creates. pos3 creates the directory that contains it. If an empty directory has its
    /// path, pos3 removes it.
    File,
}

/// Options of [`Session::download`](super::Session::download).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadOptions {
    /// The local path: a file for an object, a directory for a prefix. If the path ends in `/`, an object is downloaded
    /// into it, under its own name. Default: a path below the cache root.
    pub local: Option<PathBuf>,
    /// Whether to delete local files that do not exist remotely. Default: false.
    pub delete: bool,
    /// Limits on deletes. Default: an empty source deletes nothing, and if the target has 20 files or more, at most
    /// half of them are deleted.
    pub guards: Guards,
    /// Patterns of entries to exclude on both sides, in the language of
    /// [`FilterBuilder::exclude_matching`](pos3_core::FilterBuilder::exclude_matching): `logs`, `*.tmp`, `raw/**/old`.
    /// Default: none.
    pub exclude: Vec<String>,
    /// Names of ignore files, such as `.gitignore`, whose rules apply to both sides; see
    /// [`PreparedSync::with_ignore_files`](crate::PreparedSync::with_ignore_files). Default: none.
    pub ignore_files: Vec<String>,
    /// The profile, if the URL names none. Default: that of the session.
    pub profile: Option<String>,
    /// Whether a location without a key is treated as an empty directory instead of an error. Default: false. Without
    /// this option, such a location never deletes the whole local directory, even if the guards allow it.
    pub allow_missing: bool,
}

/// Options of [`Session::upload`](super::Session::upload).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadOptions {
    /// The local path. Default: a path below the cache root.
    pub local: Option<PathBuf>,
    /// Whether the local path is a file or a directory. Default: that of the existing path, otherwise a directory.
    pub shape: Shape,
    /// Whether symbolic links below the local path are followed. Default: they are skipped and reported. If the local
    /// path itself becomes a link, it is never followed.
    pub symlinks: Symlinks,
    /// The time between two background uploads. With `None`, everything is uploaded at the end. Default: 300 seconds.
    pub interval: Option<Duration>,
    /// Which objects may be deleted. Default: [`RemoteDelete::Never`].
    pub delete: RemoteDelete,
    /// Whose data wins if a file and its object differ; the source is the local side. Default: [`Policy::UnlessTheirs`]
    /// with [`Conflict::Skip`].
    ///
    /// A session knows more than a single run, so it finds fewer conflicts. A file that the program of the session wrote
    /// replaces its object, even if another writer has changed it. In a [`sync`](super::Session::sync), it does so only
    /// if an earlier state of the pair is known. [`Ended::left_to_others`](super::Ended::left_to_others) names the files
    /// that were skipped because only their objects have changed.
    ///
    /// The policy applies to the uploads of a `sync`. Its download always keeps the files of a conflict, and a key that
    /// another writer has removed is not written again before its file changes.
    pub policy: Policy,
    /// Limits on deletes. Default: an empty directory deletes nothing, and if there are 20 objects or more, at most
    /// half of them are deleted.
    pub guards: Guards,
    /// Whether to upload this output even if the session ends by an error or a signal. Default: false.
    pub sync_on_error: bool,
    /// The priority if time is short; the highest number is uploaded first. Default: 0.
    pub priority: i32,
    /// Patterns of entries to exclude on both sides, in the language of
    /// [`FilterBuilder::exclude_matching`](pos3_core::FilterBuilder::exclude_matching): `logs`, `*.tmp`, `raw/**/old`.
    /// Default: none.
    pub exclude: Vec<String>,
    /// Names of ignore files, such as `.gitignore`, whose rules apply to both sides; see
    /// [`PreparedSync::with_ignore_files`](crate::PreparedSync::with_ignore_files). Each upload reads them again.
    /// Default: none.
    pub ignore_files: Vec<String>,
    /// The profile, if the URL names none. Default: that of the session.
    pub profile: Option<String>,
}

/// Options of [`Session::sync`](super::Session::sync), which downloads once and then uploads: the options of an upload,
/// and whether the download deletes local files (default: no).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncBothOptions {
    pub(super) delete_local: bool,
    pub(super) upload: UploadOptions,
}

impl From<UploadOptions> for SyncBothOptions {
    fn from(upload: UploadOptions) -> Self {
        Self { upload, delete_local: false }
    }
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            local: None,
            shape: Shape::default(),
            symlinks: Symlinks::default(),
            interval: Some(INTERVAL),
            delete: RemoteDelete::default(),
            policy: Policy::UnlessTheirs(Conflict::Skip),
            guards: Guards::default(),
            sync_on_error: false,
            priority: 0,
            exclude: Vec::new(),
            ignore_files: Vec::new(),
            profile: None,
        }
    }
}

/// Returns the filter for exclude patterns.
///
/// # Errors
///
/// Fails for a pattern that cannot match any key.
pub(super) fn excluding(patterns: &[String]) -> Result<Filter, SessionError> {
    let filter = patterns.iter().try_fold(Filter::builder(), |filter, pattern| filter.exclude_matching(pattern));
    filter.and_then(pos3_core::FilterBuilder::build).map_err(SessionError::BadPattern)
}

/// Returns the first pattern that excludes a key.
pub(super) fn excluded_by<'a>(patterns: &'a [String], key: &Key) -> Option<&'a String> {
    let excludes =
        |pattern: &&String| excluding(std::slice::from_ref(*pattern)).is_ok_and(|filter| !filter.admits(key.as_str()));
    patterns.iter().find(excludes)
}

/// Defines the `with_` methods of single fields.
macro_rules! with {
    ($($(#[$doc:meta])* $method:ident($($field:ident).+: $type:ty);)+) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $method(mut self, value: $type) -> Self {
            self.$($field).+ = value.into();
            self
        }
    )+ };
}

/// Defines the `with_` methods that all registrations share. `$at` leads to their fields.
macro_rules! with_common {
    ($($at:ident)?) => {
        /// Sets the local path.
        #[must_use]
        pub fn with_local(mut self, path: impl Into<PathBuf>) -> Self {
            self.$($at.)?local = Some(path.into());
            self
        }

        /// Sets the limits on deletes.
        #[must_use]
        pub fn with_guards(mut self, guards: Guards) -> Self {
            self.$($at.)?guards = guards;
            self
        }

        /// Sets the patterns of entries to exclude on both sides.
        #[must_use]
        pub fn with_exclude<P: Into<String>>(mut self, patterns: impl IntoIterator<Item = P>) -> Self {
            self.$($at.)?exclude = patterns.into_iter().map(Into::into).collect();
            self
        }

        /// Sets the names of the ignore files whose rules apply to both sides.
        #[must_use]
        pub fn with_ignore_files<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
            self.$($at.)?ignore_files = names.into_iter().map(Into::into).collect();
            self
        }

        /// Sets the profile, for a URL that names none.
        #[must_use]
        pub fn with_profile(mut self, name: impl Into<String>) -> Self {
            self.$($at.)?profile = Some(name.into());
            self
        }
    };
}

/// Defines the `with_` methods that uploads and syncs share. `$at` leads to their fields.
macro_rules! with_upload {
    ($($at:ident)?) => {
        with! {
            /// Sets whether the local path is a file or a directory.
            with_shape($($at.)?shape: Shape);
            /// Sets whether symbolic links below the local path are followed.
            with_symlinks($($at.)?symlinks: Symlinks);
            /// Sets the time between two background uploads. With `None`, everything is uploaded at the end.
            with_interval($($at.)?interval: impl Into<Option<Duration>>);
            /// Sets which objects may be deleted.
            with_delete($($at.)?delete: RemoteDelete);
            /// Sets whose data wins if a file and its object differ; see [`UploadOptions::policy`].
            with_policy($($at.)?policy: Policy);
            /// Sets whether to upload this output even if the session ends by an error or a signal.
            with_sync_on_error($($at.)?sync_on_error: bool);
            /// Sets the priority if time is short; the highest number is uploaded first.
            with_priority($($at.)?priority: i32);
        }
    };
}

impl DownloadOptions {
    with_common!();
    with! {
        /// Sets whether to delete local files that do not exist remotely.
        with_delete(delete: bool);
        /// Sets whether a location without a key is treated as an empty directory.
        with_allow_missing(allow_missing: bool);
    }
}

impl UploadOptions {
    with_common!();
    with_upload!();
}

impl SyncBothOptions {
    with_common!(upload);
    with_upload!(upload);
    with! {
        /// Sets whether the download deletes local files that do not exist remotely.
        with_delete_local(delete_local: bool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_set_with_literals() {
        let minute = Duration::from_secs(60);
        let download = DownloadOptions::default().with_local("data").with_exclude(["*.tmp"]).with_profile("lab");
        assert_eq!(download.local.as_deref(), Some(std::path::Path::new("data")));
        assert_eq!(
            (download.exclude.as_slice(), download.profile.as_deref()),
            (&["*.tmp".to_owned()][..], Some("lab"))
        );
        let upload = UploadOptions::default().with_local("out").with_interval(minute).with_exclude(["*.tmp", "logs"]);
        assert_eq!((upload.interval, upload.exclude.len()), (Some(minute), 2));
        assert_eq!(upload.with_interval(None).interval, None);
        let both = SyncBothOptions::default().with_local("ckpt").with_interval(minute).with_delete_local(true);
        assert!(both.delete_local && both.upload.interval == Some(minute));
        assert_eq!(SyncBothOptions::from(both.upload.clone()), both.with_delete_local(false));
    }
}
