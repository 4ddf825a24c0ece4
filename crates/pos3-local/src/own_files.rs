//! The files that the program itself writes while it lists a directory: [`OwnFiles`].
//!
//! Without them, a plan that is written into its source would contain its own file. The next plan would upload the old
//! content, and every run would report that the file changed while it was read.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fd::AsFd;
use rustix::fs::Stat;

use crate::facts::{self, Identity};

/// Files and directories that the program itself writes. Listings return them as protected
/// ([`Protection::Own`](pos3_core::Protection::Own)). Clones share them.
///
/// They are recognized by device and inode, so links and bind mounts do not hide them.
#[derive(Clone, Debug, Default)]
pub struct OwnFiles(Arc<Mutex<Own>>);

#[derive(Debug, Default)]
struct Own {
    paths: Vec<PathBuf>,
    open: Vec<Identity>,
}

/// The files and directories that existed at one moment.
#[derive(Debug, Default)]
pub(crate) struct Present(Vec<Identity>);

impl OwnFiles {
    /// Adds the file or directory at a path. It need not exist yet: each listing looks the path up when it starts.
    pub fn add(&self, path: impl Into<PathBuf>) {
        self.locked().paths.push(path.into());
    }

    /// Adds an open file, such as the one that stdout was redirected to.
    pub fn add_open(&self, file: impl AsFd) {
        if let Ok(stat) = rustix::fs::fstat(file) {
            self.locked().open.push(facts::identity(&stat));
        }
    }

    /// Returns the files and directories that exist now.
    pub(crate) fn present(&self) -> Present {
        let own = self.locked();
        let found = own.paths.iter().filter_map(|path| rustix::fs::stat(path).ok());
        Present(found.map(|stat| facts::identity(&stat)).chain(own.open.iter().copied()).collect())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Own> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    pub(crate) fn contains(&self, stat: &Stat) -> bool {
        self.0.contains(&facts::identity(stat))
    }
}
