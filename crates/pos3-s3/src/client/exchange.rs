//! Sends a request and reads its complete response.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http_body::Body as _;
use object_store::client::HttpResponseBody;
use tokio::time::timeout;

use super::floor::Floor;
use super::request::Request;
use super::retry::Attempts;
use super::{Answer, S3Client};
use crate::error::Failure;
use crate::operation::Counters;
use crate::settings::SlowestAnswer;

/// The size limit of a response that is read into memory, in bytes. A page of a thousand long keys is far smaller.
const LARGEST_ANSWER: usize = 64 << 20;

/// The time limit for a whole response, as a multiple of the request's patience.
const LONGEST_PATIENCE: u32 = 4;

impl S3Client {
    /// Sends a request until `read` accepts a complete response. So a truncated body, or an error in a response with a
    /// success status, is retried like any other failure.
    pub(crate) async fn exchange<T>(
        &self,
        counters: &Counters,
        request: &Request,
        attempts: &mut Attempts,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        loop {
            let failure = match self.exchange_once(counters, request, &read).await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            self.again(attempts, failure).await?;
        }
    }

    /// Sends a request once and returns the result of `read` for the complete response.
    pub(crate) async fn exchange_once<T>(
        &self,
        counters: &Counters,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.answer(counters, request).await.and_then(|answer| read(&answer))
    }

    async fn answer(&self, counters: &Counters, request: &Request) -> Result<Answer, Failure> {
        let (head, body) = self.attempt(counters, request).await?.into_parts();
        let body = match request.patience {
            None => collect(body, self.floor(self.config().idle_timeout), LARGEST_ANSWER).await?,
            // A server may send white space while it works.
            Some(patience) => {
                let limit = patience * LONGEST_PATIENCE;
                let floor = Floor::new(SlowestAnswer { bytes: 0, within: limit }, patience);
                let body = timeout(limit, collect(body, floor, LARGEST_ANSWER)).await;
                body.map_err(|_| Failure::Stalled(limit))??
            }
        };
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// Returns a watch on the transfer rate of a response body.
    pub(crate) fn floor(&self, idle: Duration) -> Floor {
        Floor::new(self.config().slowest_answer, idle)
    }
}

/// Reads a body into memory. It is a failure if the body is truncated, stalls or is too large.
pub(super) async fn collect(body: HttpResponseBody, mut floor: Floor, limit: usize) -> Result<Bytes, Failure> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit).min(limit);
    let mut chunks = body.bytes_stream();
    let mut whole = BytesMut::new();
    let mut first = Bytes::new();
    let size =
        |chunk: &Option<Result<Bytes, _>>| chunk.as_ref().and_then(|chunk| chunk.as_ref().ok()).map_or(0, Bytes::len);
    while let Some(chunk) = floor.next(chunks.next(), size).await? {
        let chunk = chunk?;
        if first.is_empty() && whole.is_empty() {
            first = chunk;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(expected.max(first.len() + chunk.len()));
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&chunk);
        if whole.len() > limit {
            return Err(Failure::Garbled(format!("the response is larger than {limit} bytes")));
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}
