//! Sorts a listing that its store cannot return in order, with bounded memory.
//!
//! A sort in memory would need memory for the whole listing, and would fail for large buckets.

use std::cmp::Ordering;

use futures::stream::TryChunksError;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::blocking::run_blocking;
use crate::entry::Entry;
use crate::error::{ErrorKind, Operation, StoreError};
use crate::spill::{BATCH, Sorter, SpillError, streamed};
use crate::store::EntryStream;

/// A failure of the temporary files of a sort.
#[derive(Debug, thiserror::Error)]
#[error("the listing could not be sorted")]
struct SortError(#[source] SpillError);

/// An entry ordered by its key.
#[derive(Debug, Serialize, Deserialize)]
struct ByKey(Entry);

/// Returns the same entries in byte order of their keys. If the listing fails, the error comes before any entry.
pub(super) fn sorted(entries: EntryStream) -> EntryStream {
    stream::once(sort(entries, Sorter::new())).try_flatten().boxed()
}

/// Sorts in batches, on threads that may block: a run of records takes longer to sort than requests can wait.
async fn sort(entries: EntryStream, mut sorter: Sorter<ByKey>) -> Result<EntryStream, StoreError> {
    let mut batches = entries.map_ok(ByKey).try_chunks(BATCH);
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|TryChunksError(_, error)| error)?;
        let push = move || batch.into_iter().try_for_each(|entry| sorter.push(entry)).map(|()| sorter);
        sorter = run_blocking(push).await.map_err(failed)?;
    }
    let sorted = run_blocking(move || sorter.finish().map(|sorted| sorted.iter())).await.map_err(failed)?;
    Ok(streamed(sorted.map(|entry| entry.map(|ByKey(entry)| entry).map_err(failed))).boxed())
}

fn failed(error: SpillError) -> StoreError {
    let kind = if error.is_of_file() { ErrorKind::Exhausted } else { ErrorKind::Other };
    StoreError::new(kind, Operation::List).with_source(SortError(error))
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByKey {}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::entry::{Digest, Fingerprint};

    #[tokio::test]
    async fn spilled_runs_merge_into_one_order_and_lose_nothing() {
        let entry = |n: u64| {
            Entry::file(format!("k{:03}", n * 37 % 100), n)
                .with_modified(SystemTime::UNIX_EPOCH + Duration::new(n, 7))
                .with_fingerprint(Fingerprint::from("etag"))
                .with_digest(Digest::Md5([u8::try_from(n).unwrap(); 16]))
        };
        let mut expected: Vec<Entry> = (0..100).map(entry).collect();
        let shuffled = stream::iter((0..100).map(move |n| Ok(entry(n)))).boxed();
        let sorted: Vec<Entry> = sort(shuffled, Sorter::with_runs_of(7)).await.unwrap().try_collect().await.unwrap();
        expected.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(sorted, expected);
    }

    #[tokio::test]
    async fn an_error_comes_before_any_entry() {
        let broken =
            stream::iter([Ok(Entry::file("a", 1)), Err(StoreError::new(ErrorKind::Denied, Operation::List))]).boxed();
        let first = sorted(broken).try_next().await;
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Denied);
    }
}
