//! One request, ready to be signed and sent as often as it takes.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};

use super::sign::Payload;
use crate::error::Failure;
use crate::operation::Operation;

/// A request before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) payload: Payload,
    /// How long it may go without progress, where that differs from the usual.
    pub(crate) patience: Option<Duration>,
}

impl Request {
    pub(crate) fn new(operation: Operation, host: &HeaderValue, uri: Uri) -> Self {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(HOST, host.clone());
        Self { operation, uri, headers, body: Bytes::new(), payload: Payload::Empty, patience: None }
    }

    /// Sets a header; each is signed.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, Failure> {
        self.headers.insert(name, HeaderValue::from_str(value)?);
        Ok(self)
    }

    pub(crate) fn body(mut self, body: Bytes, payload: Payload) -> Self {
        self.body = body;
        self.payload = payload;
        self
    }

    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }
}
