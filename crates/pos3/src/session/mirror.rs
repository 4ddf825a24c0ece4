//! Named paths, declared at once: [`Mirror`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::join_all;

use super::ending::Ending;
use super::error::SessionError;
use super::options::{DownloadOptions, SyncBothOptions, UploadOptions};
use super::registration::{Kind, Registration};
use super::{Session, SessionBuilder};

/// Declares the inputs and outputs of a program by name, checks them all at once, and brings the inputs.
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
/// std::fs::write(mirror.path("checkpoints")?.join("epoch-1"), "weights")?;
/// mirror.close().await.into_result()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Mirror {
    session: Session,
    paths: BTreeMap<String, PathBuf>,
}

/// Collects the declarations of a [`Mirror`].
pub struct MirrorBuilder {
    session: SessionBuilder,
    specs: Vec<Spec>,
}

struct Spec {
    name: String,
    remote: String,
    kind: Kind,
}

impl Mirror {
    /// Returns a builder that will open this session.
    pub fn builder(session: SessionBuilder) -> MirrorBuilder {
        MirrorBuilder { session, specs: Vec::new() }
    }

    /// Returns the local path of a name.
    ///
    /// # Errors
    ///
    /// A name that was not declared.
    pub fn path(&self, name: &str) -> Result<&Path, SessionError> {
        self.paths.get(name).map(PathBuf::as_path).ok_or_else(|| SessionError::NoSuchName(name.to_owned()))
    }

    /// Returns the session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Uploads everything and ends; see [`Session::close`].
    pub async fn close(self) -> Ending {
        self.session.close().await
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

    /// Declares what is both.
    #[must_use]
    pub fn sync(self, name: impl Into<String>, remote: impl Into<String>, options: SyncBothOptions) -> Self {
        self.with(name.into(), remote.into(), Kind::Sync(options))
    }

    fn with(mut self, name: String, remote: String, kind: Kind) -> Self {
        self.specs.push(Spec { name, remote, kind });
        self
    }

    /// Opens the session, brings all inputs side by side, and makes the directories of the outputs.
    ///
    /// # Errors
    ///
    /// All conflicts between the declarations, before anything is touched; then every input that could not be brought.
    pub async fn enter(self) -> Result<Mirror, SessionError> {
        let session = self.session.open()?;
        check(&session, &self.specs)?;
        let session = Arc::new(session);
        let entering = self.specs.into_iter().map(|Spec { name, remote, kind }| {
            let session = session.clone();
            async move {
                let path = match kind {
                    Kind::Download(options) => session.download(&remote, options).await,
                    Kind::Upload(options) => session.upload(&remote, options).await,
                    Kind::Sync(options) => session.sync(&remote, options).await,
                };
                path.map(|path| (name, path))
            }
        });
        let (mut paths, mut errors) = (BTreeMap::new(), Vec::new());
        for entered in join_all(entering).await {
            match entered {
                Ok((name, path)) => drop(paths.insert(name, path)),
                Err(error) => errors.push(error),
            }
        }
        let session = Arc::into_inner(session).ok_or(SessionError::Closed)?;
        if errors.is_empty() {
            return Ok(Mirror { session, paths });
        }
        // The work has not begun: what an earlier run has left is not uploaded by one that cannot start.
        session.inner.close_quietly();
        Err(SessionError::Several(errors))
    }
}

/// Finds every conflict between declarations.
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
