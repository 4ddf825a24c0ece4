//! Convenience on every store, in one place that nobody can implement differently.

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;

use super::{Content, GetOptions, ListOptions, PutOptions, RemoteStore, Result, collect_exactly};
use crate::entry::Entry;
use crate::key::Key;

/// Shorthands for small things: whole bodies in memory, single deletes.
#[async_trait]
pub trait RemoteStoreExt: RemoteStore {
    /// Reads a whole object into memory.
    async fn read(&self, key: &Key) -> Result<Bytes> {
        let download = self.get(key, GetOptions::default()).await?;
        collect_exactly(download.body, download.entry.size).await
    }

    /// Stores an object from memory.
    async fn write(&self, key: &Key, content: Content) -> Result<Entry> {
        self.put(key, content, PutOptions::default()).await
    }

    /// Deletes one key; a missing one is a success.
    async fn remove(&self, key: &Key) -> Result<()> {
        self.delete(std::slice::from_ref(key)).await.into_iter().collect()
    }

    /// Lists a whole prefix into memory.
    async fn list_all(&self, prefix: &str) -> Result<Vec<Entry>> {
        self.list(prefix, ListOptions::default()).try_collect().await
    }
}

impl<S: RemoteStore + ?Sized> RemoteStoreExt for S {}
