//! A copy through wrappers stays inside the store, under the key that the object has there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use pos3_core::conformance::{FaultStore, Subject};
use pos3_core::{
    Backend, Capabilities, Content, DeleteKey, Download, Entry, EntryStream, ErrorKind, GetOptions, Key, ListOptions,
    MemoryStore, Operation, PutOptions, RemoteStore, RemoteStoreExt, Result, Stored, SyncJob, SyncOptions, Tree,
    Unfinished, Usage,
};

/// A part of another store as a store of its own. Its keys lack the prefix.
#[derive(Debug)]
struct Part {
    inner: Arc<dyn RemoteStore>,
    prefix: &'static str,
    reads: AtomicU64,
}

impl Part {
    fn of(inner: Arc<dyn RemoteStore>, prefix: &'static str) -> Self {
        Self { inner, prefix, reads: AtomicU64::new(0) }
    }

    fn whole(&self, key: &Key) -> Key {
        key.under(self.prefix)
    }
}

fn shown(prefix: &str, entry: Entry) -> Entry {
    Entry { key: Key::from(&entry.key.as_str()[prefix.len()..]), ..entry }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RemoteStore for Part {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn backend(&self, key: &Key) -> Option<Backend<'_>> {
        self.inner.backend(&self.whole(key))
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn trouble(&self) -> Option<String> {
        self.inner.trouble()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        let after = options.start_after.as_ref().map(|key| self.whole(key));
        let options = after.into_iter().fold(options, ListOptions::with_start_after);
        let (own, listed) = (self.prefix, self.inner.list(self.whole(&Key::from(prefix)).as_str(), options));
        listed.map_ok(move |entry| shown(own, entry)).boxed()
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        self.inner
            .head(&self.whole(key))
            .await
            .map(|entry| shown(self.prefix, entry))
            .map_err(|error| error.with_key(key))
    }

    async fn head_confirmed(&self, key: &Key) -> Result<Entry> {
        self.inner
            .head_confirmed(&self.whole(key))
            .await
            .map(|entry| shown(self.prefix, entry))
            .map_err(|error| error.with_key(key))
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let download = self.inner.get(&self.whole(key), options).await.map_err(|error| error.with_key(key))?;
        Ok(Download { entry: shown(self.prefix, download.entry), ..download })
    }

    async fn part_size(&self, entry: &Entry) -> Result<Option<u64>> {
        self.inner.part_size(&Entry { key: self.whole(&entry.key), ..entry.clone() }).await
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        let stored = self.inner.put(&self.whole(key), content, options).await?;
        Ok(stored.map_entry(|entry| shown(self.prefix, entry)))
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let keys: Vec<_> = keys.iter().map(|asked| asked.clone().with_key(self.whole(&asked.key))).collect();
        self.inner.delete(&keys).await
    }

    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        let found = self.inner.unfinished(self.whole(&Key::from(prefix)).as_str()).await?;
        let own = |key: Key| Key::from(&key.as_str()[self.prefix.len()..]);
        Ok(found.into_iter().map(|(key, put)| (own(key), put)).collect())
    }

    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        let puts: Vec<_> = puts.iter().map(|(key, put)| (self.whole(key), put.clone())).collect();
        self.inner.abandon(&puts).await
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        let copied = self.inner.copy(&self.whole(from), &self.whole(to)).await;
        copied.map(|entry| shown(self.prefix, entry)).map_err(|error| error.with_key(from))
    }

    async fn rename(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.inner.rename(&self.whole(from), &self.whole(to)).await.map(|entry| shown(self.prefix, entry))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.inner, self.prefix)
    }
}

pos3_core::conformance!(part, async || {
    Subject::new(Arc::new(Part::of(Arc::new(MemoryStore::new()), "part/")))
        .skipping("bad_key_hurts_only_itself", "a memory store accepts every key")
});

#[tokio::test]
async fn a_sync_between_wrappers_with_other_keys_reads_nothing_and_copies_the_right_objects() {
    let store = Arc::new(MemoryStore::new());
    // The same key without the prefix has other content: a copy that ignores the prefix would take that.
    for (key, content) in [("a", "not this"), ("from/a", "this"), ("from/d/b", "and this")] {
        store.write(&Key::from(key), content.into()).await.unwrap();
    }
    let source = Arc::new(Part::of(store.clone(), "from/"));
    let target = Arc::new(Part::of(Arc::new(FaultStore::over_shared(store.clone())), "to/"));
    let job = SyncJob::new(Tree::new(source.clone()), Tree::new(target), SyncOptions::default());
    let report = job.run().await.into_result().unwrap();
    assert_eq!((report.copied, report.copied_bytes), (2, 12));
    assert_eq!(source.reads.load(Ordering::Relaxed), 0);
    assert_eq!(store.read(&Key::from("to/a")).await.unwrap(), "this");
    assert_eq!(store.read(&Key::from("to/d/b")).await.unwrap(), "and this");
}

#[tokio::test]
async fn a_copy_through_a_wrapper_is_of_the_listed_version() {
    let store = Arc::new(MemoryStore::new());
    let source = Arc::new(Part::of(store.clone(), "from/"));
    let listed = source.write(&Key::from("a"), "old".into()).await.unwrap();
    source.write(&Key::from("a"), "new".into()).await.unwrap();
    let put = store.put(&Key::from("b"), Content::stored(source, listed), PutOptions::default()).await;
    let error = put.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Precondition, Operation::Read));
    assert_eq!(store.head(&Key::from("b")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn content_is_read_through_a_wrapper_that_requires_it() {
    let store = Arc::new(MemoryStore::new());
    let entry = store.write(&Key::from("a"), "content".into()).await.unwrap();
    let faulty = Arc::new(FaultStore::over_shared(store.clone()).cutting_bodies_after(3));
    let content = Content::stored(faulty.clone(), entry);
    let error = store.put(&Key::from("b"), content, PutOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), faulty.faults()), (ErrorKind::Unavailable, 1));
}
