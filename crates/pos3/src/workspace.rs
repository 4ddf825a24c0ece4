//! A directory whose durable copy is a prefix of a bucket: [`Workspace`].

mod aside;
mod background;
mod builder;
mod conflict;
mod error;
mod inner;
mod lease;
mod one_file;
mod one_store;
mod progress;
mod pull;
mod push;
mod record;
mod report;
mod rules;
mod scope;
mod settings;
mod space;
mod status;
mod watch;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use builder::WorkspaceBuilder;
pub use error::WorkspaceError;
pub use progress::{Phase, WorkspaceProgress};
pub use report::{ConflictCopy, SetAside, WorkspaceReport};
pub use status::{PathStatus, WorkspaceStatus};

use background::{Background, Pulled};
use inner::Inner;
use report::Way;
use scope::Scope;

/// A directory that is restored from a location, changed at the speed of the disk, and stored again.
///
/// It is for programs whose disk vanishes, such as agents and serverless jobs. A [pull](Self::pull) makes the directory
/// like the location, the program works, and a [push](Self::push) stores the changes:
///
/// ```
/// use pos3::Workspace;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let disk = tempfile::tempdir()?;
/// let workspace = Workspace::builder("memory://bucket/users/7", disk.path().join("ws")).open()?;
/// workspace.pull().await?;
/// std::fs::write(workspace.path().join("report.md"), "draft")?;
/// let report = workspace.push().await?;
/// assert!(report.success && report.uploaded == 1);
/// # Ok(()) }
/// ```
///
/// `examples/agent.rs` is a complete agent that works while its workspace is pulled.
///
/// Several workspaces may use one location. No version of a file is lost:
///
/// * A push replaces and deletes only objects that are as this workspace knows them. If another writer has changed one, too,
///   both versions are stored: theirs under the path, ours in a [copy](ConflictCopy) whose name says so.
/// * A push deletes only objects of files that this workspace had, and nothing after a pull that was not complete. A file
///   whose pull has failed never replaces its object.
/// * A pull deletes only files that are known to be stored. It [moves aside](SetAside) what exists only here.
///
/// The directory has its records, such as the sync state, in `.pos3`. They are never synced. Clones share the
/// workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    inner: Arc<Inner>,
    background: Arc<Background>,
}

impl Workspace {
    /// Returns the directory, with links resolved.
    pub fn path(&self) -> &Path {
        &self.inner.directory
    }

    /// Makes the directory like the location: fetches the objects that are missing or were changed there, and removes
    /// the files whose objects are gone. Files that were changed or created here and never pushed are [moved
    /// aside](WorkspaceReport::set_aside), except for those that are written while the pull runs: these stay.
    /// Directories stay, unless the pull has removed their last file.
    ///
    /// A failure of single files is in the report, and a later push does not touch their objects.
    ///
    /// # Errors
    ///
    /// Returns an error if the location cannot be listed, if the objects do not fit on the disk, if a guard refuses the
    /// deletes, or if the pull ended early for another reason. Then nothing was deleted.
    pub async fn pull(&self) -> Result<WorkspaceReport, WorkspaceError> {
        self.pull_only([""; 0]).await
    }

    /// Pulls only these paths: files, or directories with everything in them. The rest of the directory stays as it is,
    /// and a push does not delete what was not pulled. Without a path, pulls everything.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`pull`](Self::pull).
    pub async fn pull_only(
        &self,
        paths: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<WorkspaceReport, WorkspaceError> {
        pull::pull(&self.inner, &Scope::of(paths.into_iter().map(Into::into)), || {}).await
    }

    /// Starts a [pull](Self::pull) in the background, unless one runs there. It ends early if the last clone of the
    /// workspace is dropped.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn start_background_pull(&self) {
        self.background.start(self.inner.clone());
    }

    /// Waits for the pull in the background and returns its report, or `None` if none was started.
    ///
    /// # Errors
    ///
    /// Returns the error of the pull.
    pub async fn wait_for_pull(&self) -> Result<Option<Arc<WorkspaceReport>>, WorkspaceError> {
        shared(self.background.ended().await)
    }

    /// Waits until the pull in the background has fetched the [paths with priority](WorkspaceBuilder::priority).
    /// Returns the report if the whole pull is complete.
    ///
    /// # Errors
    ///
    /// Returns the error of the pull, if it failed before.
    pub async fn wait_for_priority(&self) -> Result<Option<Arc<WorkspaceReport>>, WorkspaceError> {
        shared(self.background.has_priority().await)
    }

    /// Returns true once any pull has ended, in the background or not, with or without success.
    pub fn is_pull_complete(&self) -> bool {
        self.inner.has_pulled.load(Ordering::Acquire)
    }

    /// Opens a file of the directory for reading. While a pull runs, this fetches the file first and waits for it
    /// alone. A file that is missing is fetched, too. Without a pull, an existing file is opened as it is. Symbolic
    /// links are not followed.
    ///
    /// # Errors
    ///
    /// Returns an error if the path cannot be that of a file in the directory, or if the file cannot be fetched or
    /// opened.
    pub async fn open_file(&self, path: &str) -> Result<File, WorkspaceError> {
        one_file::open(&self.inner, &self.background, path).await
    }

    /// Stores all changes of the directory at the location. It waits for a pull in the background first.
    ///
    /// # Errors
    ///
    /// Returns an error if a side cannot be listed, if a guard refuses the deletes, or if the push ended early for
    /// another reason. Then nothing was deleted.
    pub async fn push(&self) -> Result<WorkspaceReport, WorkspaceError> {
        let _told_to_others = self.background.ended().await;
        push::push(&self.inner).await
    }

    /// Takes the [lease](WorkspaceBuilder::lease) now, if the workspace needs one and does not hold it.
    ///
    /// # Errors
    ///
    /// Returns an error that names the holder if another machine holds it.
    pub async fn acquire(&self) -> Result<(), WorkspaceError> {
        let _alone = self.inner.running.lock().await;
        let sides = self.inner.sides(Way::Down).await?;
        self.inner.take_lease(&sides).await
    }

    /// Gives the [lease](WorkspaceBuilder::lease) back, if the workspace holds one. The next pull or push takes it
    /// again.
    pub async fn release(&self) {
        self.inner.release().await;
    }

    /// Compares both sides and changes nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if a side cannot be listed.
    pub async fn status(&self) -> Result<WorkspaceStatus, WorkspaceError> {
        status::status(&self.inner).await
    }
}

fn shared(pulled: Option<Pulled>) -> Result<Option<Arc<WorkspaceReport>>, WorkspaceError> {
    pulled.transpose().map_err(WorkspaceError::Shared)
}

#[cfg(test)]
mod tests;
