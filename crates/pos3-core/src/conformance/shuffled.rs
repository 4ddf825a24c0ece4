//! A store that lists in the wrong order, whether it declares this or not.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};

use crate::entry::Entry;
use crate::journal::Unfinished;
use crate::key::Key;
use crate::store::{
    Capabilities, Content, DeleteKey, Download, EntryStream, GetOptions, ListOptions, PutOptions, RemoteStore, Result,
    Usage,
};

/// Another store, listed in an order that a seed determines.
#[derive(Debug)]
pub struct ShuffledStore {
    inner: Arc<dyn RemoteStore>,
    seed: u64,
    honest: bool,
}

impl ShuffledStore {
    /// Returns a store that declares itself ordered and is not.
    pub fn lying(inner: Arc<dyn RemoteStore>, seed: u64) -> Self {
        Self { inner, seed, honest: false }
    }

    /// Returns a store that declares itself unordered.
    pub fn honest(inner: Arc<dyn RemoteStore>, seed: u64) -> Self {
        Self { inner, seed, honest: true }
    }
}

/// Shuffles with a linear congruential generator, so the same seed gives the same order.
fn shuffle(entries: &mut [Entry], seed: u64) {
    let mut state = seed;
    for index in (1..entries.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap_or_default() % (index + 1);
        entries.swap(index, other);
    }
}

#[async_trait]
impl RemoteStore for ShuffledStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_ordered(!self.honest)
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        let entries = self.inner.list(prefix, options);
        let seed = self.seed;
        let shuffled = async move {
            let mut entries: Vec<Entry> = entries.try_collect().await?;
            shuffle(&mut entries, seed);
            Ok(stream::iter(entries.into_iter().map(Ok)))
        };
        stream::once(shuffled).try_flatten().boxed()
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        self.inner.head(key).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        self.inner.get(key, options).await
    }

    async fn part_size(&self, entry: &Entry) -> Result<Option<u64>> {
        self.inner.part_size(entry).await
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Entry> {
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

impl fmt::Display for ShuffledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}
