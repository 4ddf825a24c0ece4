//! The session for programs without an async runtime: [`Session`] and [`Mirror`].
//!
//! Each brings a runtime of its own, so the background uploads go on while the program computes. It must not be used from
//! inside another runtime, where a call and a drop of it panic: use [`pos3::Session`](crate::Session) there, or move it to
//! a thread that may wait, such as one of tokio's `spawn_blocking`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};

use crate::ls::Depth;
use crate::session::{
    Arrivals, DownloadOptions, Ending, MirrorBuilder, ScopeError, Session as AsyncSession, SessionBuilder,
    SessionError, Status, SyncBothOptions, TransferPlan, UploadOptions, Work,
};
use crate::threads::startable_threads;

/// Threads that move bytes while the program computes.
const THREADS: usize = 2;

/// Threads that are needed besides, for files and for the state.
const SPARE: usize = 3;

/// A [`pos3::Session`](crate::Session) whose calls wait. It is not for `async` code: there its calls, and its drop, panic.
///
/// ```
/// use pos3::{UploadOptions, blocking};
///
/// # let cache = tempfile::tempdir().unwrap();
/// # let builder = pos3::Session::builder().cache_root(cache.path());
/// let session = blocking::Session::open(builder)?;
/// let written = session.scope(|session| {
///     let outputs = session.upload("memory://bucket/run", UploadOptions::default())?;
///     std::fs::write(outputs.join("a"), "1").map_err(|error| error.to_string())?;
///     Ok::<_, Box<dyn std::error::Error>>(outputs)
/// })?;
/// assert!(written.join("a").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session {
    // Dropped before the runtime that its tasks run on.
    session: AsyncSession,
    signal: Option<Arc<OnceLock<&'static str>>>,
    runtime: Runtime,
}

impl Session {
    /// Opens a session and starts the threads it works on.
    ///
    /// # Errors
    ///
    /// Those of [`SessionBuilder::open`], and threads that cannot be started.
    pub fn open(builder: SessionBuilder) -> Result<Self, SessionError> {
        let runtime = runtime().map_err(|error| SessionError::NoThreads(error.to_string()))?;
        let session = builder.open()?;
        Ok(Self { session, signal: None, runtime })
    }

    /// See [`pos3::Session::download`](crate::Session::download).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn download(&self, remote: &str, options: DownloadOptions) -> Result<PathBuf, SessionError> {
        self.runtime.block_on(self.session.download(remote, options))
    }

    /// See [`pos3::Session::upload`](crate::Session::upload).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn upload(&self, remote: &str, options: UploadOptions) -> Result<PathBuf, SessionError> {
        self.runtime.block_on(self.session.upload(remote, options))
    }

    /// See [`pos3::Session::sync`](crate::Session::sync).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn sync(&self, remote: &str, options: SyncBothOptions) -> Result<PathBuf, SessionError> {
        self.runtime.block_on(self.session.sync(remote, options))
    }

    /// See [`pos3::Session::ls`](crate::Session::ls).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn ls(&self, prefix: &str, depth: Depth) -> Result<Vec<String>, SessionError> {
        self.runtime.block_on(self.session.ls(prefix, depth))
    }

    /// See [`pos3::Session::plan_download`](crate::Session::plan_download).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn plan_download(&self, remote: &str, options: DownloadOptions) -> Result<TransferPlan, SessionError> {
        self.runtime.block_on(self.session.plan_download(remote, options))
    }

    /// See [`pos3::Session::plan_upload`](crate::Session::plan_upload).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn plan_upload(&self, remote: &str, options: UploadOptions) -> Result<TransferPlan, SessionError> {
        self.runtime.block_on(self.session.plan_upload(remote, options))
    }

    /// See [`pos3::Session::flush`](crate::Session::flush).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn flush(&self) -> Result<(), SessionError> {
        self.runtime.block_on(self.session.flush())
    }

    /// See [`pos3::Session::status`](crate::Session::status).
    pub fn status(&self) -> Vec<Status> {
        self.session.status()
    }

    /// See [`pos3::Session::close`](crate::Session::close).
    pub fn close(&self) -> Ending {
        self.runtime.block_on(self.session.close())
    }

    /// See [`pos3::Session::give_up`](crate::Session::give_up).
    pub fn give_up(&self) -> Ending {
        self.runtime.block_on(self.session.give_up())
    }

    /// See [`pos3::Session::discard`](crate::Session::discard).
    pub fn discard(self) {
        let Self { session, .. } = self;
        session.discard();
    }

    /// See [`pos3::Session::abandon`](crate::Session::abandon); this is for another thread than the one that waits.
    pub fn abandon(&self) {
        self.session.abandon();
    }

    /// See [`pos3::Session::hurry`](crate::Session::hurry); this is for another thread than the one that waits.
    pub fn hurry(&self) {
        self.session.hurry();
    }

    /// Runs `body` with this session and ends the session with it; see [`pos3::Session::scope`](crate::Session::scope).
    ///
    /// A computation cannot be interrupted: a signal that is to end the session is acted upon when the body returns, as one
    /// that comes while the outputs are uploaded. A body that looks now and then whether one [came](Self::interrupted) can
    /// return sooner, with an error if its outputs are not to be taken for done.
    ///
    /// # Errors
    ///
    /// The same.
    ///
    /// # Panics
    ///
    /// With the body's panic, after the session has ended as after an error.
    pub fn scope<T, E>(mut self, body: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, ScopeError<E>> {
        let arrivals = self.listen();
        let work = attempt(|| body(&self));
        self.end_with(work, arrivals)
    }

    /// Returns the name of the first signal since [`scope`](Self::scope) began, if one came; always nothing where
    /// [`on_signals`](SessionBuilder::on_signals) was not asked for.
    pub fn interrupted(&self) -> Option<&'static str> {
        self.signal.as_ref()?.get().copied()
    }

    fn listen(&mut self) -> Arrivals {
        let _context = self.runtime.enter();
        let arrivals = self.session.listen();
        self.signal = Some(arrivals.noted());
        arrivals
    }

    fn end_with<T, E>(&self, work: Work<T, E>, arrivals: Arrivals) -> Result<T, ScopeError<E>> {
        self.runtime.block_on(self.session.end_with(work, arrivals))
    }
}

/// A [`pos3::Mirror`](crate::Mirror) whose calls wait. It is not for `async` code: there its calls, and its drop, panic.
///
/// ```
/// use pos3::{Mirror, Session, UploadOptions, blocking};
///
/// # let cache = tempfile::tempdir().unwrap();
/// let builder = Mirror::builder(Session::builder().cache_root(cache.path()))
///     .upload("checkpoints", "memory://bucket/run-7", UploadOptions::default());
/// blocking::Mirror::enter(builder)?.scope(|mirror| {
///     std::fs::write(mirror.path("checkpoints")?.join("epoch-1"), "weights")?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Mirror {
    session: Session,
    paths: BTreeMap<String, PathBuf>,
}

impl Mirror {
    /// See [`MirrorBuilder::enter`].
    ///
    /// # Errors
    ///
    /// The same, and threads that cannot be started.
    pub fn enter(builder: MirrorBuilder) -> Result<Self, SessionError> {
        let runtime = runtime().map_err(|error| SessionError::NoThreads(error.to_string()))?;
        let (session, paths) = runtime.block_on(builder.enter())?.into_parts();
        Ok(Self { session: Session { session, signal: None, runtime }, paths })
    }

    /// See [`pos3::Mirror::path`](crate::Mirror::path).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn path(&self, name: &str) -> Result<&Path, SessionError> {
        self.paths.get(name).map(PathBuf::as_path).ok_or_else(|| SessionError::NoSuchName(name.to_owned()))
    }

    /// Returns the session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs `body` with this mirror and ends the session with it; see [`Session::scope`].
    ///
    /// # Errors
    ///
    /// The same.
    ///
    /// # Panics
    ///
    /// With the body's panic, after the session has ended as after an error.
    pub fn scope<T, E>(mut self, body: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, ScopeError<E>> {
        let arrivals = self.session.listen();
        let work = attempt(|| body(&self));
        self.session.end_with(work, arrivals)
    }

    /// Uploads everything and ends; see [`Session::close`].
    pub fn close(&self) -> Ending {
        self.session.close()
    }

    /// Ends without uploading anything; see [`Session::discard`].
    pub fn discard(self) {
        self.session.discard();
    }
}

fn attempt<T, E>(work: impl FnOnce() -> Result<T, E>) -> Work<T, E> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(result) => Work::Returned(result),
        Err(panic) => Work::Panicked(panic),
    }
}

fn runtime() -> io::Result<Runtime> {
    // The runtime itself panics where it gets none.
    if startable_threads(THREADS + SPARE) < THREADS + SPARE {
        return Err(io::Error::other("the system allows too few (ulimit -u, or the limit of the container)"));
    }
    Builder::new_multi_thread().worker_threads(THREADS).thread_name("pos3").enable_all().build()
}
