//! Sessions, which maintain local copies of remote locations: [`Session`].

mod background;
mod beginning;
mod builder;
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
mod unsaved;
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
use crate::resolve::{PathKind, names_prefix};

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

/// Downloads inputs to the local disk and uploads outputs to S3: in the background while the program runs, and
/// completely when it ends. Outputs are also uploaded if the program fails or the machine is about to disappear.
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
/// `memory://` is lost when the process ends, and is useful for experiments. For S3, a session needs the server and the
/// credentials. `Session::from_env` and `SessionBuilder::from_env` read them from the environment (`AWS_…`; with the
/// feature `aws` also from `~/.aws`, single sign-on, roles and so on). They read the profiles for `s3://PROFILE@bucket`
/// from the profiles file:
///
/// ```
/// # #[cfg(feature = "s3")] {
/// use pos3::SessionBuilder;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = SessionBuilder::from_env()?.on_signals().open()?;
/// # Ok(()) }
/// # main().unwrap() }
/// ```
///
/// `examples/train.rs` is a complete training program that survives the loss of its machine. To declare named inputs
/// and outputs, use a [`Mirror`]. In a program without an async runtime, use `pos3::blocking::Session`. For a program
/// in another language, use `pos3-cli run`.
///
/// # Tasks
///
/// A clone is a handle of the same session, for tasks and threads. The session is dropped with its last clone.
///
/// ```
/// use pos3::{Session, UploadOptions};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cache = tempfile::tempdir()?;
/// let session = Session::builder().cache_root(cache.path()).open()?;
/// session
///     .scope(async |session| {
///         let handle = session.clone();
///         let task = tokio::spawn(async move {
///             handle.upload("memory://bucket/log", UploadOptions::default()).await.map_err(|error| error.to_string())
///         });
///         let log = task.await.map_err(|error| error.to_string())??;
///         std::fs::write(log.join("a"), "done").map_err(|error| error.to_string())
///     })
///     .await?;
/// # Ok(()) }
/// ```
///
/// # Paths
///
/// `s3://bucket/x/` is everything below `x/`. `s3://bucket/x` is the object `x` if it exists, otherwise everything
/// below `x/`. A single object can be used wherever a prefix can. If a local path is given instead of a URL, pos3 uses
/// it in place and copies nothing. A download of a local path that does not exist is an error. For an upload, pos3
/// creates the directory, unless the path is a file. Local copies are at `<cache root>/<profile or _>/<bucket>/<key>`,
/// unless `local` is set.
///
/// An output is a directory, which exists when the call returns, unless its path is already a file. For a new output of
/// one file, such as `s3://bucket/run/model.ckpt`, set its [shape](UploadOptions::shape) to [`Shape::File`]. Then the
/// program creates the file itself.
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
/// # Registrations
///
/// Two identical calls share one registration, one transfer and its error. It is an error, which names both, to
/// register the same location with other options, or two overlapping locations if one of them is written to. Local
/// paths must not overlap either, unless both registrations are downloads without deletes and one is a part of the
/// other, both remotely and locally. A failed download can be requested again.
///
/// # Background uploads
///
/// Each upload runs one `interval` after its last run ended, so it never runs twice at once. The first one starts after
/// one interval. pos3 skips a file that is being written and picks it up in the next upload. It retries a failed upload
/// after 5 seconds, then 10, 20 and so on, up to the interval. Its error is in [`status`](Self::status).
/// [`flush`](Self::flush) and [`close`](Self::close) upload once more and return the errors that remain.
///
/// # How a session ends
///
/// * After [`close`](Self::close), or if the body of a [`scope`](Self::scope) returns `Ok`, the session uploads
///   everything, each registration independently, and returns all errors. There is no time limit. A first signal
///   meanwhile (with [`SessionBuilder::on_signals`]), or [`hurry`](Self::hurry), sets the deadline and withholds the
///   remaining deletes.
/// * If the body fails or panics, or if SIGINT, SIGTERM, SIGHUP or SIGQUIT arrives (with
///   [`SessionBuilder::on_signals`]), the session uploads only registrations with `sync_on_error`, highest `priority`
///   first. It deletes nothing remotely.
/// * After the deadline, no new transfer starts. Files in flight have ten more seconds, and the result names the
///   missing ones. A second signal, or [`abandon`](Self::abandon), ends everything within about a second. No file or
///   object is left incomplete.
/// * If a session is dropped without an end, it uploads and deletes nothing. For each upload, it sends a warning to the
///   [observer](SessionBuilder::observer) and logs an error with `tracing`. [`discard`](Self::discard) drops the
///   session without a message.
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
///             println!("{signal}: {} files of {} were not uploaded", upload.missing.len(), upload.location);
///         }
///     }
///     Err(error) => println!("{error}"),
/// }
/// # Ok(()) }
/// ```
///
/// # Deletes
///
/// By default, an upload deletes nothing remotely; see [`RemoteDelete`]. [`RemoteDelete::Seen`] deletes an object under
/// three conditions: the session saw its file locally and the file is gone, this machine uploaded or downloaded it, and
/// no other writer has changed it since then. Only a clean end deletes. So an output that the program removes and writes
/// again never loses its object, even if the program is killed in between. A new directory deletes nothing, whatever
/// earlier runs uploaded, and objects of other writers stay. A directory that was emptied deletes nothing either,
/// unless its [guards](UploadOptions::guards) allow it. This is not an error, but pos3 warns and counts the withheld
/// deletes in [`Ended::withheld`].
///
/// # Whose data wins
///
/// A file that has not changed since its last transfer never overwrites an object that another writer has replaced. If
/// such an object was removed, a [`sync`](Self::sync) does not upload the file again. [`Ended::left_to_others`] names
/// both kinds. If the program changed the file, it is output and is uploaded.
///
/// A [`sync`](Self::sync) downloads first. A file that has changed since both sides were equal stays, and is uploaded
/// later. If the object has changed, too, neither side is changed, and the call fails with the pair in
/// [`SessionError::Transfer`]. The same applies to a file and an object that differ without a manifest row, because the
/// sync state was lost. If only the fingerprint of a file has changed, and not its content, the file is treated as
/// unchanged; pos3 reads the content if necessary.
///
/// # Many processes
///
/// If several processes of one machine request the same location and the same local path at once, only one of them
/// transfers it, and the others wait. If that process dies, the next one continues. The processes share the
/// [`state`](SessionBuilder::state) directory. It records which files were equal, so that unchanged files are neither
/// read nor transferred again, and which transfers are unfinished, so that large files are resumed. If you delete
/// it, later transfers compare more files. It also marks unsaved output outside the cache root; after the loss of a mark,
/// a download may overwrite that output. There is no sync state for `memory://`.
///
/// # Excluded and skipped files
///
/// `exclude` patterns are compared with the end of a path, name by name, like Python's `PurePath.match`. `logs` matches
/// every `logs`, at any depth, with everything below it. `*.tmp` matches every such file, `raw/*` every entry of a
/// directory `raw`, and `raw/**/old` every `old` below a directory `raw`. Excluded entries are neither copied nor
/// deleted, on either side. A single object is excluded by its name. See
/// [`exclude_matching`](crate::FilterBuilder::exclude_matching) for all rules.
///
/// pos3 skips symbolic links in an output, unless [`symlinks`](UploadOptions::symlinks) is set to follow them.
/// [`Ended::left_out`] names the skipped entries, and the end is then not [complete](Ended::is_complete). pos3 also
/// warns if a link leads out of the output, because its content is not uploaded. If the local path of an output becomes
/// a link, pos3 does not follow it and returns an error.
///
/// # Warnings
///
/// pos3 reports each warning once: to the [observer](SessionBuilder::observer) as
/// [`Event::Warning`](crate::Event::Warning), to the log as a warning of `tracing`, and in the
/// [report](Status::last_report) of the transfer. Warnings about the features of a server, such as missing checksums,
/// go to the listener of its store. For S3, that is `S3Provider::with_warnings`, set in the
/// [registry](SessionBuilder::registry).
///
/// # Options and their defaults
///
/// | session | default |
/// | --- | --- |
/// | `registry` | paths and `memory`; `s3` must be added |
/// | `cache_root` | `~/.cache/positronic/s3/`, created when it is first needed |
/// | `state` | `$POS3_STATE_DIR`, else `$XDG_STATE_HOME/pos3`, else `~/.local/state/pos3`; `None`: in memory |
/// | `observer` | none |
/// | `concurrency` | 64 requests for all registrations together |
/// | `default_profile` | none |
/// | `upload_limit`, `download_limit` | none; bytes per second for all registrations together |
/// | `deadline` | 90 seconds for an end by an error or a signal, then 10 more for files in flight |
/// | `on_signals` | not set: the session does not handle signals |
///
/// | registration | default |
/// | --- | --- |
/// | `local` | below the cache root |
/// | `delete` (upload, sync) | [`RemoteDelete::Never`] |
/// | `overwrite` (upload, sync) | [`RemoteOverwrite::UnlessTheirs`] |
/// | `delete` (download), `delete_local` (sync) | `false` |
/// | `guards` | an empty source deletes nothing; if the target has 20 files or more, at most half are deleted |
/// | `shape` (upload, sync) | that of the existing file or object, otherwise a directory |
/// | `symlinks` (upload, sync) | links are skipped and reported |
/// | `interval` | 300 seconds; `None`: only at the end |
/// | `sync_on_error` | `false` |
/// | `priority` | 0; the highest is uploaded first |
/// | `exclude` | none |
/// | `profile` | that of the URL, else of the call, else of the session |
/// | `allow_missing` (download) | `false`: a location without a key is an error |
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
    signals: Signals,
    _dropped: Arc<Dropped>,
}

/// Ends a session when its last clone is dropped.
struct Dropped(Arc<Inner>);

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
        let local = options.local.clone();
        let new = self.inner.registration(location.clone(), local.as_deref(), Kind::Download(options))?;
        let registration = self.inner.enter(new)?;
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
    /// Fails if the location conflicts with a registration, or if the directory cannot be created.
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

    /// Downloads a location and uploads it from then on, as one registration. A location without a key is treated as
    /// new.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`download`](Self::download) and [`upload`](Self::upload).
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

    /// Lists a location as URLs with their profile, or as absolute paths. Directories end in `/`. With
    /// [`Depth::Recursive`], each directory precedes its contents. If the location is one object or file, the result is
    /// that item.
    ///
    /// # Errors
    ///
    /// Fails if the location cannot be listed, or if a local path does not exist.
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
        // The relative key of the directory's own marker is empty.
        Ok(relative.filter(|key| !key.as_str().is_empty()).map(|key| found.directory.child(&key)).collect())
    }

    /// Plans a [`download`](Self::download) without executing it.
    ///
    /// # Errors
    ///
    /// Fails if the plan cannot be made, if the location has no key (unless `allow_missing` is set), or for a local
    /// path, because nothing would be copied.
    pub async fn plan_download(&self, remote: &str, options: DownloadOptions) -> Result<TransferPlan, SessionError> {
        self.plan(remote, &Kind::Download(options)).await
    }

    /// Plans the next upload without executing it.
    ///
    /// # Errors
    ///
    /// Fails if the plan cannot be made, if the local path does not exist, or for a local path instead of a URL.
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
            let outcome = transfer::upload(&self.inner, registration, Occasion::Work).await;
            background::record(registration, &outcome);
            background::schedule(registration);
            outcome.err()
        }));
        let errors: Vec<_> = flushed.await.into_iter().flatten().collect();
        self.inner.wake.notify_one();
        if errors.is_empty() { Ok(()) } else { Err(SessionError::Several(errors)) }
    }

    /// Returns the status of every registration, in the order of registration.
    pub fn status(&self) -> Vec<Status> {
        self.inner.registrations().iter().map(|registration| Status::of(registration)).collect()
    }

    /// Uploads everything and ends the session.
    ///
    /// The end continues if this call is dropped, for example by a timeout. A second call waits for it and returns the
    /// same result.
    pub async fn close(&self) -> Ending {
        ending::end(&self.inner, End::Clean).await
    }

    /// Ends the session as after an error: uploads only registrations with `sync_on_error`, deletes nothing, and stops
    /// at the deadline. If an end is already running, this call waits for it and [hurries](Self::hurry) it.
    pub async fn give_up(&self) -> Ending {
        ending::end(&self.inner, End::Error).await
    }

    /// Ends the session without uploading anything and without a warning. Changes since the last upload stay local.
    pub fn discard(self) {
        self.inner.close_quietly();
    }

    /// Hurries an end that is running or begins later, even after work that succeeded: it deletes nothing more
    /// remotely, and it has the [deadline](SessionBuilder::deadline). The first signal during the end of a
    /// [`scope`](Self::scope) has the same effect.
    pub fn hurry(&self) {
        self.inner.hurry.cancel();
    }

    /// Reports that other processes may still write to the outputs. The end then deletes nothing remotely and counts
    /// the withheld deletes, because such a process may be about to write a file again. The outputs stay marked as not
    /// uploaded.
    pub fn still_written(&self) {
        self.inner.outlived.store(true, Ordering::Release);
        self.inner.keep.cancel();
    }

    /// Stops every transfer, now and later. Files in flight have ten more seconds to complete. The calls that wait for
    /// the transfers name the missing files. The session must still be ended.
    pub fn abort(&self) {
        self.inner.abort.cancel();
    }

    /// Stops every transfer within about a second. No file or object is left incomplete, and large files are resumed
    /// later if there is a sync state. The end names the missing files; it must still be called or waited for. The
    /// second signal during the end of a [`scope`](Self::scope) has the same effect.
    pub fn abandon(&self) {
        self.inner.abandon();
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

    /// Starts the download of a registration, or returns the one that is running or has ended.
    fn downloading(&self, registration: &Arc<Registration>) -> Downloading {
        let mut downloading = registration.downloading.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || transfer::download(self.inner.clone(), registration.clone()).boxed().shared();
        downloading.get_or_insert_with(begin).clone()
    }

    /// Creates the directory of a registration, starts its background uploads, and returns the local path.
    async fn begin(&self, registration: &Arc<Registration>) -> Result<PathBuf, SessionError> {
        let ready = async {
            self.inner.warn_of_link(registration)?;
            let path = place::prepare(registration.local.clone(), registration.kind.shape())?;
            if let Ok(kind) = PathKind::at(&path) {
                registration.begun_as.get_or_init(|| kind);
            }
            transfer::take_evidence(&self.inner, registration).await?;
            unsaved::mark(&self.inner, registration).await;
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
        _ if is_one_file && names_prefix(location) => Err(SessionError::NotOneFile { location: location.to_string() }),
        _ => Ok(()),
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let was_closed = self.0.closed.swap(true, Ordering::AcqRel);
        let has_ended = self.0.is_over.load(Ordering::Acquire);
        let is_ending = self.0.ending.lock().unwrap_or_else(PoisonError::into_inner).is_some() && !has_ended;
        if was_closed && !is_ending {
            return;
        }
        self.0.stop.cancel();
        self.0.abort.cancel();
        for upload in self.0.uploads() {
            let (location, local) = (upload.location.to_string(), upload.local.display());
            let warning = format!(
                "'{location}': the session was dropped before its end, so changes in '{local}' since its last upload \
                 may not be uploaded"
            );
            tracing::error!("{warning}");
            self.0.tell(&Event::Warning(&warning));
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
