//! Sessions and workspaces for programs without an async runtime: [`Session`], [`Mirror`] and [`Workspace`].
//!
//! Each session has its own runtime, so background uploads continue while the program computes. Inside another runtime,
//! calling or dropping it panics. There, use [`pos3::Session`](crate::Session), or move it to a thread that may block,
//! such as one of tokio's `spawn_blocking`.

mod workspace;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};

use crate::ls::{Depth, Listed};
use crate::session::{
    Arrivals, DownloadOptions, Ending, MirrorBuilder, ScopeError, Session as AsyncSession, SessionBuilder,
    SessionError, Status, SyncBothOptions, TransferPlan, UploadOptions, Urgency, Work,
};
use crate::threads::startable_threads;

pub use workspace::Workspace;

/// The number of threads that transfer content while the program computes.
const THREADS: usize = 2;

/// The number of additional threads, for files and the sync state.
const SPARE: usize = 3;

/// A [`pos3::Session`](crate::Session) whose calls block. In `async` code, calling or dropping it panics.
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
    // The session must be dropped before the runtime of its tasks.
    session: AsyncSession,
    signal: Option<Arc<OnceLock<&'static str>>>,
    runtime: Runtime,
}

impl Session {
    /// Opens a session and starts its threads.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`SessionBuilder::open`], or an error if the threads cannot be started.
    pub fn open(builder: SessionBuilder) -> Result<Self, SessionError> {
        let runtime = runtime().map_err(|error| SessionError::NoThreads(error.to_string()))?;
        let session = builder.open()?;
        Ok(Self { session, signal: None, runtime })
    }

    /// Blocks until [`pos3::Session::download`](crate::Session::download) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn download(&self, remote: &str, options: DownloadOptions) -> Result<PathBuf, SessionError> {
        self.runtime.block_on(self.session.download(remote, options))
    }

    /// Blocks until [`pos3::Session::upload`](crate::Session::upload) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn upload(&self, remote: &str, options: UploadOptions) -> Result<PathBuf, SessionError> {
        self.runtime.block_on(self.session.upload(remote, options))
    }

    /// Blocks until [`pos3::Session::sync`](crate::Session::sync) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn sync(&self, remote: &str, options: SyncBothOptions) -> Result<PathBuf, SessionError> {
        self.runtime.block_on(self.session.sync(remote, options))
    }

    /// Blocks until [`pos3::Session::ls`](crate::Session::ls) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn ls(&self, prefix: &str, depth: Depth) -> Result<Vec<Listed>, SessionError> {
        self.runtime.block_on(self.session.ls(prefix, depth))
    }

    /// Blocks until [`pos3::Session::plan_download`](crate::Session::plan_download) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn plan_download(&self, remote: &str, options: DownloadOptions) -> Result<TransferPlan, SessionError> {
        self.runtime.block_on(self.session.plan_download(remote, options))
    }

    /// Blocks until [`pos3::Session::plan_upload`](crate::Session::plan_upload) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn plan_upload(&self, remote: &str, options: UploadOptions) -> Result<TransferPlan, SessionError> {
        self.runtime.block_on(self.session.plan_upload(remote, options))
    }

    /// Blocks until [`pos3::Session::flush`](crate::Session::flush) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn flush(&self) -> Result<(), SessionError> {
        self.runtime.block_on(self.session.flush())
    }

    /// Returns the status of every registration; see [`pos3::Session::status`](crate::Session::status).
    pub fn status(&self) -> Vec<Status> {
        self.session.status()
    }

    /// Blocks until [`pos3::Session::close`](crate::Session::close) is complete.
    pub fn close(&self) -> Ending {
        self.runtime.block_on(self.session.close())
    }

    /// Blocks until [`pos3::Session::give_up`](crate::Session::give_up) is complete.
    pub fn give_up(&self) -> Ending {
        self.runtime.block_on(self.session.give_up())
    }

    /// Ends the session without uploading anything; see [`pos3::Session::discard`](crate::Session::discard).
    pub fn discard(self) {
        let Self { session, .. } = self;
        session.discard();
    }

    /// Makes the end more urgent; see [`pos3::Session::urge`](crate::Session::urge). Call this from another thread than
    /// the one that waits for the end.
    pub fn urge(&self, urgency: Urgency) {
        self.session.urge(urgency);
    }

    /// Runs `body` with this session and then ends the session; see [`pos3::Session::scope`](crate::Session::scope).
    ///
    /// A computation cannot be interrupted, so a signal during `body` takes effect when the body returns, like a signal
    /// during the uploads. The body can check [`interrupted`](Self::interrupted) and return sooner. If its outputs are
    /// incomplete, it should return an error.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    ///
    /// # Panics
    ///
    /// Resumes a panic of the body after the session has ended as after an error.
    pub fn scope<T, E>(mut self, body: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, ScopeError<E>> {
        let arrivals = self.listen();
        let work = attempt(|| body(&self));
        self.end_with(work, arrivals)
    }

    /// Returns the name of the first signal since [`scope`](Self::scope) began, if there was one. Without
    /// [`on_signals`](SessionBuilder::on_signals), always returns `None`.
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

/// A [`pos3::Mirror`](crate::Mirror) whose calls block. In `async` code, calling or dropping it panics.
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
    /// Opens the session and waits until the mirror is ready; see [`MirrorBuilder::enter`].
    ///
    /// # Errors
    ///
    /// Returns the same errors, or an error if the threads cannot be started.
    pub fn enter(builder: MirrorBuilder) -> Result<Self, SessionError> {
        let runtime = runtime().map_err(|error| SessionError::NoThreads(error.to_string()))?;
        let (session, paths) = runtime.block_on(builder.enter())?.into_parts();
        Ok(Self { session: Session { session, signal: None, runtime }, paths })
    }

    /// Returns the local path of a name; see [`pos3::Mirror::path`](crate::Mirror::path).
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn path(&self, name: &str) -> Result<&Path, SessionError> {
        self.paths.get(name).map(PathBuf::as_path).ok_or_else(|| SessionError::NoSuchName(name.to_owned()))
    }

    /// Returns the session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs `body` with this mirror and then ends the session; see [`Session::scope`].
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    ///
    /// # Panics
    ///
    /// Resumes a panic of the body after the session has ended as after an error.
    pub fn scope<T, E>(mut self, body: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, ScopeError<E>> {
        let arrivals = self.session.listen();
        let work = attempt(|| body(&self));
        self.session.end_with(work, arrivals)
    }

    /// Uploads everything and ends the session; see [`Session::close`].
    pub fn close(&self) -> Ending {
        self.session.close()
    }

    /// Ends the session without uploading anything; see [`Session::discard`].
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
    // The runtime itself would panic if it could not start its threads.
    if startable_threads(THREADS + SPARE) < THREADS + SPARE {
        return Err(io::Error::other("the system allows too few (ulimit -u, or the limit of the container)"));
    }
    Builder::new_multi_thread().worker_threads(THREADS).thread_name("pos3").enable_all().build()
}
