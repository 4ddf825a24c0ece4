//! A store whose listings are wrong: in another order, or with additional entries.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};

use crate::entry::{Entry, Fingerprint};
use crate::journal::Unfinished;
use crate::key::Key;
use crate::store::{
    Backend, Capabilities, Content, DeleteKey, Download, EntryStream, GetOptions, ListOptions, PutOptions, RemoteStore,
    Result, Stored, Usage,
};

/// The additional entry of a listing. A number selects an entry, modulo the number of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surplus {
    /// An entry is listed twice in a row.
    Repeated(usize),
    /// An entry is listed again at the end.
    RepeatedAtEnd(usize),
    /// A file is listed a second time with another size and fingerprint.
    Contradicted(usize),
    /// Keys from outside the prefix are listed, if there is a prefix.
    Foreign,
}

/// The defect of the listings.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// They come in an order that a seed determines.
    Order { seed: u64, is_declared: bool },
    /// They have additional entries.
    Surplus(Surplus),
}

/// Another store, with wrong listings.
#[derive(Debug)]
pub struct RelistedStore {
    inner: Arc<dyn RemoteStore>,
    wrong: Wrong,
    added: Arc<AtomicU64>,
}

impl RelistedStore {
    /// Returns a store that declares itself ordered and is not.
    pub fn disordered(inner: Arc<dyn RemoteStore>, seed: u64) -> Self {
        Self { inner, wrong: Wrong::Order { seed, is_declared: false }, added: Arc::default() }
    }

    /// Returns a store that declares itself unordered.
    pub fn unordered(inner: Arc<dyn RemoteStore>, seed: u64) -> Self {
        Self { inner, wrong: Wrong::Order { seed, is_declared: true }, added: Arc::default() }
    }

    /// Returns a store that adds entries to the listings of another one.
    pub fn with_surplus(inner: Arc<dyn RemoteStore>, surplus: Surplus) -> Self {
        Self { inner, wrong: Wrong::Surplus(surplus), added: Arc::default() }
    }

    /// Returns the number of entries added so far.
    pub fn added(&self) -> u64 {
        self.added.load(Ordering::Relaxed)
    }
}

/// Adds the additional entries.
fn add(entries: &mut Vec<Entry>, surplus: Surplus, prefix: &str) {
    match surplus {
        Surplus::Repeated(nth) => {
            if let Some(nth) = nth.checked_rem(entries.len()) {
                entries.insert(nth, entries[nth].clone());
            }
        }
        Surplus::RepeatedAtEnd(nth) => {
            if let Some(nth) = nth.checked_rem(entries.len()) {
                entries.push(entries[nth].clone());
            }
        }
        Surplus::Contradicted(nth) => {
            let files: Vec<usize> = (0..entries.len()).filter(|index| entries[*index].has_content()).collect();
            if let Some(nth) = nth.checked_rem(files.len()).map(|nth| files[nth]) {
                let mut other = entries[nth].clone();
                other.size += 1;
                other.fingerprint = Some(Fingerprint::from("another"));
                entries.insert(nth + 1, other);
            }
        }
        Surplus::Foreign => {
            let Some(outer) = prefix.strip_suffix('/').filter(|outer| !outer.is_empty()) else { return };
            let file = |key: String| Entry::file(key, 1).with_fingerprint(Fingerprint::from("foreign"));
            // In byte order: a key that is too short, and one whose name only begins with the prefix.
            entries.insert(0, file(outer.to_owned()));
            entries.push(file(format!("{outer}0/a")));
        }
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

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RemoteStore for RelistedStore {
    fn capabilities(&self) -> Capabilities {
        let capabilities = self.inner.capabilities();
        match self.wrong {
            Wrong::Order { is_declared, .. } => capabilities.with_ordered(!is_declared),
            Wrong::Surplus(_) => capabilities,
        }
    }

    fn backend(&self, key: &Key) -> Option<Backend<'_>> {
        self.inner.backend(key)
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn trouble(&self) -> Option<String> {
        self.inner.trouble()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        let entries = self.inner.list(prefix, options);
        let (wrong, added, prefix) = (self.wrong, self.added.clone(), prefix.to_owned());
        let listed = async move {
            let mut entries: Vec<Entry> = entries.try_collect().await?;
            let honest = entries.len();
            match wrong {
                Wrong::Order { seed, .. } => shuffle(&mut entries, seed),
                Wrong::Surplus(surplus) => add(&mut entries, surplus, &prefix),
            }
            added.fetch_add((entries.len() - honest) as u64, Ordering::Relaxed);
            Ok(stream::iter(entries.into_iter().map(Ok)))
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        self.inner.head(key).await
    }

    async fn head_confirmed(&self, key: &Key) -> Result<Entry> {
        self.inner.head_confirmed(key).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        self.inner.get(key, options).await
    }

    async fn part_size(&self, entry: &Entry) -> Result<Option<u64>> {
        self.inner.part_size(entry).await
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

    async fn rename(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.inner.rename(from, to).await
    }
}

impl fmt::Display for RelistedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}
