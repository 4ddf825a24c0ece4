//! `LocalStore` on real files, from outside the crate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(target_os = "linux")]
mod attributes;
mod changing;
mod deleting;
mod leftovers;
mod listing;
mod moved;
mod order;
mod origin;
mod processes;
mod protected;
mod reading;
mod replaced;
mod resuming;
mod staged;
mod writing;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use pos3_core::conformance::Subject;
use pos3_core::{Entry, Key, Kind, ListOptions, Protection, RemoteStore, RemoteStoreExt};
use pos3_local::{LocalOptions, LocalStore, MissingRoot, RootPath, Symlinks};
use tempfile::TempDir;

pos3_core::conformance!(contract, async || {
    let directory = tempfile::tempdir().unwrap();
    Subject::new(Arc::new(LocalStore::new(directory.path()).unwrap())).keeping(directory)
});

/// A temporary directory and what a test asks of it.
struct World {
    directory: TempDir,
    options: LocalOptions,
}

impl World {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), options: LocalOptions::default() }
    }

    fn following() -> Self {
        Self { options: LocalOptions::default().with_symlinks(Symlinks::Follow), ..Self::new() }
    }

    /// The root of the store; what lies beside it is outside.
    fn root(&self) -> PathBuf {
        let root = self.directory.path().join("root");
        fs::create_dir_all(&root).unwrap();
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Makes a file, or a directory where the name ends in `/`.
    fn make(&self, names: &[&str]) -> &Self {
        for name in names {
            let path = self.path(name);
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, name).unwrap();
            }
        }
        self
    }

    fn link(&self, name: &str, to: impl AsRef<Path>) -> &Self {
        symlink(to, self.path(name)).unwrap();
        self
    }

    fn store(&self) -> LocalStore {
        LocalStore::with_options(self.root(), self.options).unwrap()
    }

    async fn list(&self, prefix: &str, options: ListOptions) -> Vec<Entry> {
        self.store().list(prefix, options).try_collect().await.unwrap()
    }

    /// The whole listing as `key kind`.
    async fn shown(&self) -> Vec<String> {
        self.list("", ListOptions::default()).await.iter().map(shown).collect()
    }

    async fn keys(&self, prefix: &str, options: ListOptions) -> Vec<String> {
        self.list(prefix, options).await.iter().map(|entry| entry.key.as_str().to_owned()).collect()
    }

    /// Every name that is physically there, ours included.
    fn names(&self, directory: &str) -> Vec<String> {
        let read = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<String> =
            read.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn shown(entry: &Entry) -> String {
    let kind = match &entry.kind {
        Kind::File => "file".to_owned(),
        Kind::Marker => "empty".to_owned(),
        Kind::Directory => "directory".to_owned(),
        Kind::Protected(Protection::Symlink) => "link".to_owned(),
        Kind::Protected(Protection::NotUtf8) => "not UTF-8".to_owned(),
        Kind::Protected(why) => why.to_string(),
    };
    format!("{} {kind}", entry.key)
}

fn key(name: &str) -> Key {
    Key::from(name)
}
