//! Multipart uploads: an object sent, or copied inside the server, in parts.
//!
//! Parts of an upload that is neither completed nor aborted stay on the server and are paid for, so an upload that is
//! given up is aborted, also when whoever waited for it has gone away.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use md5::{Digest as _, Md5};
use pos3_core::{Content, Digest, Entry, Key, PutOptions, Reservation, Result, Slot};

use super::{ObjectHeaders, written};
use crate::bucket::{Bucket, header};
use crate::client::request::Request;
use crate::client::retry::Attempts;
use crate::client::sign::Payload;
use crate::client::stream::{self, Streamable};
use crate::client::xml;
use crate::copy::{CopySource, LONG};
use crate::error::Failure;
use crate::etag;
use crate::operation::Operation;

/// The most parts an object can have.
const MOST_PARTS: u64 = 10_000;

/// How often an abort is tried: whoever waits for it already has an error.
const ABORT_ATTEMPTS: u32 = 3;

/// Returns the size of a part, doubled until the object has no more parts than allowed.
pub(crate) fn part_size_for(size: u64, part_size: u64) -> u64 {
    let mut part_size = part_size.max(1);
    while size.div_ceil(part_size) > MOST_PARTS {
        part_size *= 2;
    }
    part_size
}

/// Where parts come from.
pub(crate) enum PartSource<'s> {
    /// They are read here and sent.
    Content(Content),
    /// The server has them already.
    Copy(CopySource<'s>),
}

/// An upload that the server has begun.
pub(crate) struct Upload {
    bucket: Arc<Bucket>,
    key: Key,
    id: String,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Closed,
}

/// A part that has been sent.
struct Sent {
    index: usize,
    etag: String,
    slot: PartSlot,
}

/// Which slot a part uses.
enum PartSlot {
    /// The one the caller holds for the whole put.
    Callers,
    /// One of its own, held until it is dropped.
    Own(#[expect(dead_code, reason = "it is held, not read")] Slot),
}

impl Upload {
    pub(crate) async fn create(bucket: Arc<Bucket>, key: &Key, headers: ObjectHeaders) -> Result<Self, Failure> {
        let mut request = bucket.object_request(Operation::CreateMultipartUpload, key, &[("uploads", "")])?;
        request.headers.extend(headers);
        let id = bucket
            .exchange(&request, |answer| {
                let [id] = answer.result("InitiateMultipartUploadResult", ["UploadId"])?;
                if id.is_empty() { Err(Failure::Garbled("the upload has no id".into())) } else { Ok(id) }
            })
            .await?;
        Ok(Self { bucket, key: key.clone(), id, state: State::Open })
    }

    /// Sends all parts and makes them an object, or aborts the upload.
    pub(crate) async fn finish(
        mut self,
        source: &PartSource<'_>,
        size: u64,
        part_size: u64,
        options: &PutOptions,
    ) -> Result<Entry> {
        let finished = match self.send(source, size, part_size, options).await {
            Ok(etags) => self.complete(&etags, size, options).await,
            Err(error) => Err(error),
        };
        self.state = State::Closed;
        if finished.is_err() {
            abort(&self.bucket, &self.key, &self.id).await;
        }
        finished
    }

    /// Sends the parts: one on the caller's slot, others beside it while slots are free.
    async fn send(
        &self,
        source: &PartSource<'_>,
        size: u64,
        part_size: u64,
        options: &PutOptions,
    ) -> Result<Vec<String>> {
        let ranges: Vec<Range<u64>> =
            (0..size.div_ceil(part_size)).map(|part| part * part_size..((part + 1) * part_size).min(size)).collect();
        let mut etags = vec![String::new(); ranges.len()];
        let mut running = FuturesUnordered::new();
        let mut callers_slot = Some(PartSlot::Callers);
        let mut next = 0;
        loop {
            let slot = if next == ranges.len() {
                None
            } else {
                callers_slot.take().or_else(|| options.budget.try_slot().map(PartSlot::Own))
            };
            let Some(slot) = slot else {
                let Some(sent) = running.next().await else { return Ok(etags) };
                record(sent?, &mut etags, &mut callers_slot);
                continue;
            };
            let reservation = options.budget.reserve(self.bytes_in_memory(source, &ranges[next]));
            futures::pin_mut!(reservation);
            let reservation = loop {
                tokio::select! {
                    reservation = &mut reservation => break reservation,
                    Some(sent) = running.next() => record(sent?, &mut etags, &mut callers_slot),
                }
            };
            running.push(self.part(source, next, ranges[next].clone(), slot, reservation));
            next += 1;
        }
    }

    async fn part(
        &self,
        source: &PartSource<'_>,
        index: usize,
        range: Range<u64>,
        slot: PartSlot,
        _held: Reservation,
    ) -> Result<Sent> {
        let number = (index + 1).to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", self.id.as_str())];
        let etag = match source {
            PartSource::Content(content) => self.upload_part(&query, content, range).await,
            PartSource::Copy(source) => self.copy_part(&query, source, range).await,
        };
        Ok(Sent { index, etag: etag.map_err(|failure| self.bucket.error("write", &self.key, failure))?, slot })
    }

    /// Returns how much of a part is in memory while it is sent.
    fn bytes_in_memory(&self, source: &PartSource<'_>, range: &Range<u64>) -> u64 {
        let size = range.end - range.start;
        match source {
            PartSource::Content(_) if self.bucket.client.streams() => size.min(stream::MEMORY),
            PartSource::Content(_) => size,
            PartSource::Copy(_) => 0,
        }
    }

    async fn upload_part(
        &self,
        query: &[(&str, &str)],
        content: &Content,
        range: Range<u64>,
    ) -> Result<String, Failure> {
        let request = self.bucket.object_request(Operation::UploadPart, &self.key, query)?;
        let request = self.carrying(request, content, range).await?;
        self.bucket
            .exchange(&request, |answer| match header(&answer.headers, "etag") {
                "" => Err(Failure::Garbled("the answer does not tell the ETag of a part".into())),
                etag => Ok(etag.to_owned()),
            })
            .await
    }

    /// Puts a range of content into a request, without holding it in memory where that is possible.
    async fn carrying(&self, request: Request, content: &Content, range: Range<u64>) -> Result<Request, Failure> {
        if self.bucket.client.streams() {
            return Ok(request.streamed(Streamable::new(content.clone(), range)));
        }
        let body = content.read_to_bytes(range).await?;
        let payload = self.bucket.payload(&body).await;
        Ok(request.body(body, payload))
    }

    async fn copy_part(
        &self,
        query: &[(&str, &str)],
        source: &CopySource<'_>,
        range: Range<u64>,
    ) -> Result<String, Failure> {
        let request = self.bucket.object_request(Operation::UploadPartCopy, &self.key, query)?;
        let request = source.part_of(request, &range)?;
        self.bucket
            .exchange(&request, |answer| {
                let [etag] = answer.result("CopyPartResult", ["ETag"])?;
                if etag.is_empty() { Err(Failure::Garbled("a copied part has no ETag".into())) } else { Ok(etag) }
            })
            .await
    }

    async fn complete(&self, etags: &[String], size: u64, options: &PutOptions) -> Result<Entry> {
        let mut attempts = self.bucket.client.attempts();
        let failure = match self.send_complete(etags, size, options, &mut attempts).await {
            Ok(entry) => return Ok(entry),
            Err(failure) => failure,
        };
        let gone = failure.refusal().is_some_and(|refusal| {
            matches!(refusal.code.as_str(), "NoSuchUpload" | "PreconditionFailed") || refusal.status.as_u16() == 404
        });
        let error = self.bucket.expectation_error(&self.key, failure, &options.expect);
        if gone && attempts.may_be_done() {
            return self.bucket.settle(&self.key, digest_of_parts(etags), size, error).await;
        }
        Err(error)
    }

    async fn send_complete(
        &self,
        etags: &[String],
        size: u64,
        options: &PutOptions,
        attempts: &mut Attempts,
    ) -> Result<Entry, Failure> {
        let body = Bytes::from(completion(etags));
        let payload = Payload::signed(&body);
        let query = [("uploadId", self.id.as_str())];
        let request = self.bucket.object_request(Operation::CompleteMultipartUpload, &self.key, &query)?;
        let request = self.bucket.expecting(request, &options.expect)?.body(body, payload).patience(LONG);
        self.bucket
            .exchange_counting(&request, attempts, |answer| {
                let [etag] = answer.result("CompleteMultipartUploadResult", ["ETag"])?;
                written(&self.key, size, &etag)
            })
            .await
    }
}

fn record(sent: Sent, etags: &mut [String], callers_slot: &mut Option<PartSlot>) {
    etags[sent.index] = sent.etag;
    if let PartSlot::Callers = sent.slot {
        *callers_slot = Some(PartSlot::Callers);
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.state == State::Closed {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (bucket, key, id) = (self.bucket.clone(), self.key.clone(), self.id.clone());
            runtime.spawn(async move { abort(&bucket, &key, &id).await });
        }
    }
}

async fn abort(bucket: &Bucket, key: &Key, id: &str) {
    let mut attempts = Attempts::new(ABORT_ATTEMPTS, bucket.client.config().longest_pause);
    let aborted = async {
        let request = bucket.object_request(Operation::AbortMultipartUpload, key, &[("uploadId", id)])?;
        bucket.exchange_counting(&request, &mut attempts, |_| Ok(())).await
    };
    if let Err(failure) = aborted.await {
        tracing::warn!(%key, bucket = bucket.name, ?failure, "an unfinished multipart upload may be left");
    }
}

/// Returns the document that names the parts.
fn completion(etags: &[String]) -> String {
    let mut document = String::with_capacity(80 + etags.len() * 110);
    document.push_str("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (index, etag) in etags.iter().enumerate() {
        let _infallible = write!(document, "<Part><PartNumber>{}</PartNumber><ETag>", index + 1);
        xml::escape_into(&mut document, etag);
        document.push_str("</ETag></Part>");
    }
    document.push_str("</CompleteMultipartUpload>");
    document
}

/// Returns the digest that the object has if its parts have these ETags, where those are MD5.
fn digest_of_parts(etags: &[String]) -> Option<Digest> {
    let mut whole = Md5::new();
    for etag in etags {
        let Some(Digest::Md5(part)) = etag::digest(etag) else { return None };
        whole.update(part);
    }
    Some(Digest::Md5OfParts { digest: whole.finalize().into(), parts: u32::try_from(etags.len()).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_with_the_object() {
        let mib = 1 << 20;
        for (size, expected) in
            [(17 * mib, 8 * mib), (80_000 * mib, 8 * mib), (80_000 * mib + 1, 16 * mib), (5 << 40, 1024 * mib)]
        {
            let part = part_size_for(size, 8 * mib);
            assert_eq!(part, expected, "{size}");
            assert!(size.div_ceil(part) <= MOST_PARTS);
        }
    }

    #[test]
    fn completion_names_the_parts_in_order() {
        assert_eq!(
            completion(&["\"a\"".into(), "b".into()]),
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><PartNumber>1</PartNumber>\
             <ETag>&quot;a&quot;</ETag></Part><Part><PartNumber>2</PartNumber><ETag>b</ETag></Part>\
             </CompleteMultipartUpload>"
        );
    }

    #[test]
    fn the_digest_of_parts_is_known_where_theirs_are() {
        let empty = "\"d41d8cd98f00b204e9800998ecf8427e\"".to_owned();
        let digest = digest_of_parts(&[empty.clone(), empty.clone()]);
        let expected = Md5::digest([Md5::digest(b"").as_slice(), Md5::digest(b"").as_slice()].concat());
        assert_eq!(digest, Some(Digest::Md5OfParts { digest: expected.into(), parts: 2 }));
        assert_eq!(digest_of_parts(&[empty, "opaque".into()]), None);
    }
}
