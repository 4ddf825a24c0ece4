//! Writing: one PUT for what is small, parts for what is large, a copy inside the server for what is there already.

mod description;
mod multipart;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use md5::{Digest as _, Md5};
use pos3_core::{Content, Digest, Entry, ErrorKind, Expect, Key, PutOptions, Result, StoreError};

use crate::bucket::{Bucket, check_key, header};
use crate::client::config::{ConditionalWrites, PayloadSigning};
use crate::client::request::Request;
use crate::client::sign::Payload;
use crate::error::Failure;
use crate::etag;
use crate::operation::Operation;

pub(crate) use description::{ObjectHeaders, with_content_type};
pub(crate) use multipart::{PartSource, Upload, part_size_for};

/// A body larger than this is hashed on a thread of its own, so that other requests go on meanwhile.
const HASHED_IN_PLACE: usize = 1 << 20;

impl Bucket {
    /// Stores content in the way that suits it.
    pub(crate) async fn put(self: &Arc<Self>, key: &Key, content: Content, options: PutOptions) -> Result<Entry> {
        check_key("write", key)?;
        let headers = description::told(&options).map_err(|failure| self.error("write", key, failure))?;
        if let Some(entry) = self.put_by_copy(key, &content, &options, &headers).await? {
            return Ok(entry);
        }
        let headers = with_content_type(headers, key);
        if content.size() > self.client.config().multipart_threshold {
            self.put_in_parts(key, content, &options, headers).await
        } else {
            self.put_whole(key, &content, &options, headers).await
        }
    }

    async fn put_whole(
        &self,
        key: &Key,
        content: &Content,
        options: &PutOptions,
        headers: ObjectHeaders,
    ) -> Result<Entry> {
        let size = content.size();
        let _held = options.budget.reserve(size).await;
        let body = content.read_to_bytes(0..size).await?;
        let mut attempts = self.client.attempts();
        let exchange = async {
            let mut request = self.object_request(Operation::PutObject, key, &[])?;
            request.headers.extend(headers);
            let request = self.expecting(request, &options.expect)?;
            let request = request.body(body.clone(), self.payload(&body).await);
            self.exchange_counting(&request, &mut attempts, |answer| {
                written(key, size, header(&answer.headers, "etag"))
            })
            .await
        };
        let failure = match exchange.await {
            Ok(entry) => return Ok(entry),
            Err(failure) => failure,
        };
        let error = self.expectation_error(key, failure, &options.expect);
        if attempts.may_be_done() && is_expectation(error.kind()) {
            return self.settle(key, Some(Digest::Md5(Md5::digest(&body).into())), size, error).await;
        }
        Err(error)
    }

    async fn put_in_parts(
        self: &Arc<Self>,
        key: &Key,
        content: Content,
        options: &PutOptions,
        headers: ObjectHeaders,
    ) -> Result<Entry> {
        let size = content.size();
        let part_size = part_size_for(size, self.client.config().part_size);
        let upload = Upload::create(self.clone(), key, headers).await;
        let upload = upload.map_err(|failure| self.error("write", key, failure))?;
        upload.finish(&PartSource::Content(content), size, part_size, options).await
    }

    /// Adds the condition that the caller expects to hold, where conditions are used.
    fn expecting(&self, request: Request, expect: &Expect) -> Result<Request, Failure> {
        match (self.client.config().conditional_writes, expect) {
            (ConditionalWrites::Off, _) | (_, Expect::Anything) => Ok(request),
            (ConditionalWrites::On, Expect::Absent) => request.header(IF_NONE_MATCH, "*"),
            (ConditionalWrites::On, Expect::Unchanged(seen)) => request.header(IF_MATCH, &etag::quoted(seen)),
        }
    }

    /// Returns the error of a write, in the words of what was expected.
    fn expectation_error(&self, key: &Key, failure: Failure, expect: &Expect) -> StoreError {
        let error = self.error("write", key, failure);
        let kind = match (expect, error.kind()) {
            (Expect::Absent, ErrorKind::Precondition) => ErrorKind::AlreadyExists,
            // S3 answers 404 to a condition on an object that is gone.
            (Expect::Unchanged(_), ErrorKind::NotFound) if !error.cause().contains("bucket") => ErrorKind::Precondition,
            _ => return error,
        };
        StoreError::new(kind, "write").with_key(key).with_source(error)
    }

    /// Finds out whether a write whose answer was lost has happened: then the object has the content that was sent.
    pub(crate) async fn settle(
        &self,
        key: &Key,
        digest: Option<Digest>,
        size: u64,
        error: StoreError,
    ) -> Result<Entry> {
        match self.head(key).await {
            Ok(entry) if digest.is_some() && entry.digest == digest && entry.size == size => Ok(entry),
            _ => Err(error),
        }
    }

    /// Returns what the signature says about content.
    async fn payload(&self, body: &Bytes) -> Payload {
        match self.client.config().payload_signing {
            _ if body.is_empty() => Payload::Empty,
            PayloadSigning::Unsigned => Payload::Unsigned,
            PayloadSigning::Signed if body.len() <= HASHED_IN_PLACE => Payload::signed(body),
            PayloadSigning::Signed => {
                let hashed = body.clone();
                let hashing = tokio::task::spawn_blocking(move || Payload::signed(&hashed));
                hashing.await.unwrap_or_else(|_| Payload::signed(body))
            }
        }
    }
}

fn is_expectation(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AlreadyExists | ErrorKind::Precondition)
}

/// Returns the entry of an object that was just written; an answer without its ETag does not say that it was.
pub(crate) fn written(key: &Key, size: u64, etag: &str) -> Result<Entry, Failure> {
    let fingerprint = etag::fingerprint(etag)
        .ok_or_else(|| Failure::Garbled("the answer does not tell the ETag of what was written".into()))?;
    let entry = if key.is_marker() { Entry::marker(key.clone(), size) } else { Entry::file(key.clone(), size) };
    let mut entry = entry.with_fingerprint(fingerprint);
    entry.digest = etag::digest(etag);
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_an_etag_is_no_success() {
        assert!(written(&Key::from("a"), 1, "").is_err());
        assert_eq!(written(&Key::from("a"), 1, "\"t\"").unwrap().fingerprint.unwrap().as_str(), Some("t"));
    }
}
