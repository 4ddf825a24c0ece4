//! Sorting a listing that its store cannot give in order, in bounded memory.
//!
//! Runs of entries are sorted and spilled to temporary files, then merged. Sorting only what fits in memory would make
//! a store's disorder the user's memory problem.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use futures::{StreamExt, TryStreamExt, stream};

use crate::entry::Entry;
use crate::error::{ErrorKind, StoreError};
use crate::store::EntryStream;

/// Entries held in memory before a run is spilled: some 16 MiB.
const RUN: usize = 65_536;

/// What can go wrong with the temporary files of a sort.
#[derive(Debug, thiserror::Error)]
#[error("the listing could not be sorted in temporary files")]
struct SortError(#[source] io::Error);

/// Returns the same entries in byte order of their keys; an error of the listing comes before any entry.
pub(super) fn sorted(entries: EntryStream) -> EntryStream {
    stream::once(sort(entries, RUN)).try_flatten().boxed()
}

async fn sort(mut entries: EntryStream, run_length: usize) -> Result<EntryStream, StoreError> {
    let mut runs = Vec::new();
    let mut buffer = Vec::new();
    while let Some(entry) = entries.try_next().await? {
        buffer.push(entry);
        if buffer.len() == run_length {
            runs.push(Run::File(spill(&mut buffer).map_err(failed)?));
        }
    }
    buffer.sort_unstable_by(|a: &Entry, b| a.key.cmp(&b.key));
    runs.push(Run::Memory(buffer.into_iter()));
    Ok(stream::iter(Merge::new(runs).map_err(failed)?).boxed())
}

fn failed(error: io::Error) -> StoreError {
    StoreError::new(ErrorKind::Exhausted, "list").with_source(SortError(error))
}

fn spill(buffer: &mut Vec<Entry>) -> io::Result<BufReader<File>> {
    buffer.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let mut file = BufWriter::new(tempfile::tempfile()?);
    for entry in buffer.drain(..) {
        let record = postcard::to_stdvec(&entry).map_err(io::Error::other)?;
        let length = u32::try_from(record.len()).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(&record)?;
    }
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(BufReader::new(file))
}

enum Run {
    Memory(std::vec::IntoIter<Entry>),
    File(BufReader<File>),
}

impl Run {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        let file = match self {
            Self::Memory(entries) => return Ok(entries.next()),
            Self::File(file) => file,
        };
        let mut length = [0; 4];
        match file.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let mut record = vec![0; u32::from_le_bytes(length) as usize];
        file.read_exact(&mut record)?;
        postcard::from_bytes(&record).map(Some).map_err(io::Error::other)
    }
}

/// Merges sorted runs; the heap holds the head of each.
struct Merge {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<Head>>,
}

struct Head {
    entry: Entry,
    run: usize,
}

impl Merge {
    fn new(runs: Vec<Run>) -> io::Result<Self> {
        let mut merge = Self { heads: BinaryHeap::with_capacity(runs.len()), runs };
        (0..merge.runs.len()).try_for_each(|run| merge.refill(run))?;
        Ok(merge)
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        if let Some(entry) = self.runs[run].next()? {
            self.heads.push(Reverse(Head { entry, run }));
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse(head) = self.heads.pop()?;
        Some(self.refill(head.run).map(|()| head.entry).map_err(failed))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.entry.key.cmp(&other.entry.key).then(self.run.cmp(&other.run))
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
        let sorted: Vec<Entry> = sort(shuffled, 7).await.unwrap().try_collect().await.unwrap();
        expected.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(sorted, expected);
    }

    #[tokio::test]
    async fn an_error_comes_before_any_entry() {
        let broken = stream::iter([Ok(Entry::file("a", 1)), Err(StoreError::new(ErrorKind::Denied, "list"))]).boxed();
        let first = sorted(broken).try_next().await;
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Denied);
    }
}
