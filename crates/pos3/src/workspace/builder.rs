//! The settings of a workspace. Opening one accesses neither the disk nor the network.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pos3_core::{Budget, CancellationToken, ContentTypeResolver, Guards, Observer, RemoteStore};

use super::Workspace;
use super::error::WorkspaceError;
use super::inner::Inner;
use super::one_store::OneStore;
use super::progress::{Receiver, WorkspaceProgress};
use crate::error::Error;
use crate::location::Location;
use crate::registry::Registry;
use crate::state::Wait;

/// The default largest numbers of files in progress.
const DOWNLOADS: usize = 50;
const UPLOADS: usize = 10;

/// How long a pull or a push waits for another process that uses the workspace.
const PATIENCE: Duration = Duration::from_secs(60);

/// Configures and opens a [`Workspace`].
#[derive(Clone, Debug)]
pub struct WorkspaceBuilder {
    location: String,
    directory: PathBuf,
    registry: Registry,
    store: Option<Arc<dyn RemoteStore>>,
    settings: Settings,
}

/// The settings that every pull and push uses.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) downloads: usize,
    pub(super) uploads: usize,
    pub(super) guards: Guards,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) progress: Option<Receiver>,
    pub(super) limit: Option<u64>,
    pub(super) largest: Option<u64>,
    pub(super) priority: Vec<String>,
    pub(super) wait: Wait,
    pub(super) push_deletes: bool,
    pub(super) lease: Option<Duration>,
    pub(super) cancel: CancellationToken,
    pub(super) content_type: ContentTypeResolver,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            downloads: DOWNLOADS,
            uploads: UPLOADS,
            guards: Guards::default(),
            observer: None,
            progress: None,
            limit: None,
            largest: None,
            priority: Vec::new(),
            wait: Wait::For(PATIENCE),
            push_deletes: true,
            lease: None,
            cancel: CancellationToken::new(),
            content_type: ContentTypeResolver::default(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("downloads", &self.downloads)
            .field("uploads", &self.uploads)
            .finish_non_exhaustive()
    }
}

impl WorkspaceBuilder {
    pub(super) fn new(location: String, directory: PathBuf) -> Self {
        Self { location, directory, registry: Registry::default(), store: None, settings: Settings::default() }
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

    /// Sets the registry that opens the location by its scheme. Use it for an S3 client with settings of your own. Default:
    /// paths and `memory`.
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

    /// Sets how many files a pull fetches at once, at most. Default: 50. The number of requests also adapts to the server.
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

    /// Sets the limits on deletes. By default, a pull or a push deletes at most half of 20 or more files, and nothing if the
    /// other side is empty.
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

    /// Refuses a pull if the objects of the workspace have more bytes than this. Default: no limit, but a pull that does not
    /// fit on the disk is refused anyway.
    #[must_use]
    pub fn size_limit(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.settings.limit = bytes.into();
        self
    }

    /// Makes pulls leave out objects with more bytes than this, as if they were not asked for: a push does not delete them.
    /// [`Workspace::open_file`] fetches them all the same. Default: no limit.
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

    /// Sets whether a push deletes objects whose files are gone. Default: true. Set it to false after a program that failed: it
    /// may have removed a file only to write it again.
    #[must_use]
    pub fn push_deletes(mut self, deletes: bool) -> Self {
        self.settings.push_deletes = deletes;
        self
    }

    /// Makes the workspace exclusive to this machine from its first pull or push on, until it is
    /// [released](Workspace::release). The lease is an object at the location, `.pos3/lease.json`, which is renewed while the
    /// workspace exists. If the process dies, it expires after this time, at least five seconds. Another machine that wants
    /// it meanwhile gets an error that names the holder. The clocks of the machines may differ by five seconds. Default: none.
    /// Even without a lease, no version of a file is lost.
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
    /// Returns an error if the location is invalid or names a whole bucket, or if a concurrency is zero.
    pub fn open(self) -> Result<Workspace, WorkspaceError> {
        let location: Location = self.location.parse().map_err(Error::from)?;
        if let Location::Remote(remote) = &location
            && remote.key().trim_matches('/').is_empty()
        {
            return Err(WorkspaceError::NoPrefix { location: self.location.trim_end_matches('/').to_owned() });
        }
        let limits = [(self.settings.downloads, "download concurrency"), (self.settings.uploads, "upload concurrency")];
        if let Some((_, what)) = limits.into_iter().find(|(limit, _)| *limit == 0) {
            return Err(WorkspaceError::NoConcurrency { what });
        }
        let registry = match self.store {
            Some(store) => self.registry.with(location.scheme(), OneStore::new(store)),
            None => self.registry,
        };
        let inner = Inner::new(location, &self.directory, registry, self.settings);
        Ok(Workspace { inner: Arc::new(inner), background: Arc::default() })
    }
}

impl Settings {
    /// Returns the budget of pulls.
    pub(super) fn download_budget(&self) -> Budget {
        Budget::new(self.downloads, Budget::BYTES)
    }

    /// Returns the budget of pushes.
    pub(super) fn upload_budget(&self) -> Budget {
        Budget::new(self.uploads, Budget::BYTES)
    }
}
