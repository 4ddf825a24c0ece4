//! [`LocalStore`]: the port, verb by verb.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::{
    Capabilities, Content, DeleteKey, Download, Entry, EntryStream, GetOptions, Key, KeyRule, ListOptions, PutOptions,
    RemoteStore, Result, Unfinished, Usage,
};

use crate::blocking::blocking;
use crate::mounts::Mounts;
use crate::options::{LocalOptions, Symlinks};
use crate::root::Root;
use crate::{delete, head, leftover, list, read, write};

/// Keys deleted in one go on one thread.
const DELETE_BATCH: usize = 1000;

/// The files below one directory, as objects.
///
/// A key is a path below the root; a key that ends in `/` is a directory. Listings name every directory: as
/// [`Kind::Marker`](pos3_core::Kind::Marker) when it is empty, as [`Kind::Directory`](pos3_core::Kind::Directory) when
/// it holds something. What cannot be read or must not be touched is listed as protected: symbolic links (unless
/// followed), FIFOs, sockets and devices, names that are not UTF-8, and whatever the system refuses to open.
///
/// Writes go to a file of a reserved name in the target's own directory and appear by rename; nothing is written or
/// deleted through a symbolic link below the root. Content is not forced to the disk (`fsync`): after a loss of power a
/// file may be short, which its size or time then shows.
///
/// Content from afar is compared with the checksum that its store keeps, if it keeps one, before the rename. With a
/// journal in [`PutOptions`], content of more than 16 MiB that comes from another store is noted while it arrives: if
/// the put ends early, by a failure that may pass, a cancellation or a kill, its file stays and the next put of the same
/// content goes on with it, after it has read and compared what is there. Without one nothing stays, but for a kill.
///
/// A writer holds a lock (`flock`) on its unfinished file. [`unfinished`](RemoteStore::unfinished) shows those that
/// nobody holds, each under its own path, and the first put below a root removes the stale ones that a listing of the
/// same store met: older than a second, or than seven days if they can be gone on with.
///
/// Reading a file that changed a moment ago waits until a further change would show in its times: up to 20 milliseconds,
/// or 2 seconds where the file system keeps whole seconds.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: Arc<Root>,
}

impl LocalStore {
    /// Returns the store of the directory at `root`, with default options. The directory is not touched yet.
    ///
    /// A relative path is taken from the working directory of this moment, an empty one is that directory itself.
    ///
    /// # Errors
    ///
    /// A relative path while the working directory is unknown.
    pub fn new(root: impl AsRef<Path>) -> Result<Self> {
        Self::with_options(root, LocalOptions::default())
    }

    /// Returns the store of the directory at `root`. The directory is not touched yet.
    ///
    /// # Errors
    ///
    /// A relative path while the working directory is unknown.
    pub fn with_options(root: impl AsRef<Path>, options: LocalOptions) -> Result<Self> {
        Ok(Self { root: Arc::new(Root::new(root.as_ref(), options)?) })
    }

    /// Returns the absolute path of the root, as it was given.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Makes listings of both directories end with [`ErrorKind::Overlap`](pos3_core::ErrorKind::Overlap) where they meet
    /// the other: as a bind mount or, in a source whose links are followed, as what a link leads to or into. Otherwise a
    /// sync that deletes would delete what it copies from.
    ///
    /// A target whose links are followed is only compared with, and may lead to its source.
    pub fn keep_apart(source: &Self, target: &Self) {
        if target.root.symlinks() == Symlinks::Skip {
            source.root.keep_apart(target.root.path());
            target.root.keep_apart(source.root.path());
        }
    }

    /// Returns the record of the file systems that listings of the whole directory met.
    pub fn mounts(&self) -> Mounts {
        self.root.mounts().clone()
    }

    pub(crate) fn root(&self) -> Arc<Root> {
        self.root.clone()
    }
}

#[async_trait]
impl RemoteStore for LocalStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_ordered(true)
            .with_keys(KeyRule::FilePath)
            .with_local_reads(true)
            .with_conditional_delete(true)
            .with_conditional_put(true)
            .with_server_copy(true)
            .with_delete_batch(DELETE_BATCH)
            .with_keeps_modified(true)
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        list::list(self.root(), prefix, options)
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        let (root, key) = (self.root(), key.clone());
        blocking("look up", move |_| head::head(&root, &key, "look up")).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        read::get(self.root(), key.clone(), options).await
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Entry> {
        write::put(self.root(), key.clone(), content, options).await
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let (root, asked) = (self.root(), keys.to_vec());
        match blocking("delete", move |waited| Ok(delete::delete(&root, &asked, waited))).await {
            Ok(answers) => answers,
            Err(error) => delete::ended(keys.iter().map(|asked| &asked.key), &error),
        }
    }

    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        let (root, prefix) = (self.root(), prefix.to_owned());
        blocking("list", move |waited| leftover::unfinished(&root, &prefix, waited)).await
    }

    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        let (root, asked) = (self.root(), puts.to_vec());
        match blocking("abandon", move |waited| Ok(leftover::abandon(&root, &asked, waited))).await {
            Ok(answers) => answers,
            Err(error) => delete::ended(puts.iter().map(|(key, _)| key), &error),
        }
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        write::copy(self.root(), from.clone(), to.clone()).await
    }

    async fn rename(&self, from: &Key, to: &Key) -> Result<Entry> {
        write::rename(self.root(), from.clone(), to.clone()).await
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.path().display().fmt(f)
    }
}
