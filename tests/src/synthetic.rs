//! A store with any number of entries that uses no memory, so that the memory in use is that of the engine.

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use pos3_core::{
    Backend, Capabilities, Content, DeleteKey, Digest, Download, Entry, EntryStream, ErrorKind, Fingerprint,
    GetOptions, Key, ListOptions, Operation, PutOptions, RemoteStore, Result, StoreError, Stored, Unfinished, Usage,
};

/// A store of `entries` small objects that are generated while they are listed. Deleted objects are listed again.
#[derive(Clone, Copy, Debug)]
pub struct SyntheticStore {
    entries: u64,
    below: &'static str,
}

impl SyntheticStore {
    /// Returns a store of `entries` entries, in directories of a thousand.
    pub fn new(entries: u64) -> Self {
        Self { entries, below: "" }
    }

    /// Returns this store with all its keys below a prefix.
    #[must_use]
    pub fn below(self, prefix: &'static str) -> Self {
        Self { below: prefix, ..self }
    }
}

fn entry(below: &str, number: u64) -> Entry {
    let key = format!("{below}directory-{:07}/some-usual-file-name-{:04}.parquet", number / 1000, number % 1000);
    let digest = u128::from(number).to_le_bytes();
    Entry::file(key, 4096 + number % 1024)
        .with_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number))
        .with_fingerprint(Fingerprint::from(format!("{number:032x}").as_str()))
        .with_digest(Digest::Md5(digest))
}

fn read_only(operation: Operation) -> StoreError {
    StoreError::new(ErrorKind::Unsupported, operation)
}

#[async_trait]
impl RemoteStore for SyntheticStore {
    fn capabilities(&self) -> Capabilities {
        // Nothing here ever changes.
        Capabilities::new().with_conditional_delete(true)
    }

    fn backend(&self, _key: &Key) -> Option<Backend<'_>> {
        None
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn list(&self, _prefix: &str, _options: ListOptions) -> EntryStream {
        let below = self.below;
        stream::iter((0..self.entries).map(move |number| Ok(entry(below, number)))).boxed()
    }

    async fn head(&self, _key: &Key) -> Result<Entry> {
        Err(read_only(Operation::LookUp))
    }

    async fn get(&self, _key: &Key, _options: GetOptions) -> Result<Download> {
        Err(read_only(Operation::Read))
    }

    async fn put(&self, _key: &Key, _content: Content, _options: PutOptions) -> Result<Stored> {
        Err(read_only(Operation::Write))
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        keys.iter().map(|_| Ok(())).collect()
    }

    async fn unfinished(&self, _prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        Ok(Vec::new())
    }

    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        puts.iter().map(|_| Ok(())).collect()
    }

    async fn copy(&self, _from: &Key, _to: &Key) -> Result<Entry> {
        Err(read_only(Operation::Copy))
    }
}

impl fmt::Display for SyntheticStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("synthetic://")
    }
}
