//! Convenience methods for every store, which a backend cannot implement differently.

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;

use super::{Backend, Content, DeleteKey, GetOptions, ListOptions, PutOptions, RemoteStore, Result, collect_exactly};
use crate::entry::Entry;
use crate::key::Key;

/// Shorthands for small operations: whole bodies in memory, single deletes.
#[async_trait]
pub trait RemoteStoreExt: RemoteStore {
    /// Reads a whole object into memory.
    async fn read(&self, key: &Key) -> Result<Bytes> {
        let download = self.get(key, GetOptions::default()).await?;
        collect_exactly(download.body, download.entry.size).await
    }

    /// Stores an object from memory.
    async fn write(&self, key: &Key, content: Content) -> Result<Entry> {
        Ok(self.put(key, content, PutOptions::default()).await?.entry)
    }

    /// Deletes one key. Succeeds if the key is missing.
    async fn remove(&self, key: &Key) -> Result<()> {
        self.delete(&[DeleteKey::new(key.clone())]).await.into_iter().collect()
    }

    /// Deletes any objects at these keys and returns the results, in the given order.
    async fn remove_all(&self, keys: &[Key]) -> Vec<Result<()>> {
        let keys: Vec<DeleteKey> = keys.iter().cloned().map(DeleteKey::new).collect();
        self.delete(&keys).await
    }

    /// Returns the store of type `S` that has the object at `key`, behind any wrappers, and its key there.
    fn backend_as<S: RemoteStore>(&self, key: &Key) -> Option<(&S, Key)> {
        self.backend(key).and_then(Backend::into_store)
    }

    /// Lists all entries under a prefix into memory.
    async fn list_all(&self, prefix: &str) -> Result<Vec<Entry>> {
        self.list(prefix, ListOptions::default()).try_collect().await
    }
}

impl<S: RemoteStore + ?Sized> RemoteStoreExt for S {}
