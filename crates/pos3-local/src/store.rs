//! [`LocalStore`], the implementation of [`RemoteStore`] for local directories.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::{
    Backend, Capabilities, Content, DeleteKey, Download, Entry, EntryStream, GetOptions, Key, ListOptions, Namespace,
    Operation, PutOptions, Reads, RemoteStore, Result, StoreError, Stored, Unfinished, Usage,
};

use crate::blocking::blocking;
use crate::mounts::Mounts;
use crate::options::{LocalOptions, Symlinks};
use crate::own_files::OwnFiles;
use crate::root::Root;
use crate::sweep::{sweep, sweep_all};
use crate::{attributes, delete, head, list, read, stage, unfinished, write};

/// The number of keys that are deleted by one call on one thread. It is small, because the engine looks at both sides
/// before each call, and only then.
const DELETE_BATCH: usize = 16;

/// The files below one directory, as objects.
///
/// A key is a path below the root. A key that ends in `/` is a directory. Listings contain every directory: as
/// [`Kind::Marker`](pos3_core::Kind::Marker) if it is empty, otherwise as
/// [`Kind::Directory`](pos3_core::Kind::Directory). Entries that cannot be read or must not be changed are listed as
/// protected: symbolic links (unless followed), FIFOs, sockets and devices, names that are not UTF-8, and entries that
/// the system refuses to open.
///
/// Writes go to a file with a reserved name in the directory of the target, which is then renamed. Nothing is written
/// or deleted through a symbolic link below the root. Content is not flushed to the disk (`fsync`). So after a power
/// failure, a file may be truncated, which its size or time then shows.
///
/// Content of another store is compared with the checksum that this store keeps, if there is one, before the rename.
/// With a journal in [`PutOptions`], the progress of content of more than 16 MiB is noted. If the put ends early, by a
/// temporary failure, a cancellation or a kill, its file stays. The next put of the same content reads and verifies
/// that file, and then resumes. Without a journal, a file stays only after a kill.
///
/// A writer locks its unfinished file (`flock`). [`unfinished`](RemoteStore::unfinished) returns those without a lock,
/// each under its own path. The first put or delete below a root removes the stale ones that a listing of the same store
/// has found: those older than a second, or than seven days if they can be resumed. Content under a name of
/// [`is_staged_name`] is only removed by [`tidy`](Self::tidy); its writer locks the directory until the content is renamed
/// or deleted.
///
/// A file that is replaced or deleted on a condition is first moved to a reserved name ([`is_moved_name`]) and compared.
/// If the process is killed before that, a later put or delete moves the file back, and a listing has it as protected
/// ([`Protection::Moved`]). With [`restore_moved`](Self::restore_moved), a listing itself moves the file back.
///
/// [`is_moved_name`]: pos3_core::is_moved_name
/// [`is_staged_name`]: pos3_core::is_staged_name
/// [`Protection::Moved`]: pos3_core::Protection::Moved
///
/// If a file has just changed, reading it waits until a further change would show in its times: up to 20 milliseconds,
/// or 2 seconds if the file system stores whole seconds.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: Arc<Root>,
}

impl LocalStore {
    /// Returns the store of the directory at `root` with default options. Does not access the directory yet.
    ///
    /// A relative path is resolved against the current working directory. An empty path is that directory.
    ///
    /// # Errors
    ///
    /// Fails for a relative path if the working directory is unknown.
    pub fn new(root: impl AsRef<Path>) -> Result<Self> {
        Self::with_options(root, LocalOptions::default())
    }

    /// Returns the store of the directory at `root`. Does not access the directory yet.
    ///
    /// # Errors
    ///
    /// Fails for a relative path if the working directory is unknown.
    pub fn with_options(root: impl AsRef<Path>, options: LocalOptions) -> Result<Self> {
        Ok(Self { root: Arc::new(Root::new(root.as_ref(), options)?) })
    }

    /// Returns the absolute path of the root, with links as given.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Makes listings and lookups return these files and directories as protected. A second call has no effect.
    pub fn protect_own(&self, own: &OwnFiles) {
        self.root.protect_own(own);
    }

    /// Makes listings of both directories fail with [`ErrorKind::Overlap`](pos3_core::ErrorKind::Overlap) if they find
    /// the other directory, as a bind mount or through a followed link of the source. Otherwise, a sync with deletes
    /// would delete its own source.
    ///
    /// If the links of a target are followed, the target is only compared and not changed. They may lead to the source.
    pub fn keep_apart(source: &Self, target: &Self) {
        if target.root.symlinks() == Symlinks::Skip {
            source.root.keep_apart(target.root.path());
            target.root.keep_apart(source.root.path());
        }
    }

    /// Makes listings of this directory fail in the same way if they find `other`, which is no side of the sync: the
    /// location of its backups.
    pub fn keep_away_from(&self, other: &Self) {
        self.root.keep_apart(other.root.path());
    }

    /// Returns the record of the file systems that listings of the whole directory found.
    pub fn mounts(&self) -> Mounts {
        self.root.mounts().clone()
    }

    /// Sets whether listings give files that killed runs moved away their names back. Use this only for the target of a run
    /// that may change this directory. Otherwise, such a file protects its name, and a plan never deletes what is in the
    /// way of another file.
    pub fn restore_moved(&self, restores: bool) {
        self.root.restore_moved(restores);
    }

    /// Removes all that killed runs left and that listings of this store found. Call this only after a run that has made
    /// everything: staged content may be all that is left of an entry that was to be replaced.
    pub async fn tidy(&self) {
        sweep_all(&self.root).await;
    }

    /// Begins a run, at the end of which [`end_run`](Self::end_run) checks that the root is still the same directory. Until
    /// then, the directory stays open.
    pub fn begin_run(&self) {
        self.root.steady().begin();
    }

    /// Ends a run.
    ///
    /// # Errors
    ///
    /// Fails if the path of the root does not lead to the directory that was used since
    /// [`begin_run`](Self::begin_run), because it was renamed, replaced or unmounted.
    pub fn end_run(&self) -> Result<()> {
        self.root.steady().end(self.root.path())
    }

    /// Opens a regular file for reading, as it is. A symbolic link below the root is followed only with
    /// [`Symlinks::Follow`].
    ///
    /// # Errors
    ///
    /// Returns an error if there is no regular file at the key, or if it cannot be opened.
    pub fn open_file(&self, key: &Key) -> Result<File> {
        read::regular_file(&self.root, key)
    }

    fn explained(&self, key: &Key, error: StoreError) -> StoreError {
        attributes::explained(self.root.path(), key, error)
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
            .with_namespace(Namespace::Hierarchical)
            .with_reads(Reads::Local)
            .with_conditional_delete(true)
            .with_conditional_put(true)
            .with_server_copy(true)
            .with_delete_batch(DELETE_BATCH)
            .with_keeps_modified(true)
    }

    fn backend(&self, key: &Key) -> Option<Backend<'_>> {
        Some(Backend::new(self, key))
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        list::list(self.root(), prefix, options)
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        let (root, key) = (self.root(), key.clone());
        blocking(Operation::LookUp, move |_| head::head(&root, &key, Operation::LookUp)).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        read::get(self.root(), key.clone(), options).await
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        let origin = content.origin_as::<Self>().map(|(store, entry)| write::Source {
            root: store.root(),
            key: entry.key,
            seen: entry.fingerprint,
        });
        stage::hold(&self.root, key).await;
        let stored = write::put(self.root(), key.clone(), content, origin, options).await;
        if stored.is_err() {
            self.root.staging().release(key);
        }
        stored.map_err(|error| self.explained(key, error))
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let (root, asked) = (self.root(), keys.to_vec());
        sweep(&root);
        match blocking(Operation::Delete, move |waited| Ok(delete::delete(&root, &asked, waited))).await {
            Ok(answers) => {
                keys.iter().for_each(|asked| self.root.staging().release(&asked.key));
                let explained = |(asked, answer): (&DeleteKey, Result<()>)| {
                    answer.map_err(|error| self.explained(&asked.key, error))
                };
                keys.iter().zip(answers).map(explained).collect()
            }
            Err(error) => delete::ended(keys.iter().map(|asked| &asked.key), &error),
        }
    }

    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        let (root, prefix) = (self.root(), prefix.to_owned());
        blocking(Operation::List, move |waited| unfinished::unfinished(&root, &prefix, waited)).await
    }

    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        let (root, asked) = (self.root(), puts.to_vec());
        match blocking(Operation::Abort, move |waited| Ok(unfinished::abandon(&root, &asked, waited))).await {
            Ok(answers) => answers,
            Err(error) => delete::ended(puts.iter().map(|(key, _)| key), &error),
        }
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        write::copy(self.root(), from.clone(), to.clone()).await
    }

    async fn rename(&self, from: &Key, to: &Key) -> Result<Entry> {
        let renamed = write::rename(self.root(), from.clone(), to.clone()).await;
        if renamed.is_ok() {
            self.root.staging().release(from);
        }
        renamed.map_err(|error| self.explained(to, error))
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.path().display().fmt(f)
    }
}
