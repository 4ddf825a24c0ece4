//! A store whose listing is read once and then replayed, so that two readers of one listing cost one listing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::sync::OnceCell;

use super::{
    Backend, Capabilities, Content, DeleteKey, Doubts, Download, EntryStream, GetOptions, ListOptions, PutOptions,
    RemoteStore, Result, Stored, Usage,
};
use crate::entry::Entry;
use crate::error::{ErrorKind, Operation, StoreError};
use crate::journal::Unfinished;
use crate::key::Key;
use crate::spill::{Spill, SpillError, streamed};

/// A wrapper that reads the whole listing of one prefix once, with bounded memory, and then replays it: its entries, its
/// [doubts](Doubts), and its error if it failed. So a caller can look through a listing, and the engine then plans from
/// the same one without another request.
///
/// The first listing of the prefix is recorded without [`ListOptions::prune`]. All other listings are forwarded. The
/// recording is not used any more once a call through this wrapper may have changed the store, or has shown that it has
/// changed: then a listing shows the new state.
#[derive(Debug)]
pub struct Recorded {
    inner: Arc<dyn RemoteStore>,
    prefix: Arc<str>,
    recording: Arc<OnceCell<Recording>>,
    outdated: AtomicBool,
}

#[derive(Debug)]
struct Recording {
    entries: Spill<Entry>,
    doubts: Doubts,
    failure: Option<StoreError>,
}

/// A failure of the temporary file of a recording.
#[derive(Debug, thiserror::Error)]
#[error("the listing could not be recorded")]
struct RecordingError(#[source] SpillError);

impl Recorded {
    /// Returns a store that records the listing of exactly this prefix.
    pub fn new(inner: Arc<dyn RemoteStore>, prefix: impl Into<Arc<str>>) -> Self {
        Self { inner, prefix: prefix.into(), recording: Arc::default(), outdated: AtomicBool::new(false) }
    }

    fn replays(&self, prefix: &str, options: &ListOptions) -> bool {
        let is_whole = options.start_after.is_none() && !options.shallow;
        prefix == &*self.prefix && is_whole && !self.outdated.load(Ordering::Acquire)
    }

    fn note_change(&self) {
        self.outdated.store(true, Ordering::Release);
    }

    /// Returns a result. If it shows that the store has changed, the recording is outdated.
    fn seen<T>(&self, result: Result<T>) -> Result<T> {
        let shows_change = |error: &StoreError| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Precondition);
        if result.as_ref().is_err_and(shows_change) {
            self.note_change();
        }
        result
    }
}

impl Recording {
    async fn of(inner: &dyn RemoteStore, prefix: &str) -> Self {
        let options = ListOptions::default();
        let mut recording = Self { entries: Spill::default(), doubts: options.doubts.clone(), failure: None };
        recording.failure = recording.fill(inner.list(prefix, options)).await.err();
        recording
    }

    async fn fill(&mut self, mut listed: EntryStream) -> Result<()> {
        while let Some(entry) = listed.next().await {
            self.entries.push(&entry?).map_err(failed)?;
            self.entries.relieve().await.map_err(failed)?;
        }
        Ok(())
    }

    fn replay(&self) -> EntryStream {
        let entries = self.entries.iter().map(|entry| entry.map_err(failed));
        streamed(entries).chain(stream::iter(self.failure.clone().map(Err))).boxed()
    }
}

fn failed(error: SpillError) -> StoreError {
    let kind = if error.is_of_file() { ErrorKind::Exhausted } else { ErrorKind::Other };
    StoreError::new(kind, Operation::List).with_source(RecordingError(error))
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl RemoteStore for Recorded {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
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
        if !self.replays(prefix, &options) {
            return self.inner.list(prefix, options);
        }
        let (inner, prefix, recording) = (self.inner.clone(), self.prefix.clone(), self.recording.clone());
        let replayed = async move {
            let recording = recording.get_or_init(|| Recording::of(&*inner, &prefix)).await;
            options.doubts.add_all(&recording.doubts);
            recording.replay()
        };
        stream::once(replayed).flatten().boxed()
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        self.seen(self.inner.head(key).await)
    }

    async fn head_confirmed(&self, key: &Key) -> Result<Entry> {
        self.seen(self.inner.head_confirmed(key).await)
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        self.seen(self.inner.get(key, options).await)
    }

    async fn part_size(&self, entry: &Entry) -> Result<Option<u64>> {
        self.seen(self.inner.part_size(entry).await)
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        self.note_change();
        self.inner.put(key, content, options).await
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        self.note_change();
        self.inner.delete(keys).await
    }

    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        self.inner.unfinished(prefix).await
    }

    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        self.inner.abandon(puts).await
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.note_change();
        self.inner.copy(from, to).await
    }

    async fn rename(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.note_change();
        self.inner.rename(from, to).await
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn doubts_are_replayed() {
        let recording = Recording { entries: Spill::default(), doubts: Doubts::default(), failure: None };
        recording.doubts.note_unsettled(&"d/".into());
        recording.doubts.note_staged(&"s".into());
        let store = Recorded::new(Arc::new(MemoryStore::new()), "");
        store.recording.set(recording).unwrap();
        for _ in 0..2 {
            let options = ListOptions::default();
            let doubts = options.doubts.clone();
            store.list("", options).try_collect::<Vec<_>>().await.unwrap();
            assert_eq!(doubts.unsettled(), Some("d/".into()));
            assert_eq!(doubts.staged(), ["s".into()]);
            assert_eq!(doubts.warnings("it").len(), 1);
        }
    }
}
