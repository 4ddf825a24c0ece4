//! The common part of all requests about one bucket: its address, the request counters and the capabilities of its
//! server.

use pos3_core::{Key, Operation, StoreError};

use crate::client::habits::lack::Lack;
use crate::client::request::Request;
use crate::client::retry::Attempts;
use crate::client::{Answer, S3Client};
use crate::error::Failure;
use crate::operation::{Counters, S3Operation};
use crate::uri::BucketUri;

/// The data that a store shares with the tasks that it starts.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) client: S3Client,
    pub(crate) name: String,
    pub(crate) uri: BucketUri,
    pub(crate) counters: Counters,
    /// Deletes of many keys in one request.
    pub(crate) batches: Lack,
}

/// A query, sorted by name.
pub(crate) type Query<'q> = [(&'q str, &'q str)];

impl Bucket {
    /// Returns a request about the bucket itself.
    pub(crate) fn request(&self, operation: S3Operation, query: &Query<'_>) -> Result<Request, Failure> {
        Ok(Request::new(operation, &self.uri.host, self.uri.bucket(query)?))
    }

    /// Returns a request about an object.
    pub(crate) fn object_request(
        &self,
        operation: S3Operation,
        key: &Key,
        query: &Query<'_>,
    ) -> Result<Request, Failure> {
        Ok(Request::new(operation, &self.uri.host, self.uri.object(key.as_str(), query)?))
    }

    /// Sends a request until `read` accepts a complete response.
    pub(crate) async fn exchange<T>(
        &self,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.exchange_counting(request, &mut self.client.attempts(), read).await
    }

    /// Like [`exchange`](Self::exchange), but the caller provides the counter of attempts and can examine it
    /// afterwards.
    pub(crate) async fn exchange_counting<T>(
        &self,
        request: &Request,
        attempts: &mut Attempts,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.client.exchange(&self.counters, request, attempts, read).await
    }

    /// Returns the store's error for a failure during `operation`.
    pub(crate) fn error(&self, operation: Operation, key: &Key, failure: Failure) -> StoreError {
        self.client.error(operation, Some(key), &self.name, failure)
    }
}

/// Rejects the empty key, because a request with it would address the bucket itself: `DELETE /bucket/` deletes a
/// bucket.
pub(crate) fn check_key(operation: Operation, key: &Key) -> Result<(), StoreError> {
    if key.as_str().is_empty() {
        let error = StoreError::new(pos3_core::ErrorKind::InvalidKey, operation);
        return Err(error.with_message("an object's key cannot be empty"));
    }
    Ok(())
}
