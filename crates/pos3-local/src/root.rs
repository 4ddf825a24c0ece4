//! The root directory of a store.
//!
//! Its path may contain symbolic links. They are either resolved once or, if the path is already resolved, never
//! followed. So a link that is changed later cannot redirect a running sync to another directory.

mod seen;
mod staging;
mod steady;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use pos3_core::{ErrorKind, Operation, Result, StoreError};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error;
use crate::facts::{self, Identity};
use crate::mounts::Mounts;
use crate::options::{LocalOptions, MissingRoot, RootPath, Symlinks};
use crate::own_files::{OwnFiles, Present};
use crate::path;
use crate::tick::Clocks;

use seen::Seen;
use staging::Staging;
use steady::Steady;

pub(crate) use staging::is_staged;

/// Returns a text about an entry that is at `path`, or above it, where a directory is needed, with the remedy. Returns
/// `None` if there is none.
pub fn in_the_way(path: &Path) -> Option<String> {
    let found = path.ancestors().find_map(|above| Some((above, rustix::fs::stat(above).ok()?)));
    let (at, kind) = found.map(|(above, stat)| (above, facts::file_type(&stat)))?;
    let is_in_the_way = kind != rustix::fs::FileType::Directory;
    is_in_the_way.then(|| {
        let (at, kind) = (at.display(), facts::name(kind));
        format!("'{at}' is a {kind}, not a directory: name a directory, or a path that does not exist yet")
    })
}

/// A root directory and its options.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    resolved: OnceLock<PathBuf>,
    options: LocalOptions,
    seen: Seen,
    /// The other locations of a sync, which walks must not enter.
    apart: Mutex<Vec<PathBuf>>,
    /// The files that the program itself writes.
    own: OnceLock<OwnFiles>,
    /// The file systems that walks found.
    mounts: Mounts,
    /// The clocks of the file systems.
    clocks: Clocks,
    /// The directories with staged content.
    staging: Staging,
    /// The directory that the present run opened first.
    steady: Steady,
    /// Whether walks give moved files their names back.
    restores_moved: AtomicBool,
}

impl Root {
    pub(crate) fn new(path: &Path, options: LocalOptions) -> Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let path = std::path::absolute(path).map_err(|cause| {
            StoreError::new(ErrorKind::Other, Operation::Open)
                .with_message(format!("the working directory of '{}' is unknown", path.display()))
                .with_source(cause)
        })?;
        Ok(Self {
            path,
            resolved: OnceLock::new(),
            options,
            seen: Seen::default(),
            apart: Mutex::default(),
            own: OnceLock::new(),
            mounts: Mounts::default(),
            clocks: Clocks::default(),
            staging: Staging::default(),
            steady: Steady::default(),
            restores_moved: AtomicBool::new(false),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn symlinks(&self) -> Symlinks {
        self.options.symlinks
    }

    pub(crate) fn missing(&self) -> MissingRoot {
        self.options.missing_root
    }

    /// Returns the unfinished files that walks found.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Returns the file systems that the latest complete walk found.
    pub(crate) fn mounts(&self) -> &Mounts {
        &self.mounts
    }

    /// Returns what is known of the clocks of the file systems.
    pub(crate) fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// Returns the directories with staged content.
    pub(crate) fn staging(&self) -> &Staging {
        &self.staging
    }

    /// Returns the check that the root stays the same directory during a run.
    pub(crate) fn steady(&self) -> &Steady {
        &self.steady
    }

    /// Sets whether walks give moved files their names back.
    pub(crate) fn restore_moved(&self, restores: bool) {
        self.restores_moved.store(restores, Ordering::Release);
    }

    pub(crate) fn restores_moved(&self) -> bool {
        self.restores_moved.load(Ordering::Acquire)
    }

    /// Makes walks and lookups protect these files.
    pub(crate) fn protect_own(&self, own: &OwnFiles) {
        self.own.get_or_init(|| own.clone());
    }

    /// Returns the files that the program itself writes and that exist now.
    pub(crate) fn own(&self) -> Present {
        self.own.get().map(OwnFiles::present).unwrap_or_default()
    }

    /// Makes walks fail if they find the directory at `other`.
    pub(crate) fn keep_apart(&self, other: &Path) {
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        if !apart.iter().any(|known| known == other) {
            apart.push(other.to_owned());
        }
    }

    /// Returns the directories that walks must not enter and that exist.
    pub(crate) fn apart(&self) -> Vec<Identity> {
        let apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        let stats = apart.iter().filter_map(|path| rustix::fs::stat(path.as_path()).ok());
        stats.map(|stat| facts::identity(&stat)).collect()
    }

    /// Opens the root to resolve names below it.
    pub(crate) fn open(&self, operation: Operation) -> Result<OwnedFd> {
        self.open_with(path::STEP, operation)
    }

    /// Opens the root to read its names.
    pub(crate) fn open_to_list(&self, operation: Operation) -> Result<OwnedFd> {
        self.open_with(path::LIST, operation)
    }

    /// Opens the root to write below it. Creates it if a missing root is treated as empty.
    pub(crate) fn open_to_write(&self, operation: Operation) -> Result<OwnedFd> {
        match self.open(operation) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.missing() == MissingRoot::Empty => {
                fs::create_dir_all(&self.path).map_err(|cause| self.failed(operation, cause))?;
                self.open(operation)
            }
            opened => opened,
        }
    }

    fn open_with(&self, flags: OFlags, operation: Operation) -> Result<OwnedFd> {
        let opened = self.open_as(flags, operation)?;
        self.steady.check(opened.as_fd(), &self.path, operation)?;
        Ok(opened)
    }

    fn open_as(&self, flags: OFlags, operation: Operation) -> Result<OwnedFd> {
        match self.options.root_path {
            RootPath::Resolved => {
                let path = self.resolve().map_err(|cause| self.failed(operation, cause))?;
                rustix::fs::openat(CWD, path, flags, Mode::empty())
                    .map_err(|errno| self.failed(operation, errno.into()))
            }
            RootPath::Exact => path::open_exactly(&self.path, flags).map_err(|errno| self.unopened(operation, errno)),
        }
    }

    fn resolve(&self) -> io::Result<&Path> {
        if let Some(path) = self.resolved.get() {
            return Ok(path);
        }
        let path = fs::canonicalize(&self.path)?;
        Ok(self.resolved.get_or_init(|| path))
    }

    /// Returns an error that names the link, if a link is the reason why the path could not be opened.
    fn unopened(&self, operation: Operation, errno: Errno) -> StoreError {
        let mut parts: Vec<&Path> = self.path.ancestors().collect();
        parts.reverse();
        let link = parts.into_iter().find_map(|part| Some((part, fs::read_link(part).ok()?)));
        match link {
            Some((part, target)) => StoreError::new(ErrorKind::Other, operation).with_message(format!(
                "'{}' is a symbolic link to '{}', which is not followed",
                part.display(),
                target.display()
            )),
            None => self.failed(operation, errno.into()),
        }
    }

    fn failed(&self, operation: Operation, cause: io::Error) -> StoreError {
        let root = self.path.display();
        match Errno::from_io_error(&cause) {
            Some(Errno::NOENT) => StoreError::new(ErrorKind::NotFound, operation)
                .with_message(format!("the directory '{root}' does not exist")),
            Some(Errno::NOTDIR | Errno::EXIST) => {
                let message = in_the_way(&self.path).unwrap_or_else(|| format!("'{root}' is not a directory"));
                StoreError::new(ErrorKind::Other, operation).with_message(message)
            }
            Some(errno) => {
                error::unnamed(operation, errno).with_message(format!("the directory '{root}' cannot be opened"))
            }
            None => StoreError::new(ErrorKind::Other, operation)
                .with_message(format!("the directory '{root}' cannot be opened"))
                .with_source(cause),
        }
    }
}
