//! Local paths in, S3 underneath: [`Session`].

mod background;
mod builder;
mod contention;
mod counting;
mod deletes;
mod ending;
mod error;
mod inner;
mod known;
mod layout;
mod left_out;
mod memory;
mod mirror;
mod noted;
mod options;
mod place;
mod plan;
mod policy;
mod registration;
mod scope;
mod signals;
mod status;
mod transfer;
mod unknown;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use futures::future::join_all;
use futures::{FutureExt, TryStreamExt};
use pos3_core::Event;

use crate::location::Location;
use crate::ls::{Depth, ls};

pub use builder::SessionBuilder;
pub use ending::{Ended, Ending};
pub use error::{ConflictingPair, SessionError};
pub use left_out::{LeftOut, Link};
pub use mirror::{Mirror, MirrorBuilder};
pub use options::{DownloadOptions, RemoteDelete, RemoteOverwrite, Shape, SyncBothOptions, UploadOptions};
pub use plan::TransferPlan;
pub use scope::ScopeError;
#[cfg(feature = "blocking")]
pub(crate) use scope::Work;
#[cfg(feature = "blocking")]
pub(crate) use signals::Arrivals;
pub use status::Status;

use deletes::Occasion;
use ending::End;
use inner::{Inner, absolute};
use registration::{Downloading, Kind, Registration};
use signals::Signals;

/// Brings inputs to local disk, lets a program work there at disk speed, and keeps its outputs in S3: in the background
/// while it works, completely when it ends, and also when it fails or the machine is about to disappear.
///
/// # A program
///
/// ```
/// use std::time::Duration;
/// use pos3::{DownloadOptions, Session, UploadOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = tempfile::tempdir()?;
/// let registry = pos3::Registry::default();
/// # let seed = Session::builder().registry(registry.clone()).cache_root(cache.path().join("seed")).open()?;
/// # let data = seed.upload("memory://bucket/data", UploadOptions::default()).await?;
/// # std::fs::write(data.join("train.bin"), "numbers")?;
/// # seed.close().await.into_result()?;
/// let session = Session::builder().registry(registry).cache_root(cache.path()).open()?;
/// let trained = session
///     .scope(async |session| {
///         let data = session.download("memory://bucket/data", DownloadOptions::default()).await?;
///         let outputs = UploadOptions::default().with_interval(Duration::from_secs(60)).with_sync_on_error(true);
///         let checkpoints = session.upload("memory://bucket/run-7", outputs).await?;
///
///         let numbers = std::fs::read(data.join("train.bin"))?;
///         std::fs::write(checkpoints.join("epoch-1"), &numbers)?;
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(numbers.len())
///     })
///     .await?;
/// assert_eq!(trained, 7);
/// # Ok(()) }
/// ```
///
/// `memory://` ends with the process and is good for trying things out. For S3, the registry has to know where and with
/// which credentials; here the environment says so, as it does for other programs (`AWS_…`; with the feature `aws` also
/// `~/.aws`, single sign-on, roles and the rest), and the file of profiles for `s3://PROFILE@bucket`:
///
/// ```
/// # #[cfg(feature = "s3")] {
/// use pos3::{Registry, Session};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = Session::builder().registry(Registry::from_env()?).on_signals().open()?;
/// # Ok(()) }
/// # main().unwrap() }
/// ```
///
/// `examples/train.rs` is a whole training that survives the loss of its machine. Inputs and outputs with names are a
/// [`Mirror`]; a program without an async runtime takes `pos3::blocking::Session`; one that is not written in Rust is
/// started by `pos3-cli run`.
///
/// # Paths
///
/// `s3://bucket/x/` is everything below `x/`; `s3://bucket/x` is the object `x` if there is one, else everything below
/// `x/`. One object works wherever a prefix does. A path on this machine instead of a URL is passed through: nothing is
/// copied, a download must exist, an upload's directory is made. A path that is a file stays one. Local copies lie at
/// `<cache root>/<profile or _>/<bucket>/<key>` unless `local` says otherwise.
///
/// An output is a directory, which exists when the call returns, unless a file is there already. For an output of one file
/// that does not exist yet, such as `s3://bucket/run/model.ckpt`, set its [shape](UploadOptions::shape) to [`Shape::File`]:
/// then the program makes the file itself.
///
/// ```
/// use pos3::{DownloadOptions, Session, UploadOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let disk = tempfile::tempdir()?;
/// # let disk = std::fs::canonicalize(disk.path())?;
/// let session = Session::builder().cache_root(&disk).open()?;
/// let out = session.upload("memory://bucket/runs/7/", UploadOptions::default()).await?;
/// assert_eq!(out, disk.join("_/bucket/runs/7"));
/// # let here = disk.clone();
/// let passed = session.download(here.to_str().unwrap(), DownloadOptions::default()).await?;
/// assert_eq!(passed, here);
/// # session.close().await.into_result()?;
/// # Ok(()) }
/// ```
///
/// # What is registered
///
/// The same call twice is one registration and one transfer: callers share it, and its error. The same place with other
/// options, and places that overlap where one of them is written to, are errors that name both. So are local paths that
/// overlap, unless both are downloads that delete nothing and one is a part of the other. A download that failed may be asked for again.
///
/// # While the program works
///
/// Each upload runs again one `interval` after it last ended, never twice at once, and not before the first interval. A
/// file that is being written is left for the next time: no half-written file becomes an object. An upload that failed is
/// tried again after 5 seconds, then 10, 20 and so on up to the interval; its error is in [`status`](Self::status).
/// [`flush`](Self::flush) and [`close`](Self::close) try once more, and return what still fails.
///
/// # The end
///
/// * [`close`](Self::close), or a [`scope`](Self::scope) whose body is `Ok`: everything is uploaded, each registration on
///   its own, and all errors are returned. It takes the time it needs. The first signal that comes meanwhile (with
///   [`SessionBuilder::on_signals`]), or [`hurry`](Self::hurry), sets it the deadline and calls its deletes off.
/// * A body that fails or panics, and SIGINT, SIGTERM, SIGHUP and SIGQUIT with [`SessionBuilder::on_signals`]: only registrations with
///   `sync_on_error` are uploaded, those of the greatest `priority` first, and nothing is deleted remotely.
/// * After the deadline nothing new is begun: what is in flight has ten seconds more, and the rest is named in the result.
///   A second signal, or [`abandon`](Self::abandon), ends everything within about a second. Nothing is torn by that.
/// * A session that is dropped without an end uploads nothing and deletes nothing. For each upload it tells the
///   [observer](SessionBuilder::observer) so with a warning, and logs an error with `tracing`.
///   [`discard`](Self::discard) drops it silently.
///
/// ```
/// use pos3::{ScopeError, Session, UploadOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cache = tempfile::tempdir()?;
/// let session = Session::builder().cache_root(cache.path()).on_signals().open()?;
/// let ended = session
///     .scope(async |session| {
///         let kept = UploadOptions::default().with_sync_on_error(true);
///         let out = session.upload("memory://bucket/run", kept).await.map_err(|error| error.to_string())?;
///         std::fs::write(out.join("log"), "so far").map_err(|error| error.to_string())?;
///         Err::<(), _>("out of memory".to_owned())
///     })
///     .await;
/// match ended {
///     Ok(()) => println!("done"),
///     Err(ScopeError::Body { error, ending }) => {
///         assert_eq!(error, "out of memory");
///         assert!(ending.is_complete(), "the log is in the bucket");
///     }
///     Err(ScopeError::Interrupted { signal, ending }) => {
///         for upload in &ending.uploads {
///             println!("{signal}: {} of {} did not make it", upload.missing.len(), upload.location);
///         }
///     }
///     Err(error) => println!("{error}"),
/// }
/// # Ok(()) }
/// ```
///
/// # Deletes
///
/// An upload deletes nothing remotely, unless [`RemoteDelete`] asks for it. With [`RemoteDelete::Seen`] it deletes only what
/// this session found in its local directory, when it was registered or at an upload, and is gone now, that this machine
/// stored or fetched, and that nobody else changed. Only a clean end deletes what is absent at one look at the directory. In
/// the background two consecutive uploads must find it absent: a program that removes a file and writes it anew never loses
/// the object, even if it is killed in between. So a fresh directory
/// deletes nothing, whatever earlier runs had there, and what others stored meanwhile stays. A directory that was emptied
/// deletes nothing either, unless its [guards](UploadOptions::guards) allow it: that is no error, but a warning, and counted
/// in [`Ended::withheld`].
///
/// # Whose data wins
///
/// An object that another writer replaced is not overwritten by a file that nobody changed since it was uploaded or
/// downloaded. A [`sync`](Self::sync) does not upload such a file again either where the object was removed.
/// [`Ended::left_to_others`] names both. A file that the program changed is its output, and is uploaded.
///
/// A [`sync`](Self::sync) downloads first. A file that changed since both sides were equal stays and is uploaded later. If
/// the object changed, too, neither side is touched and the call fails with the pair in [`SessionError::Transfer`]. If there
/// is no manifest row of the key, because the state was lost, two sides that differ are such a conflict, too. A file whose
/// fingerprint changed and whose content did not has not changed: the content is read where that matters.
///
/// # Many processes
///
/// Processes of one machine that ask for the same place and the same local path at once make one transfer: one does it,
/// the others wait and find it done. When that one dies, the next goes on. What they share is the
/// [`state`](SessionBuilder::state) directory, which also remembers between runs what was equal, so that nothing unchanged
/// is read or sent again, and what was left unfinished, so that a large file is gone on with. It may be deleted at any
/// moment; that costs time and no data. Nothing is kept there of `memory://`.
///
/// # What is left alone
///
/// `exclude` patterns are compared with paths from the right, name by name, as Python's `PurePath.match` does: `logs` is
/// every `logs` at any depth with everything below it, `*.tmp` every such file, `raw/*` what is directly in any `raw`,
/// `raw/**/old` every `old` below any `raw`. What matches is neither copied nor deleted, on both sides; one object is
/// left alone by its name. [`exclude_matching`](crate::FilterBuilder::exclude_matching) has all the rules.
///
/// Symbolic links in an output are left out, unless its [`symlinks`](UploadOptions::symlinks) are followed. An end names
/// what it left out in [`Ended::left_out`], and is not [complete](Ended::is_complete) then. A link that leads out of the
/// output is also a warning, because its content is not uploaded. The local path of an output is never followed when it
/// becomes a link: that is an error.
///
/// # Warnings
///
/// What a person may want to know although nothing failed is told once: to the [observer](SessionBuilder::observer) as
/// [`Event::Warning`](crate::Event::Warning), to the log as a warning of `tracing`, and in the
/// [report](Status::last_report) of the transfer. What a server lacks, such as checksums, is told to the listener of its
/// store: for S3 that is `S3Provider::with_warnings`, given with the [registry](SessionBuilder::registry).
///
/// # Options and their defaults
///
/// | session | default |
/// | --- | --- |
/// | `registry` | paths and `memory`; `s3` has to be added |
/// | `cache_root` | `~/.cache/positronic/s3/`, made when it is first needed |
/// | `state` | `$POS3_STATE_DIR`, else `$XDG_STATE_HOME/pos3`, else `~/.local/state/pos3`; `None`: nowhere |
/// | `observer` | nobody |
/// | `concurrency` | 64 requests over all registrations |
/// | `default_profile` | none |
/// | `upload_limit`, `download_limit` | none; bytes per second over all registrations |
/// | `deadline` | 90 seconds, for an end by an error or a signal, then 10 for what is in flight |
/// | `on_signals` | signals are left alone |
///
/// | registration | default |
/// | --- | --- |
/// | `local` | below the cache root |
/// | `delete` (upload, sync) | [`RemoteDelete::Never`] |
/// | `overwrite` (upload, sync) | [`RemoteOverwrite::UnlessTheirs`] |
/// | `delete` (download), `delete_local` (sync) | `false` |
/// | `guards` | an empty side deletes nothing; at most half of 20 or more files |
/// | `shape` (upload, sync) | a directory, unless a file or an object is there |
/// | `symlinks` (upload, sync) | links are left out and reported |
/// | `interval` | 300 seconds; `None`: at the end only |
/// | `sync_on_error` | `false` |
/// | `priority` | 0; the greatest goes first |
/// | `exclude` | nothing |
/// | `profile` | the URL's, else the call's, else the session's |
/// | `allow_missing` (download) | `false`: a place with nothing in it is an error |
pub struct Session {
    inner: Arc<Inner>,
    signals: Signals,
}

impl Session {
    /// Returns a builder with every default.
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    fn of(inner: Arc<Inner>, signals: Signals) -> Self {
        Self { inner, signals }
    }

    /// Downloads a place, once, and returns its local path.
    ///
    /// # Errors
    ///
    /// A place with nothing in it (unless that is allowed), conflicts with what is registered, and whatever was not
    /// copied. The registration is then gone, so it can be tried again.
    pub async fn download(&self, remote: &str, options: DownloadOptions) -> Result<PathBuf, SessionError> {
        self.check_open()?;
        let location = self.inner.locate(remote, options.profile.as_deref())?;
        if let Location::Local(path) = &location {
            let path = absolute(path)?;
            return if path.exists() { Ok(path) } else { Err(SessionError::NoLocalPath(path)) };
        }
        let local = options.local.clone();
        let new = self.inner.registration(location.clone(), local.as_deref(), Kind::Download(options))?;
        let registration = self.inner.enter(new)?;
        let path = self.downloading(&registration).await.inspect_err(|_| self.inner.forget(&registration))?;
        if place::names_prefix(&location) && path.is_file() {
            // `x` is here already, and was an object: there is no room for what is below `x/`.
            return Err(registration.in_the_way_of(&location, &path));
        }
        Ok(path)
    }

    /// Registers a place to be uploaded, makes its local directory, and returns the local path.
    ///
    /// A local file uploads that one file, to the key itself, or into a prefix that ends in `/`. A file that is not there yet
    /// needs [`Shape::File`]. Nothing is sent before the first interval is over.
    ///
    /// # Errors
    ///
    /// Conflicts with what is registered, and a directory that cannot be made.
    pub async fn upload(&self, remote: &str, options: UploadOptions) -> Result<PathBuf, SessionError> {
        self.check_open()?;
        let location = self.inner.locate(remote, options.profile.as_deref())?;
        if let Location::Local(path) = &location {
            return place::prepare(absolute(path)?, options.shape);
        }
        check_output(&options, &location)?;
        let new = self.inner.registration(location, options.local.clone().as_deref(), Kind::Upload(options))?;
        let registration = self.inner.enter(new)?;
        self.begin(&registration).await
    }

    /// Downloads a place and uploads it from then on: one registration. A place with nothing in it is a new one.
    ///
    /// # Errors
    ///
    /// Those of both.
    pub async fn sync(&self, remote: &str, options: SyncBothOptions) -> Result<PathBuf, SessionError> {
        self.check_open()?;
        let location = self.inner.locate(remote, options.upload.profile.as_deref())?;
        if let Location::Local(path) = &location {
            return place::prepare(absolute(path)?, options.upload.shape);
        }
        check_output(&options.upload, &location)?;
        let local = options.upload.local.clone();
        let new = self.inner.registration(location, local.as_deref(), Kind::Sync(options))?;
        let registration = self.inner.enter(new)?;
        if let Err(error) = self.downloading(&registration).await {
            self.inner.forget(&registration);
            return Err(error);
        }
        self.begin(&registration).await
    }

    /// Lists a place: URLs with their profile, or absolute paths; directories end in `/`. Recursively each directory comes
    /// before what is in it. One object or file shows itself.
    ///
    /// # Errors
    ///
    /// A place that cannot be listed; a local path that does not exist.
    pub async fn ls(&self, prefix: &str, depth: Depth) -> Result<Vec<String>, SessionError> {
        self.check_open()?;
        let location = match self.inner.locate(prefix, None)? {
            Location::Local(path) => Location::Local(absolute(&path)?),
            remote => remote,
        };
        let found = ls(&self.inner.registry, &location, depth).await?;
        let failed = |source| crate::error::Error::Store { location: location.to_string(), source };
        let entries: Vec<_> = found.entries.try_collect().await.map_err(failed)?;
        self.inner.warn(&found.doubts.warnings(format_args!("'{location}'")));
        let relative = entries.iter().filter_map(|entry| found.tree.relative(&entry.key));
        // What is left of the directory's own marker is nothing.
        Ok(relative.filter(|key| !key.as_str().is_empty()).map(|key| found.directory.child(&key)).collect())
    }

    /// Plans what [`download`](Self::download) would do, and touches nothing.
    ///
    /// # Errors
    ///
    /// What keeps a plan from being made, a place with nothing in it too unless that is allowed; a path, of which nothing
    /// would be copied.
    pub async fn plan_download(&self, remote: &str, options: DownloadOptions) -> Result<TransferPlan, SessionError> {
        self.plan(remote, &Kind::Download(options)).await
    }

    /// Plans what the next upload would do, and touches nothing.
    ///
    /// # Errors
    ///
    /// What keeps a plan from being made; a local path that does not exist; a path instead of a URL.
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

    /// Returns where a place is kept, or would be, with every symbolic link resolved; this touches nothing.
    ///
    /// # Errors
    ///
    /// A location that is none.
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

    /// Uploads everything now, and deletes nothing.
    ///
    /// # Errors
    ///
    /// Every upload that did not do all it was to do.
    pub async fn flush(&self) -> Result<(), SessionError> {
        self.check_open()?;
        let uploads = self.inner.uploads();
        let flushed = join_all(uploads.iter().map(async |registration| {
            let outcome = transfer::upload(&self.inner, registration, Occasion::Flush).await;
            background::record(registration, &outcome);
            background::schedule(registration);
            outcome.err()
        }));
        let errors: Vec<_> = flushed.await.into_iter().flatten().collect();
        self.inner.wake.notify_one();
        if errors.is_empty() { Ok(()) } else { Err(SessionError::Several(errors)) }
    }

    /// Returns how every registration is doing, in the order in which they were made.
    pub fn status(&self) -> Vec<Status> {
        self.inner.registrations().iter().map(|registration| Status::of(registration)).collect()
    }

    /// Uploads everything and ends the session.
    ///
    /// The end goes on when this call is dropped, for example by a timeout. A second call joins it and returns the same.
    pub async fn close(&self) -> Ending {
        ending::end(&self.inner, End::Clean).await
    }

    /// Ends the session as after an error: only registrations with `sync_on_error` are uploaded, nothing is deleted, and
    /// there is a deadline. An end that is under way is joined, and [hurried](Self::hurry).
    pub async fn give_up(&self) -> Ending {
        ending::end(&self.inner, End::Error).await
    }

    /// Ends the session without uploading anything, and without a warning: what changed since the last upload stays local.
    pub fn discard(self) {
        self.inner.close_quietly();
    }

    /// Makes an end that is under way, or that comes, one in a hurry: nothing is deleted remotely from now on, and the end
    /// has the [deadline](SessionBuilder::deadline), also after work that was done. The first signal during the end of a
    /// [`scope`](Self::scope) does this.
    pub fn hurry(&self) {
        self.inner.hurry.cancel();
    }

    /// Stops everything that is in flight, and everything that is begun later, as soon as that leaves nothing half-done,
    /// which takes ten seconds at most. What was not done is named by the calls that wait for it; the session still has to
    /// be ended.
    pub fn abort(&self) {
        self.inner.abort.cancel();
    }

    /// Stops everything in flight within about a second. Nothing is torn by that, and large files are gone on with where
    /// that is remembered. What did not make it is named by the end, which still has to be called or waited for. The second
    /// signal during the end of a [`scope`](Self::scope) does this.
    pub fn abandon(&self) {
        self.inner.abandon();
    }

    /// Finds out that a place cannot be used before any work is done for it, such as a bucket that does not exist.
    async fn look_at(&self, remote: &str, profile: Option<&str>) -> Result<(), SessionError> {
        match self.inner.locate(remote, profile)? {
            Location::Local(_) => Ok(()),
            location => place::look_at(&self.inner.registry, &location).await,
        }
    }

    /// Returns the registration that a call would make; none for a path that is passed through.
    fn proposed(&self, remote: &str, kind: &Kind) -> Result<Option<Registration>, SessionError> {
        let (local, profile) = match kind {
            Kind::Download(download) => (&download.local, &download.profile),
            Kind::Upload(upload) => (&upload.local, &upload.profile),
            Kind::Sync(sync) => (&sync.upload.local, &sync.upload.profile),
        };
        match self.inner.locate(remote, profile.as_deref())? {
            Location::Local(_) => Ok(None),
            location => self.inner.registration(location, local.as_deref(), kind.clone()).map(Some),
        }
    }

    /// Starts the download of a registration, or joins the one that runs or has ended.
    fn downloading(&self, registration: &Arc<Registration>) -> Downloading {
        let mut downloading = registration.downloading.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || transfer::download(self.inner.clone(), registration.clone()).boxed().shared();
        downloading.get_or_insert_with(begin).clone()
    }

    /// Makes the directory of a registration, lets it be uploaded in the background, and returns the local path.
    async fn begin(&self, registration: &Arc<Registration>) -> Result<PathBuf, SessionError> {
        let ready = async {
            self.inner.warn_of_link(registration)?;
            let path = place::prepare(registration.local.clone(), registration.kind.shape())?;
            if let Some(found) = place::Found::at(&path) {
                registration.begun_as.get_or_init(|| found);
            }
            transfer::take_evidence(&self.inner, registration).await?;
            transfer::mark_output(&self.inner, registration).await?;
            Ok(path)
        };
        let path = ready.await.inspect_err(|_not_begun: &SessionError| self.inner.forget(registration))?;
        registration.begun.store(true, Ordering::Release);
        if registration.kind.upload().is_none_or(|upload| upload.interval.is_none()) {
            return Ok(path);
        }
        if registration.history().due.is_none() {
            background::schedule(registration);
        }
        let mut background = self.inner.background.lock().unwrap_or_else(PoisonError::into_inner);
        if background.is_none() && !self.inner.closed.load(Ordering::Acquire) {
            *background = Some(tokio::spawn(background::run(self.inner.clone())));
        }
        self.inner.wake.notify_one();
        Ok(path)
    }

    fn check_open(&self) -> Result<(), SessionError> {
        if self.inner.closed.load(Ordering::Acquire) { Err(SessionError::Closed) } else { Ok(()) }
    }
}

fn check_output(options: &UploadOptions, location: &Location) -> Result<(), SessionError> {
    let is_one_file = options.shape == Shape::File && options.local.is_none();
    match options.interval {
        Some(interval) if interval.is_zero() => Err(SessionError::NoInterval { location: location.to_string() }),
        _ if is_one_file && place::names_prefix(location) => {
            Err(SessionError::NotOneFile { location: location.to_string() })
        }
        _ => Ok(()),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let was_closed = self.inner.closed.swap(true, Ordering::AcqRel);
        let has_ended = self.inner.is_over.load(Ordering::Acquire);
        let is_ending = self.inner.ending.lock().unwrap_or_else(PoisonError::into_inner).is_some() && !has_ended;
        if was_closed && !is_ending {
            return;
        }
        self.inner.stop.cancel();
        self.inner.abort.cancel();
        for upload in self.inner.uploads() {
            let (location, local) = (upload.location.to_string(), upload.local.display());
            let warning = format!(
                "'{location}': the session was dropped before its end, so changes in '{local}' since its last upload \
                 may not be uploaded"
            );
            tracing::error!("{warning}");
            self.inner.tell(&Event::Warning(&warning));
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("registrations", &*self.inner.registrations()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod delete_tests;
#[cfg(test)]
mod end_tests;
#[cfg(test)]
mod registration_tests;
#[cfg(test)]
mod tests;
