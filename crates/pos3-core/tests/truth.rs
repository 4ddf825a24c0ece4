//! A sync detects changes since the last run, and changes that happen while it runs.

mod changes;
mod manifest;
mod replaced;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pos3_core::{
    Action, Backend, Capabilities, Content, Deletable, DeleteKey, Deletion, Download, Entry, EntryStream, ErrorKind,
    FailureKind, Filter, GetOptions, Key, ListOptions, Manifest, MemoryManifest, MemoryStore, Namespace, Operation,
    Overwritable, Preconditions, Protection, PutOptions, Reads, RemoteStore, RemoteStoreExt, Result, Side, SkipReason,
    Stored, SyncJob, SyncOptions, Tree, Unfinished, Usage, Verify,
};

/// What happens right before the nth read or write of a store (from 1).
type Interference = Box<dyn Fn(&MemoryStore, u64) -> Option<(&'static str, &'static str)> + Send + Sync>;

/// A store in memory that says of itself what a test wants, and in which others write at the wrong moment.
pub(crate) struct Told {
    inner: MemoryStore,
    capabilities: Capabilities,
    digests: bool,
    before_get: Option<Interference>,
    before_put: Option<Interference>,
    calls: Mutex<(u64, u64)>,
}

impl Told {
    fn new(capabilities: Capabilities) -> Self {
        let inner = MemoryStore::new();
        Self { inner, capabilities, digests: true, before_get: None, before_put: None, calls: Mutex::default() }
    }

    /// Like a disk: names are paths, reading is cheap, and nothing is hashed in a listing.
    pub(crate) fn disk() -> Self {
        let capabilities = MemoryStore::new().capabilities().with_namespace(Namespace::Hierarchical);
        Self { digests: false, ..Self::new(capabilities) }
    }

    /// Like a bucket: reading costs requests, times are its own.
    pub(crate) fn bucket() -> Self {
        Self::new(MemoryStore::new().capabilities().with_reads(Reads::Remote).with_keeps_modified(false))
    }

    /// Like a server with directories: names are paths, and reading costs requests.
    fn file_server() -> Self {
        Self::new(Self::bucket().capabilities.with_namespace(Namespace::Hierarchical))
    }

    fn without_digests(mut self) -> Self {
        self.digests = false;
        self
    }

    async fn interfere(&self, interference: Option<&Interference>, call: u64) -> Result<()> {
        if let Some((key, content)) = interference.and_then(|interfere| interfere(&self.inner, call)) {
            self.inner.write(&Key::from(key), content.into()).await?;
        }
        Ok(())
    }

    fn show(&self, entry: Entry) -> Entry {
        Entry { digest: entry.digest.filter(|_| self.digests), ..entry }
    }
}

#[async_trait]
impl RemoteStore for Told {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
    fn backend(&self, _: &Key) -> Option<Backend<'_>> {
        None
    }
    fn usage(&self) -> Usage {
        self.inner.usage()
    }
    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        use futures::StreamExt;
        let digests = self.digests;
        let shown = move |entry: Entry| Entry { digest: entry.digest.filter(|_| digests), ..entry };
        self.inner.list(prefix, options).map(move |entry| entry.map(shown)).boxed()
    }
    async fn head(&self, key: &Key) -> Result<Entry> {
        Ok(self.show(self.inner.head(key).await?))
    }
    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        let call = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.0 += 1;
            calls.0
        };
        self.interfere(self.before_get.as_ref(), call).await?;
        self.inner.get(key, options).await
    }
    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        let call = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.1 += 1;
            calls.1
        };
        self.interfere(self.before_put.as_ref(), call).await?;
        Ok(self.inner.put(key, content, options).await?.map_entry(|entry| self.show(entry)))
    }
    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        self.inner.delete(keys).await
    }
    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        self.inner.unfinished(prefix).await
    }
    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        self.inner.abandon(puts).await
    }
    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.inner.copy(from, to).await
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

async fn filled(store: Told, objects: &[(&str, &'static str)]) -> Arc<Told> {
    for (key, content) in objects {
        store.inner.write(&Key::from(*key), (*content).into()).await.unwrap();
    }
    Arc::new(store)
}

fn job(source: &Arc<Told>, target: &Arc<Told>, options: SyncOptions) -> SyncJob {
    SyncJob::new(Tree::new(source.clone()), Tree::new(target.clone()), options)
}

fn mirror() -> SyncOptions {
    SyncOptions::default().with_deletion(Deletion::Extra)
}

async fn read(store: &Told, key: &str) -> Option<String> {
    let bytes = store.inner.read(&Key::from(key)).await.ok()?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Stores other content of the same size and the same time, as an edit that covers its tracks does.
async fn replace_unseen(store: &Told, key: &str, content: &'static str) {
    let key = Key::from(key);
    let modified = store.inner.head(&key).await.unwrap().modified;
    store.inner.put(&key, content.into(), PutOptions::default().with_modified(modified)).await.unwrap();
}
