//! The files that the program itself writes while it lists a directory: [`OwnFiles`].
//!
//! Without them, a plan that is written into its source would contain its own file. The next plan would upload the old
//! content, and every run would report that the file changed while it was read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fd::AsFd;
use rustix::fs::Stat;

use crate::facts::{self, Identity};

/// Files and directories that the program itself writes. Listings return them as protected
/// ([`Protection::Own`](pos3_core::Protection::Own)). Clones share them.
///
/// They are recognized by device and inode, so links and bind mounts do not hide them. A path that does not exist yet is
/// recognized by its name in its directory, because the file may be created while or after the directory is listed.
#[derive(Clone, Debug, Default)]
pub struct OwnFiles(Arc<Mutex<Own>>);

#[derive(Debug, Default)]
struct Own {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    open: Vec<Identity>,
}

/// The files and directories at one moment.
#[derive(Debug, Default)]
pub(crate) struct Present {
    found: Vec<Identity>,
    named: Vec<Named>,
}

/// A path, as a key below the nearest directory above it that exists. The key of a directory ends in `/`.
#[derive(Debug)]
struct Named {
    above: Identity,
    key: String,
}

impl OwnFiles {
    /// Adds the file at a path. It need not exist yet: each listing looks the path up when it starts.
    pub fn add(&self, path: impl Into<PathBuf>) {
        self.locked().files.push(path.into());
    }

    /// Adds the directory at a path, with everything in it. It need not exist yet.
    pub fn add_directory(&self, path: impl Into<PathBuf>) {
        let (mut own, path) = (self.locked(), path.into());
        if !own.directories.contains(&path) {
            own.directories.push(path);
        }
    }

    /// Adds an open file, such as the one that stdout was redirected to.
    pub fn add_open(&self, file: impl AsFd) {
        if let Ok(stat) = rustix::fs::fstat(file) {
            self.locked().open.push(facts::identity(&stat));
        }
    }

    /// Returns the files and directories as they are now.
    pub(crate) fn present(&self) -> Present {
        let own = self.locked();
        let paths = own.files.iter().chain(&own.directories).filter_map(|path| rustix::fs::stat(path).ok());
        let found = paths.map(|stat| facts::identity(&stat)).chain(own.open.iter().copied()).collect();
        let files = own.files.iter().filter_map(|path| Named::of(path, ""));
        let directories = own.directories.iter().filter_map(|path| Named::of(path, "/"));
        Present { found, named: files.chain(directories).collect() }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Own> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    pub(crate) fn contains(&self, stat: &Stat) -> bool {
        self.found.contains(&facts::identity(stat))
    }

    /// Returns the names in a directory that belong to the program. `below` is the key of the directory relative to the
    /// directory `above`. It is empty or ends in `/`.
    pub(crate) fn names<'a>(&'a self, above: Identity, below: &'a str) -> impl Iterator<Item = &'a str> {
        let below_it = self.named.iter().filter(move |named| named.above == above);
        let names = below_it.filter_map(move |named| named.key.strip_prefix(below));
        names.filter(|name| !name.is_empty() && !name.trim_end_matches('/').contains('/'))
    }
}

impl Named {
    /// Returns `None` for a path that is not UTF-8, because listings protect it anyway, and for one without a name.
    fn of(path: &Path, ending: &str) -> Option<Self> {
        let path = std::path::absolute(path).ok()?;
        let mut key = format!("{}{ending}", path.file_name()?.to_str()?);
        let mut above = path.parent()?;
        loop {
            if let Ok(stat) = rustix::fs::stat(above) {
                return Some(Self { above: facts::identity(&stat), key });
            }
            key = format!("{}/{key}", above.file_name()?.to_str()?);
            above = above.parent()?;
        }
    }
}
