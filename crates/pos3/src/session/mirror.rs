//! Named inputs and outputs that are declared together: [`Mirror`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::join_all;

use super::ending::Ending;
use super::error::SessionError;
use super::inner::Inner;
use super::options::{DownloadOptions, SyncBothOptions, UploadOptions};
use super::registration::{Kind, Registration};
use super::scope::ScopeError;
use super::{Session, SessionBuilder};

/// Declares the inputs and outputs of a program by name, checks them together, and downloads the inputs.
///
/// [`scope`](Self::scope) runs the work of the program and then ends the session, even if the work fails, panics or is
/// interrupted by a signal. Like a [`Session`], a mirror that is dropped without an end uploads nothing.
///
/// ```
/// use pos3::{DownloadOptions, Mirror, Session, UploadOptions};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let cache = tempfile::tempdir()?;
/// let mirror = Mirror::builder(Session::builder().cache_root(cache.path()))
///     .download("dataset", "memory://bucket/data", DownloadOptions::default().with_allow_missing(true))
///     .upload("checkpoints", "memory://bucket/run-7", UploadOptions::default())
///     .enter()
///     .await?;
/// mirror
///     .scope(async |mirror| {
///         std::fs::write(mirror.path("checkpoints")?.join("epoch-1"), "weights")?;
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
///     })
///     .await?;
/// # Ok(()) }
/// ```
///
/// In a program without an async runtime, use `pos3::blocking::Mirror`.
#[derive(Debug)]
pub struct Mirror {
    session: Session,
    paths: BTreeMap<String, PathBuf>,
}

/// Collects the declarations of a [`Mirror`].
#[derive(Debug)]
pub struct MirrorBuilder {
    session: SessionBuilder,
    specs: Vec<Spec>,
}

#[derive(Debug)]
struct Spec {
    name: String,
    remote: String,
    kind: Kind,
}

impl Mirror {
    /// Returns a builder that opens this session.
    pub fn builder(session: SessionBuilder) -> MirrorBuilder {
        MirrorBuilder { session, specs: Vec::new() }
    }

    /// Returns the local path of a name.
    ///
    /// # Errors
    ///
    /// Fails if the name was not declared.
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
    /// Returns the same errors as [`Session::scope`].
    ///
    /// # Panics
    ///
    /// Resumes a panic of the body after the session has ended as after an error.
    pub async fn scope<T, E>(self, body: impl AsyncFnOnce(&Mirror) -> Result<T, E>) -> Result<T, ScopeError<E>> {
        self.session.around(body(&self)).await
    }

    /// Uploads everything and ends the session; see [`Session::close`].
    pub async fn close(&self) -> Ending {
        self.session.close().await
    }

    /// Ends the session without uploading anything; see [`Session::discard`].
    pub fn discard(self) {
        self.session.discard();
    }

    #[cfg(feature = "blocking")]
    pub(crate) fn into_parts(self) -> (Session, BTreeMap<String, PathBuf>) {
        (self.session, self.paths)
    }
}

impl MirrorBuilder {
    /// Declares an input.
    #[must_use]
    pub fn download(self, name: impl Into<String>, remote: impl Into<String>, options: DownloadOptions) -> Self {
        self.with(name.into(), remote.into(), Kind::Download(options))
    }

    /// Declares an output.
    #[must_use]
    pub fn upload(self, name: impl Into<String>, remote: impl Into<String>, options: UploadOptions) -> Self {
        self.with(name.into(), remote.into(), Kind::Upload(options))
    }

    /// Declares an output that is first downloaded.
    #[must_use]
    pub fn sync(self, name: impl Into<String>, remote: impl Into<String>, options: SyncBothOptions) -> Self {
        self.with(name.into(), remote.into(), Kind::Sync(options))
    }

    fn with(mut self, name: String, remote: String, kind: Kind) -> Self {
        self.specs.push(Spec { name, remote, kind });
        self
    }

    /// Opens the session, downloads all inputs concurrently, and creates the directories of the outputs. It first lists
    /// the remote location of each output, so that a missing bucket is an error before any work is done.
    ///
    /// # Errors
    ///
    /// Returns all conflicts between the declarations, before it changes anything. Otherwise, returns an error for
    /// every failed download and for every output whose location cannot be listed.
    pub async fn enter(self) -> Result<Mirror, SessionError> {
        let session = self.session.open()?;
        let mut unbegun = Unbegun { inner: session.inner.clone(), is_ready: false };
        check(&session, &self.specs)?;
        let entering = self.specs.into_iter().map(|spec| enter_one(&session, spec));
        let (mut paths, mut errors) = (BTreeMap::new(), Vec::new());
        for entered in join_all(entering).await {
            match entered {
                Ok((name, path)) => drop(paths.insert(name, path)),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(SessionError::Several(errors));
        }
        unbegun.is_ready = true;
        Ok(Mirror { session, paths })
    }
}

async fn enter_one(session: &Session, Spec { name, remote, kind }: Spec) -> Result<(String, PathBuf), SessionError> {
    let path = match kind {
        Kind::Download(options) => session.download(&remote, options).await?,
        Kind::Upload(options) => {
            session.look_at(&remote, options.profile.as_deref()).await?;
            session.check_upload(&remote, &options).await?;
            session.upload(&remote, options).await?
        }
        Kind::Sync(options) => session.sync(&remote, options).await?,
    };
    Ok((name, path))
}

/// Closes a session whose work has not begun. Then nothing is uploaded that an earlier run left in the outputs.
struct Unbegun {
    inner: Arc<Inner>,
    is_ready: bool,
}

impl Drop for Unbegun {
    fn drop(&mut self) {
        if !self.is_ready {
            self.inner.course.discard();
        }
    }
}

/// Returns an error with every conflict between the declarations.
fn check(session: &Session, specs: &[Spec]) -> Result<(), SessionError> {
    let mut entered: Vec<Registration> = Vec::new();
    let mut conflicts = Vec::new();
    for Spec { name, remote, kind } in specs {
        if specs.iter().filter(|other| other.name == *name).count() > 1 {
            conflicts.push(SessionError::NameTaken(name.clone()));
            continue;
        }
        if let Some(new) = session.proposed(remote, kind)? {
            conflicts.extend(entered.iter().filter_map(|old| new.conflict(old)));
            entered.push(new);
        }
    }
    if conflicts.is_empty() { Ok(()) } else { Err(SessionError::Conflicts(conflicts)) }
}
