//! Sessions, which maintain local copies of remote locations: [`Session`].

mod background;
mod begin;
mod builder;
mod claim;
mod deletes;
mod end;
mod ending;
mod error;
mod evidence;
mod held;
mod hiding;
mod inner;
mod known;
mod last_upload;
mod layout;
mod left_out;
mod mark;
mod memory;
mod mirror;
mod moved;
mod observer;
mod options;
mod other_pairs;
mod overlay;
mod place;
mod plan;
mod policy;
mod progress;
mod registration;
mod removed;
mod replaced;
mod scope;
mod seen;
mod servers;
mod signals;
mod site;
mod status;
mod surroundings;
mod totals;
mod transfer;
mod unknown;
mod unsaved;
mod urgency;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use futures::future::join_all;
use futures::{FutureExt, TryStreamExt};
use pos3_core::run_blocking;

use crate::location::Location;
use crate::ls::{Depth, Listed, ls};
use crate::resolve::{PathKind, names_prefix};

pub use builder::SessionBuilder;
pub use ending::{Ended, Ending};
pub use error::{ConflictingPair, SessionError};
pub use left_out::{LeftOut, Link};
pub use mirror::{Mirror, MirrorBuilder};
pub use observer::{Registered, RegistrationKind, SessionObserver};
pub use options::{DownloadOptions, RemoteDelete, Shape, SyncBothOptions, UploadOptions};
pub use plan::TransferPlan;
pub use scope::ScopeError;
#[cfg(feature = "blocking")]
pub(crate) use scope::Work;
#[cfg(feature = "blocking")]
pub(crate) use signals::Arrivals;
pub use status::Status;
pub use surroundings::PathChange;
pub use totals::Totals;
pub use urgency::Urgency;

use begin::begin;
use deletes::Occasion;
use end::{Dropped, end};
use ending::End;
use inner::{Inner, absolute};
use registration::{Downloading, Kind, Registration};
use signals::Signals;

#[doc = include_str!("session/guide.md")]
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
    signals: Signals,
    _dropped: Arc<Dropped>,
}

impl Session {
    fn of(inner: Arc<Inner>, signals: Signals) -> Self {
        Self { _dropped: Arc::new(Dropped(inner.clone())), inner, signals }
    }

    /// Downloads a location once and returns its local path.
    ///
    /// # Errors
    ///
    /// Fails if the location has no key (unless `allow_missing` is set), if it conflicts with a registration, or if any
    /// file was not copied. The failed registration is removed, so the call can be repeated.
    pub async fn download(&self, remote: &str, options: DownloadOptions) -> Result<PathBuf, SessionError> {
        self.check_open()?;
        let location = self.inner.locate(remote, options.profile.as_deref())?;
        if let Location::Local(path) = &location {
            let path = absolute(path)?;
            return if PathKind::at(&path).is_ok() { Ok(path) } else { Err(SessionError::NoLocalPath(path)) };
        }
        let registration = self.enter(location.clone(), Kind::Download(options)).await?;
        let path = self.downloading(&registration).await.inspect_err(|_| self.inner.forget(&registration))?;
        if names_prefix(&location) && path.is_file() {
            // The path already has the object `x`, so there is no room for the files below `x/`.
            return Err(registration.in_the_way_of(&location, &path));
        }
        Ok(path)
    }

    /// Registers a location for uploads, creates its local directory, and returns the local path.
    ///
    /// If the local path is a file, it is uploaded to the key itself, or below a prefix that ends in `/`. A file that
    /// does not exist yet needs [`Shape::File`]. The first upload starts after one interval.
    ///
    /// # Errors
    ///
    /// Fails if the location conflicts with a registration, or if the directory cannot be created. The first use of a
    /// bucket in a cache root also fails if the server does not answer.
    pub async fn upload(&self, remote: &str, options: UploadOptions) -> Result<PathBuf, SessionError> {
        self.check_open()?;
        let location = self.inner.locate(remote, options.profile.as_deref())?;
        if let Location::Local(path) = &location {
            let (path, shape) = (path.clone(), options.shape);
            return run_blocking(move || place::prepare(absolute(&path)?, shape)).await;
        }
        check_output(&options, &location)?;
        let registration = self.enter(location, Kind::Upload(options)).await?;
        begin(&self.inner, &registration).await
    }

    /// Downloads a location once, and then uploads its local copy like [`upload`](Self::upload), as one registration. A
    /// location without a key is treated as new.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`download`](Self::download) and [`upload`](Self::upload).
    pub async fn sync(&self, remote: &str, options: SyncBothOptions) -> Result<PathBuf, SessionError> {
        self.check_open()?;
        let location = self.inner.locate(remote, options.upload.profile.as_deref())?;
        if let Location::Local(path) = &location {
            let (path, shape) = (path.clone(), options.upload.shape);
            return run_blocking(move || place::prepare(absolute(&path)?, shape)).await;
        }
        check_output(&options.upload, &location)?;
        let registration = self.enter(location, Kind::Sync(options)).await?;
        if let Err(error) = self.downloading(&registration).await {
            self.inner.forget(&registration);
            return Err(error);
        }
        begin(&self.inner, &registration).await
    }

    /// Lists a location. With [`Depth::Recursive`], each directory precedes its contents. If the location is one object or
    /// file, the result is that item. [`pos3::ls`](crate::ls) lists without a session, as a stream.
    ///
    /// ```
    /// use pos3::{Depth, Kind, Session, UploadOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let cache = tempfile::tempdir()?;
    /// let session = Session::builder().cache_root(cache.path()).open()?;
    /// let out = session.upload("memory://bucket/run", UploadOptions::default()).await?;
    /// std::fs::write(out.join("model.bin"), "weights")?;
    /// session.flush().await?;
    ///
    /// for listed in session.ls("memory://bucket/run/", Depth::Level).await? {
    ///     assert_eq!(listed.location.to_string(), "memory://bucket/run/model.bin");
    ///     assert_eq!((listed.entry.kind, listed.entry.size), (Kind::File, 7));
    /// }
    /// # session.close().await.into_result()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the location cannot be listed, or if a local path does not exist.
    pub async fn ls(&self, prefix: &str, depth: Depth) -> Result<Vec<Listed>, SessionError> {
        self.check_open()?;
        let location = match self.inner.locate(prefix, None)? {
            Location::Local(path) => Location::Local(absolute(&path)?),
            remote => remote,
        };
        let found = ls(&self.inner.registry, &location, depth).await?;
        let failed = |source| crate::error::Error::Store { location: location.to_string(), source };
        let entries: Vec<_> = found.entries.try_collect().await.map_err(failed)?;
        self.inner.warn(&found.doubts.warnings(format_args!("'{location}'")));
        let relative = entries.into_iter().filter_map(|entry| Some((found.tree.relative(&entry.key)?, entry)));
        // The relative key of the directory's own marker is empty.
        let relative = relative.filter(|(key, _)| !key.as_str().is_empty());
        Ok(relative.map(|(key, entry)| Listed::new(&found.directory, key, entry)).collect())
    }

    /// Plans a [`download`](Self::download) without executing it.
    ///
    /// # Errors
    ///
    /// Fails if the plan cannot be made, if the location has no key (unless `allow_missing` is set), or if `remote` is
    /// a local path, because nothing would be copied.
    pub async fn plan_download(&self, remote: &str, options: DownloadOptions) -> Result<TransferPlan, SessionError> {
        self.plan(remote, &Kind::Download(options)).await
    }

    /// Plans the next upload without executing it.
    ///
    /// # Errors
    ///
    /// Fails if the plan cannot be made, if the local path does not exist, or if `remote` is a local path, because
    /// nothing would be copied.
    pub async fn plan_upload(&self, remote: &str, options: UploadOptions) -> Result<TransferPlan, SessionError> {
        self.plan(remote, &Kind::Upload(options)).await
    }

    async fn plan(&self, remote: &str, kind: &Kind) -> Result<TransferPlan, SessionError> {
        self.check_open()?;
        match self.proposed(remote, kind)? {
            Some(new) => {
                let entered = self.inner.registrations().iter().find(|old| old.is_same(&new)).cloned();
                transfer::plan(&self.inner, entered.as_deref().unwrap_or(&new)).await
            }
            None => Err(SessionError::PassedThrough(remote.to_owned())),
        }
    }

    /// Returns the local path of a location, with symbolic links resolved. The path need not exist, and this does not
    /// create it.
    ///
    /// # Errors
    ///
    /// Fails if the location is invalid.
    pub fn local_path(
        &self,
        remote: &str,
        local: Option<&Path>,
        profile: Option<&str>,
    ) -> Result<PathBuf, SessionError> {
        match self.inner.locate(remote, profile)? {
            Location::Local(path) => absolute(&path),
            location => self.inner.local_path(&location, local),
        }
    }

    /// Uploads everything now. Deletes nothing.
    ///
    /// # Errors
    ///
    /// Returns the errors of all uploads that are not complete.
    pub async fn flush(&self) -> Result<(), SessionError> {
        self.check_open()?;
        let uploads = self.inner.uploads();
        let flushed = join_all(uploads.iter().map(async |registration| {
            let outcome = moved::upload(&self.inner, registration, Occasion::Work).await;
            registration.record(&outcome);
            background::schedule(registration);
            outcome.err()
        }));
        let errors: Vec<_> = flushed.await.into_iter().flatten().collect();
        self.inner.wake.notify_one();
        if errors.is_empty() { Ok(()) } else { Err(SessionError::Several(errors)) }
    }

    /// Uploads everything and ends the session.
    ///
    /// The end continues if this call is dropped, for example by a timeout. A second call waits for it and returns the
    /// same result.
    pub async fn close(&self) -> Ending {
        end(&self.inner, End::Clean).await
    }

    /// Ends the session as after an error: uploads only registrations with `sync_on_error`, deletes nothing, and stops
    /// at the deadline. If an end is already running, this call waits for it and [hurries](Urgency::Hurry) it.
    pub async fn give_up(&self) -> Ending {
        end(&self.inner, End::Error).await
    }

    /// Makes the end more urgent, whether it is running or begins later. [`Urgency::Stop`] and [`Urgency::Abandon`]
    /// also stop the transfers that run before it. The urgency never falls. The session must still be ended.
    pub fn urge(&self, urgency: Urgency) {
        self.inner.course.urge(urgency);
    }

    /// Reports that other processes may still write to the outputs. The end then deletes nothing remotely and counts
    /// the withheld deletes, because such a process may be about to write a removed file again. The outputs stay marked
    /// as unsaved.
    pub fn still_written(&self) {
        self.inner.course.still_written();
    }

    /// Ends the session without uploading anything and without a warning. Changes since the last upload stay local.
    pub fn discard(self) {
        self.inner.course.discard();
    }

    /// Returns the status of every registration, in the order of registration.
    pub fn status(&self) -> Vec<Status> {
        let is_open = !self.inner.course.is_closed();
        self.inner.registrations().iter().map(|registration| Status::of(registration, is_open)).collect()
    }

    /// Calls `start`, which starts a process that writes to the outputs. The outputs stay marked as unsaved until that
    /// process and its children have ended, even if the calling process is killed first. So an upload by another
    /// session does not remove the mark while they may still write.
    ///
    /// Processes that close the descriptors that they inherit are known only by [`writer_variable`](Self::writer_variable)
    /// in their environment, or by [`record_writers`](Self::record_writers), both on Linux. The same applies to any
    /// other process that the calling process starts during the call.
    ///
    /// ```no_run
    /// # fn f(session: &pos3::Session) -> std::io::Result<()> {
    /// let (name, value) = session.writer_variable();
    /// let mut command = std::process::Command::new("train");
    /// let child = session.start_writer(|| command.env(name, value).spawn())?;
    /// session.record_writers(&[child.id()]);
    /// # Ok(()) }
    /// ```
    pub fn start_writer<T>(&self, start: impl FnOnce() -> T) -> T {
        let uploads = self.inner.uploads();
        let set_inherited =
            |by_children| uploads.iter().for_each(|registration| unsaved::inherited(registration, by_children));
        set_inherited(true);
        let started = start();
        set_inherited(false);
        started
    }

    /// Returns the environment variable by which a process that writes to the outputs is known, and its value: `POS3_SESSION`
    /// with the ID of this session, after the IDs in the variable of this process. The children of a process inherit it.
    pub fn writer_variable(&self) -> (&'static str, OsString) {
        unsaved::variable(&self.inner)
    }

    /// Records processes that write to the outputs in their marks. As long as one of them, or a process of the process
    /// group that it leads, runs on this system, no other session removes the marks.
    pub fn record_writers(&self, processes: &[u32]) {
        self.inner.uploads().iter().for_each(|registration| unsaved::record(&self.inner, registration, processes));
    }

    /// Returns an error if an upload with these options would upload a directory to a location at which there is an object,
    /// which would hide the directory. Otherwise, this error is found after the last upload.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::HiddenByObject`], and errors about the location and the local path.
    pub async fn check_upload(&self, remote: &str, options: &UploadOptions) -> Result<(), SessionError> {
        self.check_open()?;
        let location = self.inner.locate(remote, options.profile.as_deref())?;
        if let Location::Local(_) = location {
            return Ok(());
        }
        if options.local.is_none() {
            claim::check(&self.inner, &location)?;
        }
        let local = self.inner.local_path(&location, options.local.as_deref())?;
        match options.shape {
            Shape::File => Ok(()),
            Shape::Auto if local.is_file() => Ok(()),
            Shape::Auto | Shape::Directory => hiding::unless_hidden(&self.inner.registry, &location, &local).await,
        }
    }

    /// Detects a location that cannot be used, such as a bucket that does not exist, before any work starts.
    async fn look_at(&self, remote: &str, profile: Option<&str>) -> Result<(), SessionError> {
        match self.inner.locate(remote, profile)? {
            Location::Local(_) => Ok(()),
            location => place::look_at(&self.inner.registry, &location).await,
        }
    }

    /// Returns the registration that a call would create, or `None` for a local path, which is used in place.
    fn proposed(&self, remote: &str, kind: &Kind) -> Result<Option<Registration>, SessionError> {
        match self.inner.locate(remote, kind.profile())? {
            Location::Local(_) => Ok(None),
            location => registration(&self.inner, location, kind.clone()).map(Some),
        }
    }

    /// Enters the registration of a call. This resolves paths and reads profiles, so it may block.
    async fn enter(&self, location: Location, kind: Kind) -> Result<Arc<Registration>, SessionError> {
        let inner = self.inner.clone();
        run_blocking(move || inner.enter(registration(&inner, location, kind)?)).await
    }

    /// Starts the download of a registration, or returns the one that is running or has ended.
    fn downloading(&self, registration: &Arc<Registration>) -> Downloading {
        let mut downloading = registration.downloading.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || transfer::download(self.inner.clone(), registration.clone()).boxed().shared();
        downloading.get_or_insert_with(begin).clone()
    }

    fn check_open(&self) -> Result<(), SessionError> {
        if self.inner.course.is_closed() { Err(SessionError::Closed) } else { Ok(()) }
    }
}

/// Returns the registration of a call without entering it. Returns an error if it must not use its local copies.
fn registration(inner: &Inner, location: Location, kind: Kind) -> Result<Registration, SessionError> {
    if kind.local().is_none() {
        claim::check(inner, &location)?;
    }
    let local = kind.local().map(Path::to_owned);
    let new = inner.registration(location, local.as_deref(), kind)?;
    place::unless_excluded(&new)?;
    Ok(new)
}

fn check_output(options: &UploadOptions, location: &Location) -> Result<(), SessionError> {
    let is_one_file = options.shape == Shape::File && options.local.is_none();
    match options.interval {
        Some(interval) if interval.is_zero() => Err(SessionError::NoInterval { location: location.to_string() }),
        _ if is_one_file && names_prefix(location) => Err(SessionError::NotOneFile { location: location.to_string() }),
        _ => Ok(()),
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("registrations", &*self.inner.registrations()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod api_tests;
#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod delete_tests;
#[cfg(test)]
mod end_tests;
#[cfg(test)]
mod observer_tests;
#[cfg(test)]
mod registration_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tests;
