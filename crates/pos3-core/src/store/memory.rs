//! A store in memory that follows the contract strictly, for tests, examples and first steps with the crate.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use md5::{Digest as _, Md5};

use super::{
    Backend, Capabilities, Content, DeleteKey, Download, EntryStream, Expect, GetOptions, ListOptions, PutOptions,
    Reads, RemoteStore, Result, Stored, Usage,
};
use crate::entry::{Availability, Digest, Entry, Fingerprint, Kind};
use crate::error::{ErrorKind, Operation, StoreError};
use crate::journal::Unfinished;
use crate::key::Key;

/// The tag of the fingerprints.
const TAG: u8 = 0xfe;

/// The number of keys per delete request, as on S3.
const DELETE_BATCH: usize = 1000;

/// Objects in memory, with ordered listings, exact keys, conditional puts and counted calls.
///
/// Fingerprints are unique per put, digests are MD5, and times are the current time unless a put sets one.
#[derive(Debug, Default)]
pub struct MemoryStore {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, Object>,
    puts: u64,
    usage: Usage,
}

#[derive(Clone, Debug)]
struct Object {
    content: Bytes,
    entry: Entry,
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        Self::named("")
    }

    /// Returns an empty store that is displayed as `memory://name`.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, key: &Key, operation: Operation) -> Result<Object> {
        let state = self.state();
        state.objects.get(key).cloned().ok_or_else(|| StoreError::new(ErrorKind::NotFound, operation).with_key(key))
    }

    /// Returns the content of an entry, which must be the current one.
    fn listed(&self, entry: &Entry) -> Result<Bytes> {
        let object = self.find(&entry.key, Operation::Read)?;
        let is_seen = entry.fingerprint.is_none() || entry.fingerprint == object.entry.fingerprint;
        if is_seen && entry.size == object.entry.size {
            return Ok(object.content);
        }
        Err(StoreError::new(ErrorKind::Precondition, Operation::Read).with_key(&entry.key))
    }
}

/// Replaces entries deeper than one level below `prefix` with their directory, which appears once.
fn shallow(entries: impl Iterator<Item = Entry>, prefix: &str) -> Vec<Entry> {
    let mut level: Vec<Entry> = Vec::new();
    for entry in entries {
        match entry.key.as_str()[prefix.len()..].find('/') {
            None => level.push(entry),
            Some(at) => {
                let directory = Entry::directory(&entry.key.as_str()[..=prefix.len() + at]);
                if level.last() != Some(&directory) {
                    level.push(directory);
                }
            }
        }
    }
    level
}

#[async_trait]
impl RemoteStore for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_reads(Reads::Local)
            .with_conditional_put(true)
            .with_server_copy(true)
            .with_conditional_delete(true)
            .with_delete_batch(DELETE_BATCH)
            .with_keeps_modified(true)
    }

    fn backend(&self, key: &Key) -> Option<Backend<'_>> {
        Some(Backend::new(self, key))
    }

    fn usage(&self) -> Usage {
        self.state().usage.clone()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        let mut state = self.state();
        state.usage.add("list", 1);
        let start = match options.start_after {
            Some(key) if key.as_str() >= prefix => Bound::Excluded(key),
            _ => Bound::Included(Key::from(prefix)),
        };
        let objects = state.objects.range((start, Bound::Unbounded));
        let found =
            objects.map(|(_, object)| object.entry.clone()).take_while(|entry| entry.key.as_str().starts_with(prefix));
        let entries = if options.shallow { shallow(found, prefix) } else { found.collect() };
        stream::iter(entries.into_iter().map(Ok)).boxed()
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        self.state().usage.add("head", 1);
        Ok(self.find(key, Operation::LookUp)?.entry)
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        self.state().usage.add("get", 1);
        let object = self.find(key, Operation::Read)?;
        if options.if_match.is_some() && options.if_match != object.entry.fingerprint {
            return Err(StoreError::new(ErrorKind::Precondition, Operation::Read).with_key(key));
        }
        let range = options.range.unwrap_or(0..object.entry.size);
        let body = Content::from(object.content).read(range).await?;
        Ok(Download::new(object.entry, body).with_checked(true))
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        let (bytes, is_copy) = match content.origin_as::<Self>() {
            Some((store, entry)) => (store.listed(&entry)?, true),
            None => (content.read_to_bytes(0..content.size()).await?, false),
        };
        if is_copy {
            content.count(content.size());
        }
        let mut state = self.state();
        state.usage.add("put", 1);
        expect(state.objects.get(key), &options.expect, key)?;
        state.puts += 1;
        let entry = Entry {
            key: key.clone(),
            kind: if key.is_marker() { Kind::Marker } else { Kind::File },
            size: bytes.len() as u64,
            modified: Some(options.modified.unwrap_or_else(SystemTime::now)),
            fingerprint: Some(Fingerprint::tagged(TAG, &state.puts.to_le_bytes())),
            digest: Some(Digest::Md5(Md5::digest(&bytes).into())),
            checksum: None,
            availability: Availability::Ready,
        };
        state.objects.insert(key.clone(), Object { content: bytes, entry: entry.clone() });
        Ok(Stored::new(entry).with_verified(is_copy || content.is_checked()))
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let mut state = self.state();
        state.usage.add("delete", keys.len().div_ceil(DELETE_BATCH) as u64);
        keys.iter()
            .map(|DeleteKey { key, unless_changed, .. }| {
                let changed = |object: &Object| unless_changed.as_ref().is_some_and(|seen| !seen.is(&object.entry));
                if state.objects.get(key).is_some_and(changed) {
                    return Err(StoreError::new(ErrorKind::Precondition, Operation::Delete).with_key(key));
                }
                state.objects.remove(key);
                Ok(())
            })
            .collect()
    }

    async fn unfinished(&self, _prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        Ok(Vec::new())
    }

    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        puts.iter().map(|_| Ok(())).collect()
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.state().usage.add("copy", 1);
        let object = self.find(from, Operation::Copy)?;
        Ok(self.put(to, Content::from(object.content), PutOptions::default()).await?.entry)
    }
}

fn expect(found: Option<&Object>, expect: &Expect, key: &Key) -> Result<()> {
    let kind = match (expect, found) {
        (Expect::Anything, _) | (Expect::Absent, None) => return Ok(()),
        (Expect::Unchanged(seen), Some(object)) if object.entry.fingerprint.as_ref() == Some(seen) => return Ok(()),
        (Expect::Absent, Some(_)) => ErrorKind::AlreadyExists,
        (Expect::Unchanged(_), _) => ErrorKind::Precondition,
    };
    Err(StoreError::new(kind, Operation::Write).with_key(key))
}

impl fmt::Display for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory://{}", self.name)
    }
}
