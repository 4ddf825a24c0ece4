//! The settings of a workspace. Opening one accesses neither the disk nor the network.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pos3_core::{CancellationToken, ContentTypeResolver, Guards, Observer, RemoteStore};

use super::Workspace;
use super::error::WorkspaceError;
use super::inner::Inner;
use super::one_store::OneStore;
use super::progress::WorkspaceProgress;
use super::record::Record;
use super::settings::Settings;
use crate::error::Error;
use crate::location::Location;
use crate::registry::Registry;
use crate::state::Wait;
use crate::sync_ignore::SyncIgnoreFilter;

/// Configures and opens a [`Workspace`].
#[derive(Clone, Debug)]
pub struct WorkspaceBuilder {
    location: String,
    directory: PathBuf,
    registry: Registry,
    store: Option<Arc<dyn RemoteStore>>,
    ignored: Vec<String>,
    default_ignores: bool,
    syncs_ignore_file: bool,
    settings: Settings,
}

impl Workspace {
    /// Returns a builder for the workspace of a location, such as `s3://bucket/prefix`, in a directory.
    pub fn builder(location: impl Into<String>, directory: impl Into<PathBuf>) -> WorkspaceBuilder {
        WorkspaceBuilder::new(location.into(), directory.into())
    }

    /// Returns a builder for a directory that is a workspace already, with the location that is recorded there.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory is no workspace, or if its record cannot be read.
    pub fn existing(directory: impl Into<PathBuf>) -> Result<WorkspaceBuilder, WorkspaceError> {
        let directory = directory.into();
        match Record::read(&directory)? {
            Some(record) => Ok(WorkspaceBuilder::new(record.location().to_owned(), directory)),
            None => Err(WorkspaceError::NoLocation(directory)),
        }
    }
}

impl WorkspaceBuilder {
    fn new(location: String, directory: PathBuf) -> Self {
        Self {
            location,
            directory,
            registry: Registry::default(),
            store: None,
            ignored: Vec::new(),
            default_ignores: true,
            syncs_ignore_file: true,
            settings: Settings::default(),
        }
    }

    /// Uses the settings of the environment, as the command line does: S3 and its profiles, as
    /// [`Registry::from_env`](crate::Registry::from_env) finds them. No request is sent.
    ///
    /// # Errors
    ///
    /// Returns an error if an environment variable is invalid.
    #[cfg(feature = "s3")]
    pub fn from_env(self) -> Result<Self, WorkspaceError> {
        Ok(self.registry(Registry::from_env()?))
    }

    /// Returns the location as it was given or recorded.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Sets the registry that opens the location by its scheme. Use it for an S3 client with settings of your own.
    /// Default: paths and `memory`.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Uses this store for the bucket of the location, whatever its scheme is. The location still names the prefix.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn RemoteStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Sets how many files a pull fetches at once, at most. Default: 50. The number of requests also adapts to the
    /// server.
    #[must_use]
    pub fn download_concurrency(mut self, files: usize) -> Self {
        self.settings.downloads = files;
        self
    }

    /// Sets how many files a push stores at once, at most. Default: 10.
    #[must_use]
    pub fn upload_concurrency(mut self, files: usize) -> Self {
        self.settings.uploads = files;
        self
    }

    /// Ignores what these patterns match, in the syntax of gitignore. Ignored files are left alone on both sides. The
    /// patterns of the files `.syncignore` in the workspace decide before these, and these before the
    /// [defaults](crate::SyncIgnoreFilter::DEFAULTS).
    #[must_use]
    pub fn ignore(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.ignored.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Sets whether the [default patterns](crate::SyncIgnoreFilter::DEFAULTS) apply, such as `node_modules/` and
    /// `*.log`. Default: true.
    #[must_use]
    pub fn default_ignores(mut self, apply: bool) -> Self {
        self.default_ignores = apply;
        self
    }

    /// Sets whether the files `.syncignore` are synced like other files. Default: true, so that a new disk gets them
    /// back.
    #[must_use]
    pub fn sync_ignore_file(mut self, synced: bool) -> Self {
        self.syncs_ignore_file = synced;
        self
    }

    /// Sets the limits on deletes. By default, a pull or a push deletes at most half of 20 or more files, and nothing
    /// if the other side is empty.
    #[must_use]
    pub fn guards(mut self, guards: Guards) -> Self {
        self.settings.guards = guards;
        self
    }

    /// Sets the observer of the events of all transfers. Default: none.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Sets the receiver of the progress, which is called on any thread. Default: none.
    #[must_use]
    pub fn progress(mut self, receiver: impl Fn(&WorkspaceProgress) + Send + Sync + 'static) -> Self {
        self.settings.progress = Some(Arc::new(receiver));
        self
    }

    /// Refuses a pull if the objects of the workspace have more bytes than this. Default: no limit, but a pull that
    /// does not fit on the disk is refused anyway.
    #[must_use]
    pub fn size_limit(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.settings.limit = bytes.into();
        self
    }

    /// Makes pulls leave out objects with more bytes than this, as if they were not asked for: a push does not delete
    /// them. [`Workspace::open_file`] fetches them all the same. Default: no limit.
    #[must_use]
    pub fn file_size_limit(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.settings.largest = bytes.into();
        self
    }

    /// Makes every whole pull fetch these paths first: files, or directories with everything in them.
    /// [`Workspace::wait_for_priority`] waits for them alone.
    #[must_use]
    pub fn priority(mut self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.priority.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Sets how long a pull or a push waits for another process that uses the same directory. Default: one minute.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.settings.wait = wait;
        self
    }

    /// Sets whether a push deletes objects whose files are gone. Default: true. Set it to false after a program that
    /// failed: it may have removed a file only to write it again.
    #[must_use]
    pub fn push_deletes(mut self, deletes: bool) -> Self {
        self.settings.push_deletes = deletes;
        self
    }

    /// Makes the workspace exclusive to this machine from its first pull or push on, until it is
    /// [released](Workspace::release). The lease is an object at the location, `.pos3/lease.json`, which is renewed
    /// while the workspace exists. If the process dies, it expires after this time, at least five seconds. Another
    /// machine that wants it meanwhile gets an error that names the holder. The clocks of the machines may differ by
    /// five seconds. Default: none. Even without a lease, no version of a file is lost.
    #[must_use]
    pub fn lease(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.settings.lease = time.into();
        self
    }

    /// Sets what determines the media types of stored files. Default: their extensions.
    #[must_use]
    pub fn content_type(mut self, resolver: ContentTypeResolver) -> Self {
        self.settings.content_type = resolver;
        self
    }

    /// Stops all further deletes once `keep` is cancelled. Copies continue.
    #[must_use]
    pub fn keep(mut self, keep: CancellationToken) -> Self {
        self.settings.keep = keep;
        self
    }

    /// Ends every pull and push early once `cancel` is cancelled. Files in flight get ten seconds, and nothing more is
    /// deleted.
    #[must_use]
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.settings.cancel = cancel;
        self
    }

    /// Opens the workspace.
    ///
    /// # Errors
    ///
    /// Returns an error if the location is invalid or names a whole bucket, if a concurrency is zero, or if a pattern
    /// cannot be used.
    pub fn open(mut self) -> Result<Workspace, WorkspaceError> {
        let location: Location = self.location.parse().map_err(Error::from)?;
        if let Location::Remote(remote) = &location
            && remote.key().trim_matches('/').is_empty()
        {
            return Err(WorkspaceError::NoPrefix { location: self.location.trim_end_matches('/').to_owned() });
        }
        let location = normal(location);
        let limits = [(self.settings.downloads, "download concurrency"), (self.settings.uploads, "upload concurrency")];
        if let Some((_, what)) = limits.into_iter().find(|(limit, _)| *limit == 0) {
            return Err(WorkspaceError::NoConcurrency { what });
        }
        let ignored =
            SyncIgnoreFilter::builder().defaults(self.default_ignores).ignore_own_file(!self.syncs_ignore_file);
        self.settings.ignored = ignored.patterns(&self.ignored)?.build().set().clone();
        let registry = match self.store {
            Some(store) => self.registry.with(location.scheme(), OneStore::new(store)),
            None => self.registry,
        };
        let inner = Inner::new(location, &self.directory, registry, self.settings);
        Ok(Workspace { inner: Arc::new(inner), background: Arc::default() })
    }
}

/// Returns the location in the form that is recorded: without a slash at its end, and absolute if it is a path.
fn normal(location: Location) -> Location {
    match location {
        Location::Local(path) => Location::Local(std::path::absolute(&path).unwrap_or(path)),
        Location::Remote(remote) => {
            let key = remote.key();
            Location::Remote(remote.with_key(key.strip_suffix('/').unwrap_or(key)))
        }
    }
}
