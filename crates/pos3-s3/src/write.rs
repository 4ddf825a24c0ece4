//! Writing: one PUT for what is small, parts for what is large, a copy inside the server for what is there already.

mod multipart;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use md5::{Digest as _, Md5};
use pos3_core::{Content, Digest, Entry, ErrorKind, Expect, Key, PutOptions, Result, StoreError};

use crate::bucket::{Bucket, check_key, header};
use crate::client::config::{ConditionalWrites, PayloadSigning};
use crate::client::request::Request;
use crate::client::sign::Payload;
use crate::error::Failure;
use crate::etag;
use crate::operation::Operation;

pub(crate) use multipart::{PartSource, Upload, part_size_for};

/// A body larger than this is hashed on a thread of its own, so that other requests go on meanwhile.
const HASHED_IN_PLACE: usize = 1 << 20;

/// Headers that describe an object, made before anything is sent.
pub(crate) type ObjectHeaders = Vec<(HeaderName, HeaderValue)>;

impl Bucket {
    /// Stores content in the way that suits it.
    pub(crate) async fn put(self: &Arc<Self>, key: &Key, content: Content, options: PutOptions) -> Result<Entry> {
        check_key("write", key)?;
        let headers = object_headers(&options).map_err(|failure| self.error("write", key, failure))?;
        if let Some(entry) = self.put_by_copy(key, &content, &options, &headers).await? {
            return Ok(entry);
        }
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

/// Returns the headers for the media type and the user's metadata.
fn object_headers(options: &PutOptions) -> Result<ObjectHeaders, Failure> {
    let mut headers = ObjectHeaders::new();
    if let Some(content_type) = &options.content_type {
        headers.push((CONTENT_TYPE, HeaderValue::from_str(content_type)?));
    }
    for (name, value) in &options.metadata {
        let header = HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes())
            .map_err(|_| Failure::Request(format!("the metadata name '{}' is not allowed", name.escape_debug())))?;
        headers.push((header, metadata_value(value)?));
    }
    Ok(headers)
}

/// Returns a metadata value as a header: what is not printable ASCII becomes an encoded word of RFC 2047, the form in
/// which S3 itself returns such values.
fn metadata_value(value: &str) -> Result<HeaderValue, Failure> {
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.trim() == value;
    if plain {
        return Ok(HeaderValue::from_str(value)?);
    }
    Ok(HeaderValue::try_from(format!("=?UTF-8?B?{}?=", BASE64.encode(value)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_cannot_break_a_request() {
        let mut options = PutOptions::default().with_content_type(Some("text/plain".into()));
        options.metadata.insert("name".into(), "value".into());
        options.metadata.insert("odd".into(), "line\nbreak é".into());
        let headers = object_headers(&options).unwrap();
        let shown: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(
            shown,
            [
                ("content-type", "text/plain"),
                ("x-amz-meta-name", "value"),
                ("x-amz-meta-odd", "=?UTF-8?B?bGluZQpicmVhayDDqQ==?=")
            ]
        );
        options.metadata.insert("a b".into(), "x".into());
        assert!(object_headers(&options).is_err());
        assert!(object_headers(&PutOptions::default().with_content_type(Some("a\nb".into()))).is_err());
    }

    #[test]
    fn an_answer_without_an_etag_is_no_success() {
        assert!(written(&Key::from("a"), 1, "").is_err());
        assert_eq!(written(&Key::from("a"), 1, "\"t\"").unwrap().fingerprint.unwrap().as_str(), Some("t"));
    }
}
