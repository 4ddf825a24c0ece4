//! The workspace for programs without an async runtime: [`Workspace`].

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::runtime;
use crate::workspace::{
    Workspace as AsyncWorkspace, WorkspaceBuilder, WorkspaceError, WorkspaceReport, WorkspaceStatus,
};

/// A [`pos3::Workspace`](crate::Workspace) whose calls block. In `async` code, calling or dropping it panics.
///
/// ```
/// use pos3::{Workspace, blocking};
///
/// # let disk = tempfile::tempdir().unwrap();
/// let builder = Workspace::builder("memory://bucket/users/7", disk.path().join("ws"));
/// let workspace = blocking::Workspace::open(builder)?;
/// workspace.pull()?;
/// std::fs::write(workspace.path().join("report.md"), "draft")?;
/// assert_eq!(workspace.push()?.uploaded, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Workspace {
    // The workspace must be dropped before the runtime of its tasks.
    workspace: AsyncWorkspace,
    runtime: Runtime,
}

impl Workspace {
    /// Opens a workspace and starts its threads.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`WorkspaceBuilder::open`], or an error if the threads cannot be started.
    pub fn open(builder: WorkspaceBuilder) -> Result<Self, WorkspaceError> {
        let runtime = runtime().map_err(|error| WorkspaceError::NoThreads(error.to_string()))?;
        let workspace = builder.open()?;
        Ok(Self { workspace, runtime })
    }

    /// Returns the directory; see [`pos3::Workspace::path`](crate::Workspace::path).
    pub fn path(&self) -> &Path {
        self.workspace.path()
    }

    /// Blocks until [`pos3::Workspace::pull`](crate::Workspace::pull) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn pull(&self) -> Result<WorkspaceReport, WorkspaceError> {
        self.runtime.block_on(self.workspace.pull())
    }

    /// Blocks until [`pos3::Workspace::pull_only`](crate::Workspace::pull_only) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn pull_only(
        &self,
        paths: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<WorkspaceReport, WorkspaceError> {
        self.runtime.block_on(self.workspace.pull_only(paths))
    }

    /// Starts a pull in the background; see
    /// [`pos3::Workspace::start_background_pull`](crate::Workspace::start_background_pull).
    pub fn start_background_pull(&self) {
        let _context = self.runtime.enter();
        self.workspace.start_background_pull();
    }

    /// Blocks until [`pos3::Workspace::wait_for_pull`](crate::Workspace::wait_for_pull) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn wait_for_pull(&self) -> Result<Option<Arc<WorkspaceReport>>, WorkspaceError> {
        self.runtime.block_on(self.workspace.wait_for_pull())
    }

    /// Blocks until [`pos3::Workspace::wait_for_priority`](crate::Workspace::wait_for_priority) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn wait_for_priority(&self) -> Result<Option<Arc<WorkspaceReport>>, WorkspaceError> {
        self.runtime.block_on(self.workspace.wait_for_priority())
    }

    /// Returns true once any pull has ended; see [`pos3::Workspace::is_pull_complete`](crate::Workspace::is_pull_complete).
    pub fn is_pull_complete(&self) -> bool {
        self.workspace.is_pull_complete()
    }

    /// Blocks until [`pos3::Workspace::open_file`](crate::Workspace::open_file) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn open_file(&self, path: &str) -> Result<File, WorkspaceError> {
        self.runtime.block_on(self.workspace.open_file(path))
    }

    /// Blocks until [`pos3::Workspace::push`](crate::Workspace::push) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn push(&self) -> Result<WorkspaceReport, WorkspaceError> {
        self.runtime.block_on(self.workspace.push())
    }

    /// Blocks until [`pos3::Workspace::status`](crate::Workspace::status) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn status(&self) -> Result<WorkspaceStatus, WorkspaceError> {
        self.runtime.block_on(self.workspace.status())
    }

    /// Blocks until [`pos3::Workspace::acquire`](crate::Workspace::acquire) is complete.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    pub fn acquire(&self) -> Result<(), WorkspaceError> {
        self.runtime.block_on(self.workspace.acquire())
    }

    /// Blocks until [`pos3::Workspace::release`](crate::Workspace::release) is complete.
    pub fn release(&self) {
        self.runtime.block_on(self.workspace.release());
    }
}
