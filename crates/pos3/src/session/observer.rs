//! Observers of a session, which receive each event with the registration that it belongs to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use pos3_core::{Event, Observer};

/// The kind of a registration: the method of the session that created it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RegistrationKind {
    /// [`Session::download`](super::Session::download).
    Download,
    /// [`Session::upload`](super::Session::upload).
    Upload,
    /// [`Session::sync`](super::Session::sync).
    Sync,
}

impl RegistrationKind {
    /// Returns `download`, `upload` or `sync`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Sync => "sync",
        }
    }
}

impl fmt::Display for RegistrationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A registration of a session, as its observer sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Registered {
    /// The remote location, as it was registered.
    pub location: String,
    /// The local path, with symbolic links resolved.
    pub local: PathBuf,
    /// Whether it is downloaded, uploaded or both.
    pub kind: RegistrationKind,
}

/// Receives the events of a session, on any thread, each with the registration that it belongs to. It should return
/// quickly, because the transfers wait for it. A closure with these arguments is such an observer.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use pos3::{Event, Registered, Session, UploadOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cache = tempfile::tempdir()?;
/// let done = Arc::new(Mutex::new(Vec::new()));
/// let seen = done.clone();
/// let observer = move |registration: Option<&Registered>, event: &Event<'_>| {
///     if let (Some(registration), Event::Done(action)) = (registration, event) {
///         seen.lock().unwrap().push(format!("{} {}: {}", registration.kind, registration.location, action.key()));
///     }
/// };
/// let session = Session::builder().cache_root(cache.path()).session_observer(observer).open()?;
/// for run in ["memory://bucket/a", "memory://bucket/b"] {
///     let out = session.upload(run, UploadOptions::default()).await?;
///     std::fs::write(out.join("log"), run)?;
/// }
/// session.close().await.into_result()?;
///
/// done.lock().unwrap().sort();
/// assert_eq!(*done.lock().unwrap(), ["upload memory://bucket/a: log", "upload memory://bucket/b: log"]);
/// # Ok(()) }
/// ```
pub trait SessionObserver: Send + Sync + 'static {
    /// Handles an event. A warning of [`Session::ls`](super::Session::ls) belongs to no registration.
    fn session_event(&self, registration: Option<&Registered>, event: &Event<'_>);
}

impl<F: Fn(Option<&Registered>, &Event<'_>) + Send + Sync + 'static> SessionObserver for F {
    fn session_event(&self, registration: Option<&Registered>, event: &Event<'_>) {
        self(registration, event);
    }
}

/// An observer that does not distinguish registrations.
pub(super) struct Undistinguished<O>(pub(super) O);

impl<O: Observer> SessionObserver for Undistinguished<O> {
    fn session_event(&self, _registration: Option<&Registered>, event: &Event<'_>) {
        self.0.event(event);
    }
}

/// The observer of the transfers of one registration.
pub(super) struct OfRegistration {
    pub(super) registration: Registered,
    pub(super) observer: Arc<dyn SessionObserver>,
}

impl Observer for OfRegistration {
    fn event(&self, event: &Event<'_>) {
        self.observer.session_event(Some(&self.registration), event);
    }
}
