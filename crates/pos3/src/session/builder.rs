//! How a session is set up. Nothing is touched before the first registration.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pos3_core::{Budget, CancellationToken, Observer, Pace};
use tokio::sync::Notify;

use super::Session;
use super::error::SessionError;
use super::inner::Inner;
use super::memory::Remembers;
use super::signals::Signals;
use crate::registry::Registry;
use crate::state::StateDirectory;

/// Where downloads are kept, where nothing else is asked for.
const CACHE_ROOT: &str = "~/.cache/positronic/s3/";

/// How long an end by an error or a signal may take, where nothing else is asked for: a machine that is about to be
/// taken away usually gives two minutes.
const DEADLINE: Duration = Duration::from_secs(90);

/// Sets up a [`Session`].
pub struct SessionBuilder {
    registry: Registry,
    cache_root: PathBuf,
    remembers: Remembers,
    observer: Option<Arc<dyn Observer>>,
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
    /// Sets who opens which scheme. Default: paths and `memory`; `s3` needs its settings, see
    /// [`Registry`](crate::Registry).
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Sets the directory below which downloads are kept, `<root>/<profile or _>/<bucket>/<key>`. It is made when it is
    /// first needed; a `~` at its start is the home directory. Default: `~/.cache/positronic/s3/`.
    #[must_use]
    pub fn cache_root(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache_root = path.into();
        self
    }

    /// Sets where it is remembered between runs what was equal and what was left unfinished; it also makes many
    /// processes of one machine bring a place once, while the others wait. The directory is made when it is first needed;
    /// where it cannot be used, the session warns once and remembers by itself.
    ///
    /// Default: [`StateDirectory::from_env`]. `None`: the session remembers by itself, and waits for nobody.
    #[must_use]
    pub fn state(mut self, directory: impl Into<Option<StateDirectory>>) -> Self {
        self.remembers = directory.into().into();
        self
    }

    /// Sets who is told what happens. Default: nobody.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets how many requests may be in flight, over all registrations. Default: 64.
    #[must_use]
    pub fn concurrency(mut self, requests: usize) -> Self {
        self.budget = Budget::new(requests, Budget::BYTES);
        self
    }

    /// Sets the profile of URLs and calls that name none. Default: none.
    #[must_use]
    pub fn default_profile(mut self, name: impl Into<Option<String>>) -> Self {
        self.default_profile = name.into();
        self
    }

    /// Sets the most bytes per second that are uploaded, over all files, parts and profiles together. What is not used is
    /// lost, and what is sent again counts again. Default: no limit.
    #[must_use]
    pub fn upload_limit(mut self, bytes_per_second: impl Into<Option<f64>>) -> Self {
        self.upload_rate = bytes_per_second.into();
        self
    }

    /// Sets the most bytes per second that are downloaded, likewise. Default: no limit.
    #[must_use]
    pub fn download_limit(mut self, bytes_per_second: impl Into<Option<f64>>) -> Self {
        self.download_rate = bytes_per_second.into();
        self
    }

    /// Sets how long an end by an error or a signal may take. Default: 90 seconds. A clean end takes the time it needs,
    /// unless a signal comes or [`hurry`](Session::hurry) is called.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes [`Session::scope`] and [`Mirror::scope`](super::Mirror::scope) end the session when SIGINT, SIGTERM, SIGHUP or
    /// SIGQUIT comes. A SIGHUP or SIGQUIT that the process ignores, as under `nohup`, stays ignored. Handlers that the
    /// program has set are called too. From then on these signals do not end the process by themselves: that is the matter
    /// of the program, once the scope has returned. Default: signals are left alone.
    #[must_use]
    pub fn on_signals(mut self) -> Self {
        self.signals = Signals::End;
        self
    }

    /// Opens the session; this touches no disk and sends no request.
    ///
    /// # Errors
    ///
    /// A rate that is no positive number.
    pub fn open(self) -> Result<Session, SessionError> {
        let pace = |rate: Option<f64>| match rate {
            None => Ok(None),
            Some(rate) => Pace::new(rate).map(Some).ok_or(SessionError::BadRate(rate)),
        };
        let abort = CancellationToken::new();
        let inner = Inner {
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
            closed: AtomicBool::new(false),
            ending: Mutex::default(),
            is_over: AtomicBool::new(false),
            stop: CancellationToken::new(),
            hurry: CancellationToken::new(),
            unlocked: CancellationToken::new(),
            passes: abort.child_token(),
            abort,
            abandon: CancellationToken::new(),
            wake: Notify::new(),
            background: Mutex::default(),
        };
        Ok(Session::of(Arc::new(inner), self.signals))
    }
}
