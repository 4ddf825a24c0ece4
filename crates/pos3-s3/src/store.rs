//! A bucket as a store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use pos3_core::{
    Backend, Capabilities, Content, DeleteKey, Download, Entry, EntryStream, GetOptions, Key, ListOptions, Operation,
    PutOptions, RemoteStore, Result, Stored, Unfinished, Usage,
};

use crate::bucket::Bucket;
use crate::client::S3Client;
use crate::client::habits::lack::Lack;
use crate::delete::BATCH;
use crate::list::Listing;
use crate::operation::Counters;
use crate::settings::S3ConfigError;
use crate::uri::BucketUri;

/// A bucket that is accessed through an [`S3Client`]. A clone is cheap and shares the request counters.
#[derive(Clone)]
pub struct S3Store(Arc<Bucket>);

impl S3Client {
    /// Returns the store of a bucket. It does not check that the bucket exists.
    ///
    /// # Errors
    ///
    /// Returns an error if no bucket can have this name.
    pub fn bucket(&self, name: &str) -> Result<S3Store, S3ConfigError> {
        self.config().check_bucket(name)?;
        let uri = self.server().bucket(name, self.config().addressing_of(name))?;
        Ok(S3Store::new(self.clone(), name, uri))
    }
}

impl S3Store {
    fn new(client: S3Client, name: &str, uri: BucketUri) -> Self {
        Self(Arc::new(Bucket {
            client,
            name: name.to_owned(),
            uri,
            counters: Counters::default(),
            batches: Lack::default(),
        }))
    }

    /// Returns the bucket's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the client of this bucket.
    pub fn client(&self) -> &S3Client {
        &self.0.client
    }
}

#[async_trait]
impl RemoteStore for S3Store {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new()
            .with_conditional_put(self.0.client.conditional())
            .with_server_copy(true)
            .with_conditional_delete(true)
            .with_delete_batch(BATCH)
    }

    fn backend(&self, key: &Key) -> Option<Backend<'_>> {
        Some(Backend::new(self, key))
    }

    fn usage(&self) -> Usage {
        self.0.counters.usage()
    }

    fn trouble(&self) -> Option<String> {
        let failure = self.0.client.trouble()?;
        Some(self.0.client.error(Operation::Send, None, &self.0.name, failure).cause())
    }

    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        Listing::new(self.0.clone(), prefix, options).boxed()
    }

    async fn head(&self, key: &Key) -> Result<Entry> {
        self.0.head(key).await
    }

    async fn head_confirmed(&self, key: &Key) -> Result<Entry> {
        self.0.head_confirmed(key).await
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        self.0.get(key, options).await
    }

    async fn part_size(&self, entry: &Entry) -> Result<Option<u64>> {
        self.0.part_size(entry).await
    }

    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        let origin = content.origin_as::<Self>().map(|(store, entry)| (store.0.clone(), entry));
        self.0.put(key, content, origin, options).await
    }

    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        self.0.delete(keys).await
    }

    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        self.0.unfinished(prefix).await
    }

    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        self.0.abandon(puts).await
    }

    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.0.copy(from, to).await
    }
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("bucket", &self.0.name).field("client", &self.0.client).finish()
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.0.name)
    }
}
