//! A store whose listings contain additional entries.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};

use crate::entry::{Entry, Fingerprint};
use crate::journal::Unfinished;
use crate::key::Key;
use crate::store::{
    Capabilities, Content, DeleteKey, Download, EntryStream, GetOptions, ListOptions, PutOptions, RemoteStore, Result,
    Usage,
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

/// Another store, with additional entries in its listings.
#[derive(Debug)]
pub struct SurplusStore {
    inner: Arc<dyn RemoteStore>,
    surplus: Surplus,
    added: Arc<AtomicU64>,
}

impl SurplusStore {
    /// Returns a store that adds entries to the listings of another one.
    pub fn over_shared(inner: Arc<dyn RemoteStore>, surplus: Surplus) -> Self {
        Self { inner, surplus, added: Arc::default() }
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

#[async_trait]
impl RemoteStore for SurplusStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        let entries = self.inner.list(prefix, options);
        let (surplus, added, prefix) = (self.surplus, self.added.clone(), prefix.to_owned());
        let listed = async move {
            let mut entries: Vec<Entry> = entries.try_collect().await?;
            let honest = entries.len();
            add(&mut entries, surplus, &prefix);
            added.fetch_add((entries.len() - honest) as u64, Ordering::Relaxed);
            Ok(stream::iter(entries.into_iter().map(Ok)))
        };
        stream::once(listed).try_flatten().boxed()
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

impl fmt::Display for SurplusStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}
