//! One bucket as seen by the requests about it: where it is, who counts them, and what its server was found unable to
//! do.

use std::sync::atomic::AtomicBool;

use http::HeaderMap;
use pos3_core::{Key, StoreError};

use crate::client::request::Request;
use crate::client::retry::Attempts;
use crate::client::uri::BucketUri;
use crate::client::{Answer, S3Client};
use crate::error::Failure;
use crate::operation::{Counters, Operation};

/// What a store and the tasks it starts share.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) client: S3Client,
    pub(crate) name: String,
    pub(crate) uri: BucketUri,
    pub(crate) counters: Counters,
    /// Set once the server has answered that it has no DeleteObjects.
    pub(crate) deletes_singly: AtomicBool,
}

/// A query, in the order of its names.
pub(crate) type Query<'q> = [(&'q str, &'q str)];

impl Bucket {
    /// Returns a request about the bucket itself.
    pub(crate) fn request(&self, operation: Operation, query: &Query<'_>) -> Result<Request, Failure> {
        Ok(Request::new(operation, &self.uri.host, self.uri.bucket(query)?))
    }

    /// Returns a request about an object.
    pub(crate) fn object_request(
        &self,
        operation: Operation,
        key: &Key,
        query: &Query<'_>,
    ) -> Result<Request, Failure> {
        Ok(Request::new(operation, &self.uri.host, self.uri.object(key.as_str(), query)?))
    }

    /// Sends a request until `read` accepts a whole answer.
    pub(crate) async fn exchange<T>(
        &self,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.exchange_counting(request, &mut self.client.attempts(), read).await
    }

    /// As [`exchange`](Self::exchange), for a caller that wants to know what became of earlier attempts.
    pub(crate) async fn exchange_counting<T>(
        &self,
        request: &Request,
        attempts: &mut Attempts,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.client.exchange(&self.counters, request, attempts, read).await
    }

    /// Returns the store's error for a failure that happened while doing `operation`.
    pub(crate) fn error(&self, operation: &'static str, key: &Key, failure: Failure) -> StoreError {
        failure.during(operation, Some(key), &self.name, self.client.server())
    }
}

/// Refuses the one key that would address the bucket itself: `DELETE /bucket/` removes a bucket.
pub(crate) fn check_key(operation: &'static str, key: &Key) -> Result<(), StoreError> {
    if key.as_str().is_empty() {
        let error = StoreError::new(pos3_core::ErrorKind::InvalidKey, operation);
        return Err(error.with_message("an object's key cannot be empty"));
    }
    Ok(())
}

/// Returns a header's text; absent and unreadable are empty.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
