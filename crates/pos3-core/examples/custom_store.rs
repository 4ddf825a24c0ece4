//! A custom backend: a hash map. Its listings have no order, and its capabilities state that.
//!
//! `cargo run -p pos3-core --features conformance --example custom_store` syncs from it; `cargo test` on the same
//! target runs the conformance suite on it. Implement the required methods and report `capabilities` truthfully; the engine
//! does the rest.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use pos3_core::{
    Backend, Capabilities, Content, DeleteKey, Download, Entry, EntryStream, ErrorKind, Fingerprint, GetOptions, Key,
    ListOptions, MemoryStore, Operation, PutOptions, Reads, RemoteStore, RemoteStoreExt, Result, StoreError, Stored,
    SyncJob, SyncOptions, Tree, Unfinished, Usage,
};

/// Objects in a hash map.
#[derive(Debug, Default)]
pub(crate) struct HashStore {
    objects: RwLock<HashMap<Key, (Entry, Bytes)>>,
    versions: AtomicU64,
}

impl HashStore {
    fn find(&self, key: &Key, operation: Operation) -> Result<(Entry, Bytes)> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        objects.get(key).cloned().ok_or_else(|| StoreError::new(ErrorKind::NotFound, operation).with_key(key))
    }
}

#[async_trait]
impl RemoteStore for HashStore {
    /// Unordered listings, no conditional puts, reads without requests: the engine sorts, and relies on nothing else. The
    /// namespace is flat by default, so `a` and `a/x` can both be objects.
    fn capabilities(&self) -> Capabilities {
        Capabilities::new().with_ordered(false).with_reads(Reads::Local).with_conditional_delete(true)
    }

    fn backend(&self, key: &Key) -> Option<Backend<'_>> {
        Some(Backend::new(self, key))
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let after = options.start_after.as_ref();
        let wanted = |key: &Key| key.as_str().starts_with(prefix) && after.is_none_or(|after| key > after);
        let mut entries: HashMap<Key, Entry> = HashMap::new();
        for (entry, _) in objects.values().filter(|(entry, _)| wanted(&entry.key)) {
            let level = entry.key.as_str()[prefix.len()..].find('/').filter(|_| options.shallow);
            let shown = match level {
                Some(end) => Entry::directory(&entry.key.as_str()[..=prefix.len() + end]),
                None => entry.clone(),
            };
            entries.insert(shown.key.clone(), shown);
        }
        stream::iter(entries.into_values().map(Ok)).boxed()
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        Ok(self.find(key, Operation::LookUp)?.0)
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        let (entry, content) = self.find(key, Operation::Read)?;
        if options.if_match.is_some() && options.if_match != entry.fingerprint {
            return Err(StoreError::new(ErrorKind::Precondition, Operation::Read).with_key(key));
        }
        let range = options.range.unwrap_or(0..entry.size);
        let body = Content::from(content).read(range).await?;
        Ok(Download::new(entry, body).with_checked(true))
    }

    async fn put(&self, key: &Key, content: Content, _options: PutOptions) -> Result<Stored> {
        // Read all bytes first, so that damaged content never replaces an existing object.
        let bytes = content.read_to_bytes(0..content.size()).await?;
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        let size = bytes.len() as u64;
        let entry = if key.is_marker() { Entry::marker(key.clone(), size) } else { Entry::file(key.clone(), size) };
        let entry =
            entry.with_modified(SystemTime::now()).with_fingerprint(Fingerprint::tagged(0xf5, &version.to_le_bytes()));
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        objects.insert(key.clone(), (entry.clone(), bytes));
        Ok(Stored::new(entry).with_verified(content.is_checked()))
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let mut delete = |asked: &DeleteKey| {
            let seen = asked.unless_changed.as_ref();
            if objects.get(&asked.key).is_some_and(|(found, _)| seen.is_some_and(|seen| !seen.is(found))) {
                return Err(StoreError::new(ErrorKind::Precondition, Operation::Delete).with_key(&asked.key));
            }
            objects.remove(&asked.key);
            Ok(())
        };
        keys.iter().map(&mut delete).collect()
    }

    /// Every put completes at once, so none is ever unfinished.
    async fn unfinished(&self, _prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        Ok(Vec::new())
    }

    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        puts.iter().map(|_| Ok(())).collect()
    }

    async fn copy(&self, from: &Key, _to: &Key) -> Result<Entry> {
        Err(StoreError::new(ErrorKind::Unsupported, Operation::Copy).with_key(from))
    }
}

impl fmt::Display for HashStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hash://")
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let (source, target) = (Arc::new(HashStore::default()), Arc::new(MemoryStore::new()));
    for name in ["b/two", "a-one", "a/three"] {
        source.write(&Key::from(name), name.as_bytes().to_vec().into()).await?;
    }
    let report = SyncJob::new(Tree::new(source), Tree::new(target.clone()), SyncOptions::default()).run().await;
    let report = report.into_result()?;
    println!("copied {} objects, {} bytes:", report.copied, report.copied_bytes);
    for entry in target.list_all("").await? {
        println!("  {} ({} bytes)", entry.key, entry.size);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pos3_core::conformance::Subject;

    pos3_core::conformance!(hash_store, async || Subject::new(Arc::new(HashStore::default())));
}
