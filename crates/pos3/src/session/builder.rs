//! The settings of a session. Opening one does not access the disk or the network.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use pos3_core::{Budget, Observer, Pace};
use tokio::sync::Notify;

use super::Session;
use super::error::SessionError;
use super::inner::{Inner, expanded};
use super::layout::SERVERS;
use super::memory::Remembers;
use super::observer::{SessionObserver, Undistinguished};
use super::signals::Signals;
use super::urgency::Course;
use crate::registry::Registry;
use crate::state::StateDirectory;

/// The default directory of downloads.
const CACHE_ROOT: &str = "~/.cache/positronic/s3/";

/// The environment variable with another one.
#[cfg(feature = "s3")]
const ROOT_VARIABLE: &str = "POS3_CACHE_ROOT";

/// The default duration of an end by an error or a signal. A machine that is about to be preempted usually gets two
/// minutes.
const DEADLINE: Duration = Duration::from_secs(90);

impl Session {
    /// Returns a builder with the default settings.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// Opens a session with the settings of the environment; see [`SessionBuilder::from_env`].
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = pos3::Session::from_env()?;
    /// let data = session.download("s3://bucket/data", Default::default()).await?;
    /// let output = session.upload("s3://bucket/run-7", Default::default()).await?;
    /// std::fs::copy(data.join("train.bin"), output.join("model.bin"))?;
    /// session.close().await.into_result()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if an environment variable is invalid.
    #[cfg(feature = "s3")]
    pub fn from_env() -> Result<Self, SessionError> {
        SessionBuilder::from_env()?.open()
    }
}

/// Configures and opens a [`Session`].
pub struct SessionBuilder {
    registry: Registry,
    cache_root: PathBuf,
    remembers: Remembers,
    observer: Option<Arc<dyn SessionObserver>>,
    budget: Budget,
    default_profile: Option<String>,
    upload_rate: Option<f64>,
    download_rate: Option<f64>,
    deadline: Duration,
    signals: Signals,
}

impl Default for SessionBuilder {
    fn default() -> Self {
        Self {
            registry: Registry::default(),
            cache_root: PathBuf::from(CACHE_ROOT),
            remembers: Remembers::default(),
            observer: None,
            budget: Budget::default(),
            default_profile: None,
            upload_rate: None,
            download_rate: None,
            deadline: DEADLINE,
            signals: Signals::Ignored,
        }
    }
}

impl SessionBuilder {
    /// Returns the settings of the environment, as the command line uses them: S3 and its profiles as
    /// [`Registry::from_env`] finds them, and the cache root `POS3_CACHE_ROOT`. No request is sent.
    ///
    /// # Errors
    ///
    /// Returns an error if an environment variable is invalid.
    #[cfg(feature = "s3")]
    pub fn from_env() -> Result<Self, crate::Error> {
        let builder = Self::default().registry(Registry::from_env()?);
        Ok(match std::env::var_os(ROOT_VARIABLE).filter(|root| !root.is_empty()) {
            Some(root) => builder.cache_root(root),
            None => builder,
        })
    }

    /// Sets the registry that opens locations by their scheme. Default: paths and `memory`. `s3` needs settings; see
    /// [`Registry`](crate::Registry).
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Sets the directory of downloads: `<root>/<profile or _>/<bucket>/<key>`. pos3 creates it when it is first
    /// needed. A leading `~` is the home directory. Default: `~/.cache/positronic/s3/`.
    #[must_use]
    pub fn cache_root(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache_root = path.into();
        self
    }

    /// Sets the directory of the sync state, which records which files were equal and which transfers are unfinished.
    /// It also lets many processes of one machine share one download, while the others wait. pos3 creates the directory
    /// when it is first needed. If the directory cannot be used, the session warns once and keeps the sync state in
    /// memory.
    ///
    /// Default: [`StateDirectory::from_env`]. With `None`, the session keeps the sync state in memory and waits for no
    /// other process.
    #[must_use]
    pub fn state(mut self, directory: impl Into<Option<StateDirectory>>) -> Self {
        self.remembers = directory.into().into();
        self
    }

    /// Keeps the sync state in memory, as `state(None)` does. Only the marks of unsaved output are in this directory.
    /// Without them, a download could overwrite output outside the cache root that an earlier session did not upload.
    #[must_use]
    pub fn only_marks(mut self, directory: impl Into<Option<StateDirectory>>) -> Self {
        self.remembers = Remembers::Alone(directory.into());
        self
    }

    /// Sets the observer of the events of all registrations. Default: none.
    #[must_use]
    pub fn observer(self, observer: impl Observer) -> Self {
        self.session_observer(Undistinguished(observer))
    }

    /// Sets the observer of events, which receives each event with its registration. It replaces
    /// [`observer`](Self::observer).
    #[must_use]
    pub fn session_observer(mut self, observer: impl SessionObserver) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets how many copies and parts are in progress at once, for all registrations together. Default: 256. The number
    /// of requests to an S3 server is limited by [`S3Provider::with_concurrency`](crate::S3Provider::with_concurrency).
    #[must_use]
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.budget = Budget::new(requests, Budget::BYTES);
        self
    }

    /// Sets the profile for URLs and calls that name none. Default: none.
    #[must_use]
    pub fn default_profile(mut self, name: impl Into<String>) -> Self {
        self.default_profile = Some(name.into());
        self
    }

    /// Limits uploads to this many bytes per second, for all files, parts and profiles together. Unused bandwidth is
    /// not saved for later, and retried bytes count again. Default: no limit.
    #[must_use]
    pub fn upload_limit(mut self, bytes_per_second: impl Into<Option<f64>>) -> Self {
        self.upload_rate = bytes_per_second.into();
        self
    }

    /// Limits downloads to this many bytes per second, like [`upload_limit`](Self::upload_limit). Default: no limit.
    #[must_use]
    pub fn download_limit(mut self, bytes_per_second: impl Into<Option<f64>>) -> Self {
        self.download_rate = bytes_per_second.into();
        self
    }

    /// Sets how long an end by an error or a signal may take. Default: 90 seconds. A clean end has no limit, unless a
    /// signal arrives or the end is [hurried](super::Urgency::Hurry).
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes [`Session::scope`] and [`Mirror::scope`](super::Mirror::scope) end the session when SIGINT, SIGTERM,
    /// SIGHUP or SIGQUIT arrives. If the process ignores SIGHUP or SIGQUIT, as under `nohup`, they stay ignored.
    /// Handlers that the program has installed are called, too. From then on, these signals do not terminate the
    /// process; the program must exit by itself after the scope has returned. Default: the session does not handle
    /// signals.
    #[must_use]
    pub fn on_signals(mut self) -> Self {
        self.signals = Signals::End;
        self
    }

    /// Opens the session. This does not access the disk or the network.
    ///
    /// # Errors
    ///
    /// Fails if a rate is not a positive number.
    pub fn open(self) -> Result<Session, SessionError> {
        let pace = |rate: Option<f64>| match rate {
            None => Ok(None),
            Some(rate) => Pace::new(rate).map(Some).ok_or(SessionError::BadRate(rate)),
        };
        if let Ok(root) = expanded(&self.cache_root) {
            self.registry.own_files().add_directory(root.join(SERVERS));
        }
        let inner = Inner {
            id: random_id(),
            registry: self.registry,
            cache_root: self.cache_root,
            remembers: self.remembers,
            observer: self.observer,
            budget: self.budget,
            default_profile: self.default_profile,
            upload_pace: pace(self.upload_rate)?,
            download_pace: pace(self.download_rate)?,
            deadline: self.deadline,
            registrations: Mutex::default(),
            warned: Mutex::default(),
            course: Course::new(),
            ending: Mutex::default(),
            wake: Notify::new(),
            background: Mutex::default(),
        };
        Ok(Session::of(Arc::new(inner), self.signals))
    }
}

/// Returns an ID that no other session has. Each state has new random keys, also in a forked process, because the time
/// and the process are hashed with them.
fn random_id() -> String {
    let hash = || RandomState::new().hash_one((std::process::id(), SystemTime::now()));
    format!("{:016x}{:016x}", hash(), hash())
}

impl std::fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("cache_root", &self.cache_root)
            .field("default_profile", &self.default_profile)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Mirror, UploadOptions};

    #[test]
    fn a_builder_takes_literals_and_shows_its_settings() {
        let builder = Session::builder()
            .cache_root("cache")
            .state(None)
            .concurrency(8)
            .default_profile("lab")
            .upload_limit(1e6)
            .download_limit(None)
            .deadline(Duration::from_secs(5))
            .session_observer(|_: Option<&crate::Registered>, _: &pos3_core::Event<'_>| {});
        let mirror = Mirror::builder(builder).upload("out", "memory://bucket/out", UploadOptions::default());
        let text = format!("{mirror:?}");
        for setting in ["\"cache\"", "\"lab\"", "5s", "memory://bucket/out"] {
            assert!(text.contains(setting), "{setting}: {text}");
        }
    }
}
