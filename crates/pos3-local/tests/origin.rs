//! A remote store for tests: it counts its reads, which can fail, stall or return damaged content.

use super::*;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use pos3_core::{
    Backend, Capabilities, Checksummer, Content, DeleteKey, Download, EntryStream, ErrorKind, GetOptions, MemoryStore,
    Operation, PutOptions, Reads, Result, StoreError, Stored, Unfinished, Usage,
};

/// What happens to the reads after the first few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Fail,
    Stall,
}

#[derive(Debug)]
pub(crate) struct Origin {
    inner: MemoryStore,
    limit: (AtomicUsize, Then),
    damaged: Option<u64>,
    knows_checksums: bool,
    knows_md5: bool,
    reads: Mutex<Vec<Range<u64>>>,
}

impl Origin {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            limit: (AtomicUsize::new(usize::MAX), Then::Fail),
            damaged: None,
            knows_checksums: false,
            knows_md5: false,
            reads: Mutex::default(),
        }
    }

    /// Lets this many reads go well.
    pub(crate) fn after(mut self, reads: usize, then: Then) -> Self {
        self.limit = (AtomicUsize::new(reads), then);
        self
    }

    /// Turns a bit of each body that holds this byte.
    pub(crate) fn damaging(mut self, at: Option<u64>) -> Self {
        self.damaged = at;
        self
    }

    /// Tells the checksum of what it holds, or not.
    pub(crate) fn with_checksums(mut self, knows: bool) -> Self {
        self.knows_checksums = knows;
        self
    }

    /// Knows the MD5 of what it holds, and checks whole bodies by it.
    pub(crate) fn with_md5(mut self) -> Self {
        self.knows_md5 = true;
        self
    }

    /// Lets all further reads go well, and forgets those there were.
    pub(crate) fn recover(&self) {
        self.limit.0.store(usize::MAX, Ordering::Relaxed);
        self.reads.lock().unwrap().clear();
    }

    /// The ranges that were asked for, in order of their start.
    pub(crate) fn reads(&self) -> Vec<Range<u64>> {
        let mut reads = self.reads.lock().unwrap().clone();
        reads.sort_by_key(|range| range.start);
        reads
    }

    /// Stores content here and returns it as content of this store.
    ///
    /// It has one time in all processes, as an object has that several processes read.
    pub(crate) async fn content(self: &Arc<Self>, bytes: Vec<u8>) -> Content {
        let stored =
            PutOptions::default().with_modified(Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_251_600)));
        let entry = self.put(&key("source"), bytes.into(), stored).await.unwrap().entry;
        Content::stored(self.clone(), self.told(entry))
    }

    /// An entry without what this store does not know.
    fn told(&self, entry: Entry) -> Entry {
        Entry { digest: entry.digest.filter(|_| self.knows_md5), ..entry }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("origin")
    }
}

#[async_trait::async_trait]
impl RemoteStore for Origin {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_reads(Reads::Remote)
    }

    /// Its reads are counted and spoiled, so all content is read through it.
    fn backend(&self, _key: &Key) -> Option<Backend<'_>> {
        None
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        self.inner.list(prefix, options)
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        let entry = self.told(self.inner.head(key).await?);
        let mut sum = Checksummer::crc64_nvme();
        sum.update(&self.inner.read(key).await?);
        Ok(entry.with_checksum(self.knows_checksums.then(|| sum.finish())))
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        let range = options.range.clone();
        let is_whole = range.is_none();
        let mut download = self.inner.get(key, options).await?.with_checked(self.knows_md5 && is_whole);
        download.entry = self.told(download.entry);
        let range = range.unwrap_or(0..download.entry.size);
        let nth = {
            let mut reads = self.reads.lock().unwrap();
            reads.push(range.clone());
            reads.len()
        };
        if nth > self.limit.0.load(Ordering::Relaxed) {
            match self.limit.1 {
                Then::Fail => {
                    return Err(StoreError::new(ErrorKind::Unavailable, Operation::Read).with_key(key).temporary());
                }
                Then::Stall => download.body = Box::pin(futures::stream::pending()),
            }
        }
        if let Some(at) = self.damaged.filter(|at| range.contains(at)) {
            let bytes = pos3_core::collect_exactly(download.body, range.end - range.start).await?;
            let mut bytes = bytes.to_vec();
            bytes[usize::try_from(at - range.start).unwrap()] ^= 1;
            download.body = futures::stream::once(async { Ok(bytes.into()) }).boxed();
        }
        Ok(download)
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        self.inner.put(key, content, options).await
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
