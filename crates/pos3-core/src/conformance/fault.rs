//! A store that fails at the points that a test chooses.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::{StreamExt, stream};

use crate::entry::Entry;
use crate::error::{ErrorKind, Operation, StoreError};
use crate::journal::Unfinished;
use crate::key::Key;
use crate::store::{
    Backend, ByteStream, Capabilities, Content, DeleteKey, Download, EntryStream, GetOptions, ListOptions, PutOptions,
    RemoteStore, RemoteStoreExt, Result, Stored, Usage,
};

/// The content that another writer stores in [`FaultStore::written_by_others_at`].
pub(crate) const THEIRS: &str = "theirs";

/// Another store, with faults.
#[derive(Debug)]
pub struct FaultStore {
    inner: Arc<dyn RemoteStore>,
    listing_length: Option<usize>,
    body_length: Option<usize>,
    body_end: BodyEnd,
    failing: HashMap<Operation, u64>,
    failing_delete: Option<u64>,
    stalling_deletes: bool,
    vanishing: Option<u64>,
    others_write: Option<u64>,
    calls: Mutex<HashMap<Operation, u64>>,
    deletes: AtomicU64,
    faults: Arc<AtomicU64>,
}

impl FaultStore {
    /// Returns a store without faults.
    pub fn over(inner: impl RemoteStore) -> Self {
        Self::over_shared(Arc::new(inner))
    }

    /// Returns a store without faults, over a shared one.
    pub fn over_shared(inner: Arc<dyn RemoteStore>) -> Self {
        Self {
            inner,
            listing_length: None,
            body_length: None,
            body_end: BodyEnd::Error,
            failing: HashMap::new(),
            failing_delete: None,
            stalling_deletes: false,
            vanishing: None,
            others_write: None,
            calls: Mutex::default(),
            deletes: AtomicU64::new(0),
            faults: Arc::default(),
        }
    }

    /// Makes every listing end with an error after `entries` entries.
    #[must_use]
    pub fn breaking_listings_after(mut self, entries: usize) -> Self {
        self.listing_length = Some(entries);
        self
    }

    /// Makes every body end with an error after `bytes` bytes.
    #[must_use]
    pub fn cutting_bodies_after(mut self, bytes: usize) -> Self {
        self.body_length = Some(bytes);
        self
    }

    /// Makes every body stall for ever after `bytes` bytes.
    #[must_use]
    pub fn stalling_bodies_after(mut self, bytes: usize) -> Self {
        self.body_length = Some(bytes);
        self.body_end = BodyEnd::Never;
        self
    }

    /// Makes the `nth` call (from 1) of an operation fail: a lookup, read, write or delete.
    #[must_use]
    pub fn failing(mut self, operation: Operation, nth: u64) -> Self {
        self.failing.insert(operation, nth);
        self
    }

    /// Makes the delete of the `nth` key (from 1) fail. The other keys of the same call are deleted.
    #[must_use]
    pub fn failing_delete_of(mut self, nth: u64) -> Self {
        self.failing_delete = Some(nth);
        self
    }

    /// Makes no delete ever return. Nothing is deleted.
    #[must_use]
    pub fn stalling_deletes(mut self) -> Self {
        self.stalling_deletes = true;
        self
    }

    /// Makes the object of the `nth` read (from 1) vanish right before it is read.
    #[must_use]
    pub fn vanishing_at(mut self, nth: u64) -> Self {
        self.vanishing = Some(nth);
        self
    }

    /// Makes another writer store an object under the key of the `nth` write (from 1) right before it.
    #[must_use]
    pub fn written_by_others_at(mut self, nth: u64) -> Self {
        self.others_write = Some(nth);
        self
    }

    /// Returns the number of keys that callers have asked to delete.
    pub fn deletes(&self) -> u64 {
        self.deletes.load(Ordering::Relaxed)
    }

    /// Returns how often an operation was called.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).get(&operation).copied().unwrap_or_default()
    }

    /// Returns how many of the faults have happened.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Counts a call and returns its number, unless it is to fail.
    fn enter(&self, operation: Operation) -> Result<u64> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let call = calls.entry(operation).or_default();
        *call += 1;
        match self.failing.get(&operation) {
            Some(nth) if nth == call => Err(broken(operation, &self.faults)),
            _ => Ok(*call),
        }
    }

    fn spoils_reads(&self) -> bool {
        self.body_length.is_some() || self.vanishing.is_some() || self.failing.contains_key(&Operation::Read)
    }

    fn count_fault(&self, happened: bool) {
        self.faults.fetch_add(u64::from(happened), Ordering::Relaxed);
    }

    /// Deletes all keys but the one at `spared`.
    async fn delete_all_but(&self, spared: usize, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let (before, after) = (&keys[..spared], &keys[spared + 1..]);
        let mut answers = self.inner.delete(before).await;
        answers.push(Err(broken(Operation::Delete, &self.faults).with_key(&keys[spared].key)));
        answers.extend(self.inner.delete(after).await);
        answers
    }
}

fn broken(operation: Operation, faults: &AtomicU64) -> StoreError {
    faults.fetch_add(1, Ordering::Relaxed);
    StoreError::new(ErrorKind::Unavailable, operation).with_message("broken on purpose")
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RemoteStore for FaultStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    /// A store whose reads have faults has no backend, because a copy inside the store would avoid the faults.
    fn backend(&self, key: &Key) -> Option<Backend<'_>> {
        if self.spoils_reads() { None } else { self.inner.backend(key) }
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn trouble(&self) -> Option<String> {
        self.inner.trouble()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        let entries = self.inner.list(prefix, options);
        match self.listing_length {
            None => entries,
            Some(length) => {
                let faults = self.faults.clone();
                entries.take(length).chain(stream::once(async move { Err(broken(Operation::List, &faults)) })).boxed()
            }
        }
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        self.enter(Operation::LookUp)?;
        self.inner.head(key).await
    }

    async fn head_confirmed(&self, key: &Key) -> Result<Entry> {
        self.enter(Operation::LookUp)?;
        self.inner.head_confirmed(key).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        let call = self.enter(Operation::Read)?;
        if self.vanishing == Some(call) {
            self.count_fault(self.inner.remove(key).await.is_ok());
        }
        let mut download = self.inner.get(key, options).await?;
        if let Some(length) = self.body_length {
            download.body = cut(download.body, length, self.body_end, self.faults.clone());
        }
        Ok(download)
    }

    async fn part_size(&self, entry: &Entry) -> Result<Option<u64>> {
        self.inner.part_size(entry).await
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        let call = self.enter(Operation::Write)?;
        if self.others_write == Some(call) && !key.is_marker() {
            let written = self.inner.put(key, Content::from(THEIRS), PutOptions::default()).await;
            self.count_fault(written.is_ok());
        }
        self.inner.put(key, content, options).await
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let earlier = self.deletes.fetch_add(keys.len() as u64, Ordering::Relaxed);
        let spared = self.failing_delete.and_then(|nth| usize::try_from(nth.checked_sub(earlier + 1)?).ok());
        if self.stalling_deletes {
            self.count_fault(true);
            return std::future::pending().await;
        }
        match (self.enter(Operation::Delete), spared) {
            (Ok(_), Some(spared)) if spared < keys.len() => self.delete_all_but(spared, keys).await,
            (Ok(_), _) => self.inner.delete(keys).await,
            (Err(_), _) => {
                keys.iter().map(|asked| Err(broken(Operation::Delete, &self.faults).with_key(&asked.key))).collect()
            }
        }
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

    async fn rename(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.inner.rename(from, to).await
    }
}

/// How an incomplete body ends.
#[derive(Clone, Copy, Debug)]
enum BodyEnd {
    Error,
    Never,
}

/// Returns the first `length` bytes of a body. Then the body ends with an error or stalls for ever.
fn cut(body: ByteStream, length: usize, end: BodyEnd, faults: Arc<AtomicU64>) -> ByteStream {
    let mut left = length;
    body.flat_map(move |chunk| match chunk {
        Ok(chunk) if chunk.len() <= left => {
            left -= chunk.len();
            stream::iter([Ok(chunk)]).boxed()
        }
        Ok(chunk) => {
            let (first, error) = (chunk.slice(..std::mem::take(&mut left)), broken(Operation::Read, &faults));
            match end {
                BodyEnd::Error => stream::iter([Ok(first), Err(error)]).boxed(),
                BodyEnd::Never => stream::iter([Ok(first)]).chain(stream::pending()).boxed(),
            }
        }
        Err(error) => stream::iter([Err(error)]).boxed(),
    })
    .boxed()
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}
