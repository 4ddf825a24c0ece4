//! A request before it is signed. It can be signed and sent any number of times.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Uri};
use pos3_core::CancellationToken;

use super::sign::Payload;
use super::stream::Streamable;
use crate::error::Failure;
use crate::operation::S3Operation;

/// How long a server may send nothing during a long operation, such as copying gigabytes or combining parts.
pub(crate) const LONG: Duration = Duration::from_secs(15 * 60);

/// The body of a request.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Bytes in memory.
    Held(Bytes),
    /// Content that is read again for each attempt.
    Streamed(Streamable),
}

impl Body {
    /// Returns the length in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Streamed(content) => content.size(),
        }
    }
}

/// A request before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: S3Operation,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) payload: Payload,
    /// How long the request may make no progress, if that differs from the default.
    pub(crate) patience: Option<Duration>,
    /// Once this is cancelled, the request is not sent any more.
    pub(crate) halt: Option<CancellationToken>,
}

impl Request {
    pub(crate) fn new(operation: S3Operation, host: &HeaderValue, uri: Uri) -> Self {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(HOST, host.clone());
        Self {
            operation,
            uri,
            headers,
            body: Body::Held(Bytes::new()),
            payload: Payload::Empty,
            patience: None,
            halt: None,
        }
    }

    /// Sets a header. The signature covers it.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, Failure> {
        self.headers.insert(name, HeaderValue::from_str(value)?);
        Ok(self)
    }

    pub(crate) fn body(mut self, body: Bytes, payload: Payload) -> Self {
        self.body = Body::Held(body);
        self.payload = payload;
        self
    }

    /// Sets content that is read while it is sent. The signature does not cover it.
    pub(crate) fn streamed(mut self, content: Streamable) -> Self {
        self.body = Body::Streamed(content);
        self.payload = Payload::Unsigned;
        self
    }

    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    pub(crate) fn until(mut self, halt: Option<&CancellationToken>) -> Self {
        self.halt = halt.cloned();
        self
    }

    /// Waits until the request must not be sent any more.
    pub(crate) async fn halted(&self) {
        match &self.halt {
            Some(halt) => halt.cancelled().await,
            None => std::future::pending().await,
        }
    }
}
