//! Reading: HEAD, and GET of whole objects and of ranges.
//!
//! If a body is truncated or stalls, the read resumes at that position, on condition that the object has not changed.
//! So the reader gets exactly the bytes of one version of the object, or an error. A whole object is compared with the
//! checksum that the server stores, and its last piece is returned only after that.

mod parts;
mod proof;

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use http::header::{IF_MATCH, RANGE};
use http::{HeaderMap, StatusCode};
use object_store::client::{HttpError, HttpResponse};
use pos3_core::{
    ByteStream, Digest, Download, Entry, ErrorKind, Fingerprint, GetOptions, Key, Operation, Result, StoreError,
    hash_chunk,
};

use crate::archive;
use crate::bucket::{Bucket, check_key};
use crate::checksum::{self, MODE};
use crate::client::Answer;
use crate::client::floor::Floor;
use crate::client::request::Request;
use crate::client::retry::Attempts;
use crate::error::Failure;
use crate::etag;
use crate::headers::header;
use crate::operation::S3Operation;
use crate::time::parse_http_date;
use proof::Proof;

/// The number of bytes after which the counter of attempts is reset. Without this minimum, a read would never end if
/// each connection failed after ten bytes.
const PROGRESS: u64 = 64 << 10;

/// The number of times that a small object is read again because it arrived damaged. The engine does the same for larger
/// ones, and does not repeat this.
const DAMAGED: u32 = 2;

impl Bucket {
    /// Returns the entry of an object.
    pub(crate) async fn head(&self, key: &Key) -> Result<Entry> {
        self.head_if(key, None, Operation::LookUp).await.map(|(entry, _)| entry)
    }

    /// Returns the entry and the headers of an object. Fails if its fingerprint is not the expected one.
    pub(crate) async fn head_if(
        &self,
        key: &Key,
        expected: Option<&Fingerprint>,
        operation: Operation,
    ) -> Result<(Entry, HeaderMap)> {
        check_key(operation, key)?;
        let exchange = async {
            let request = self.head_request(key, expected)?;
            self.exchange(&request, |answer| self.head_answer(key, answer)).await
        };
        let (mut entry, headers) = exchange.await.map_err(|failure| self.error(operation, key, failure))?;
        if !self.client.compares() {
            entry.digest = None;
        }
        if expected.is_some() && entry.fingerprint.as_ref() != expected {
            return Err(StoreError::new(ErrorKind::Precondition, operation).with_key(key));
        }
        Ok((entry, headers))
    }

    /// Sends one HEAD request. Its caller decides whether to repeat it.
    pub(crate) async fn head_once(&self, key: &Key) -> Result<Entry, Failure> {
        let request = self.head_request(key, None)?;
        let answered = self.client.exchange_once(&self.counters, &request, |answer| self.head_answer(key, answer));
        answered.await.map(|(entry, _)| entry)
    }

    fn head_request(&self, key: &Key, expected: Option<&Fingerprint>) -> Result<Request, Failure> {
        let mut request = self.object_request(S3Operation::HeadObject, key, &[])?;
        if self.client.compares() {
            request = request.header(MODE, "ENABLED")?;
        }
        match expected {
            Some(fingerprint) => request.header(IF_MATCH, &etag::quoted(fingerprint)),
            None => Ok(request),
        }
    }

    fn head_answer(&self, key: &Key, answer: &Answer) -> Result<(Entry, HeaderMap), Failure> {
        let size = content_length(&answer.headers)
            .ok_or_else(|| Failure::Garbled("the response does not state the size of the object".into()))?;
        Ok((self.entry(key, size, &answer.headers)?, answer.headers.clone()))
    }

    /// Reads an object or a range of it.
    pub(crate) async fn get(self: &Arc<Self>, key: &Key, options: GetOptions) -> Result<Download> {
        check_key(Operation::Read, key)?;
        if options.range.as_ref().is_some_and(Range::is_empty) {
            // HTTP cannot express an empty range.
            let (entry, _) = self.head_if(key, options.if_match.as_ref(), Operation::Read).await?;
            return Ok(Download::new(entry, stream::empty().boxed()));
        }
        let mut reading = Reading {
            bucket: self.clone(),
            key: key.clone(),
            if_match: options.if_match,
            modified: None,
            attempts: self.client.attempts(),
            proof: None,
            damaged: 0,
            begun: false,
            progress: 0,
        };
        let mut opened =
            reading.open(options.range).await.map_err(|failure| self.error(Operation::Read, key, failure))?;
        let mut entry = opened.entry.clone();
        if !self.client.compares() {
            entry.digest = None;
        }
        reading.if_match = entry.fingerprint.clone();
        reading.modified = entry.modified;
        reading.proof = opened.proof.take();
        let checked = reading.proof.is_some();
        Ok(Download::new(entry, reading.body(opened)).with_checked(checked))
    }

    fn entry(&self, key: &Key, size: u64, headers: &HeaderMap) -> Result<Entry, Failure> {
        let digest = self.client.digest(headers).filter(|digest| etag::is_possible(digest, size));
        Ok(Entry { digest, ..entry(key, size, headers)? })
    }
}

/// A read, which may need several requests.
struct Reading {
    bucket: Arc<Bucket>,
    key: Key,
    if_match: Option<Fingerprint>,
    /// The time of the object in the first response. A gateway may keep the ETag of content that was replaced.
    modified: Option<SystemTime>,
    attempts: Attempts,
    /// Compares the whole object with its checksum.
    proof: Option<Proof>,
    /// The number of times that the object arrived damaged.
    damaged: u32,
    /// Some bytes have been returned to the caller.
    begun: bool,
    /// The number of bytes received since the last failure.
    progress: u64,
}

/// A response whose body has not been read completely.
struct Opened {
    entry: Entry,
    /// The range of the object that is still to be received.
    range: Range<u64>,
    /// The number of bytes to skip before that range, because the server ignored the requested range.
    skip: u64,
    chunks: BoxStream<'static, Result<Bytes, HttpError>>,
    floor: Floor,
    /// Compares the whole object with its checksum, if the whole object was requested.
    proof: Option<Proof>,
}

impl Reading {
    /// Sends the request until there is a usable response, within the limit of attempts.
    async fn open(&mut self, range: Option<Range<u64>>) -> Result<Opened, Failure> {
        let mut request = self.bucket.object_request(S3Operation::GetObject, &self.key, &[])?;
        if let Some(range) = &range {
            request = request.header(RANGE, &format!("bytes={}-{}", range.start, range.end - 1))?;
        }
        if let Some(fingerprint) = &self.if_match {
            request = request.header(IF_MATCH, &etag::quoted(fingerprint))?;
        }
        let client = &self.bucket.client;
        if range.is_none() && client.compares() {
            request = request.header(MODE, "ENABLED")?;
        }
        loop {
            let answer = client.attempt(&self.bucket.counters, &request).await;
            match answer.and_then(|answer| self.check(answer, range.clone())) {
                Ok(opened) => return Ok(opened),
                Err(failure) => client.again(&mut self.attempts, failure).await?,
            }
        }
    }

    /// Checks that the response has the requested range of the requested object.
    fn check(&self, answer: HttpResponse, range: Option<Range<u64>>) -> Result<Opened, Failure> {
        let (head, body) = answer.into_parts();
        let garbled = |why: &str| Failure::Garbled(why.to_owned());
        let (size, sent) = if head.status == StatusCode::PARTIAL_CONTENT {
            content_range(&head.headers).ok_or_else(|| garbled("the response does not state its range"))?
        } else {
            let size = content_length(&head.headers)
                .ok_or_else(|| garbled("the response does not state the size of the object"))?;
            (size, 0..size)
        };
        let compares = range.is_none() && self.bucket.client.compares();
        let digest = self.digest(&head.headers).filter(|digest| etag::is_possible(digest, size));
        let proof = if compares { Proof::of(&head.headers, digest) } else { None };
        let wanted = range.unwrap_or(0..size);
        if wanted.start < sent.start || wanted.end > sent.end {
            return Err(if wanted.end > size {
                Failure::Request(format!("the range {}-{} lies outside the content", wanted.start, wanted.end))
            } else {
                garbled("the response has another range than requested")
            });
        }
        let entry = self.bucket.entry(&self.key, size, &head.headers)?;
        if differs(self.if_match.as_ref(), entry.fingerprint.as_ref()) || differs(self.modified, entry.modified) {
            return Err(Failure::Changed);
        }
        let client = &self.bucket.client;
        let floor = client.floor(client.config().idle_timeout);
        let (skip, chunks) = (wanted.start - sent.start, body.bytes_stream());
        Ok(Opened { entry, skip, range: wanted, chunks, floor, proof })
    }

    /// Returns the digest of the requested object: that of the response's ETag, or that of the requested fingerprint if
    /// the response has no ETag.
    fn digest(&self, headers: &HeaderMap) -> Option<Digest> {
        let client = &self.bucket.client;
        if !header(headers, "etag").is_empty() {
            return client.digest(headers);
        }
        let asked = self.if_match.as_ref().and_then(Fingerprint::as_str).and_then(etag::digest);
        asked.filter(|_| client.has_digests() && !etag::is_encrypted(headers))
    }

    /// Returns the body as a stream that resumes by itself after a failure.
    fn body(self, opened: Opened) -> ByteStream {
        stream::try_unfold((self, opened), |(mut reading, mut opened)| async move {
            match reading.chunk(&mut opened).await {
                Ok(None) => Ok(None),
                Ok(Some(chunk)) => Ok(Some((chunk, (reading, opened)))),
                Err(error) => Err(error),
            }
        })
        .boxed()
    }

    /// Returns the next bytes, or `None` when the range is complete.
    async fn chunk(&mut self, opened: &mut Opened) -> Result<Option<Bytes>> {
        while !opened.range.is_empty() {
            let failure = match opened.next().await {
                Ok(Some(chunk)) => match self.compared(&chunk, opened.range.is_empty()).await {
                    Ok(()) => {
                        self.progress += chunk.len() as u64;
                        if self.progress >= PROGRESS {
                            self.attempts.renew();
                        }
                        self.begun = true;
                        return Ok(Some(chunk));
                    }
                    Err(failure) if self.begun => return Err(self.unrepeated(failure)),
                    Err(failure) => {
                        // Nothing has been returned to the caller yet, so the object can be read again from the start.
                        opened.range.start -= chunk.len() as u64;
                        self.damaged += 1;
                        if self.damaged > DAMAGED { failure.without_repeats() } else { failure }
                    }
                },
                Ok(None) => Failure::Garbled("the content is truncated".to_owned()),
                Err(failure) => failure,
            };
            if self.if_match.is_none() {
                return Err(self.unrepeated(failure));
            }
            self.progress = 0;
            // A response that is no longer read does not count as a request in flight during the pause.
            opened.chunks = stream::empty().boxed();
            *opened = match self.reopen(failure, opened.range.clone()).await {
                Ok(opened) => opened,
                Err(failure) => return Err(self.bucket.error(Operation::Read, &self.key, failure)),
            };
        }
        Ok(None)
    }

    async fn reopen(&mut self, failure: Failure, range: Range<u64>) -> Result<Opened, Failure> {
        self.bucket.client.again(&mut self.attempts, failure).await?;
        self.open(Some(range)).await
    }

    /// Returns the error of a read that only the caller can repeat from its start.
    fn unrepeated(&self, failure: Failure) -> StoreError {
        let Bucket { client, name, .. } = &*self.bucket;
        client.error_of_one_attempt(Operation::Read, Some(&self.key), name, failure)
    }

    /// Compares the object with its checksum after its last bytes have arrived.
    async fn compared(&mut self, chunk: &Bytes, is_last: bool) -> Result<(), Failure> {
        let Some(proof) = self.proof.take() else { return Ok(()) };
        let proof = self.proof.insert(hash_chunk(proof, chunk.clone(), Proof::update).await);
        if !is_last || proof.holds() {
            return Ok(());
        }
        let is_received_again =
            proof.md5s().is_some_and(|(etag, received)| self.bucket.client.is_received_again(etag, received));
        proof.reset();
        if is_received_again {
            return Err(Failure::OtherMd5);
        }
        Err(Failure::Garbled("the checksum of the received content differs from the stored one".to_owned()))
    }
}

impl Opened {
    /// Returns the next bytes of the requested range, or `None` at the end of the response.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let size = |chunk: &Result<Option<Bytes>, HttpError>| {
            chunk.as_ref().ok().and_then(Option::as_ref).map_or(0, Bytes::len)
        };
        loop {
            let chunk = self.floor.next(self.chunks.try_next(), size).await??;
            let Some(mut chunk) = chunk else { return Ok(None) };
            let skipped = self.skip.min(chunk.len() as u64);
            self.skip -= skipped;
            drop(chunk.split_to(usize::try_from(skipped).unwrap_or(usize::MAX)));
            let left = self.range.end - self.range.start;
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            if !chunk.is_empty() {
                self.range.start += chunk.len() as u64;
                return Ok(Some(chunk));
            }
        }
    }
}

/// Returns the entry from the headers of a HEAD or GET response, without its digest.
///
/// A response with neither an ETag nor a date does not describe an object: a server that normalises paths responds to
/// GET of the key `/` with a listing of the bucket.
fn entry(key: &Key, size: u64, headers: &HeaderMap) -> Result<Entry, Failure> {
    let etag = header(headers, "etag");
    let mut entry = if key.is_marker() { Entry::marker(key.clone(), size) } else { Entry::file(key.clone(), size) };
    entry.modified = parse_http_date(header(headers, "last-modified"));
    entry.fingerprint = etag::fingerprint(etag);
    entry.checksum = checksum::told(headers);
    entry.availability = archive::told(headers);
    if entry.fingerprint.is_none() && entry.modified.is_none() {
        return Err(Failure::Garbled("the response does not describe an object".into()));
    }
    Ok(entry)
}

/// Returns true if both are known and differ.
fn differs<T: PartialEq>(known: Option<T>, told: Option<T>) -> bool {
    known.zip(told).is_some_and(|(known, told)| known != told)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    header(headers, "content-length").parse().ok()
}

/// Parses `bytes 0-9/100` as the total size and the range.
fn content_range(headers: &HeaderMap) -> Option<(u64, Range<u64>)> {
    let (range, size) = header(headers, "content-range").strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (size, first, last): (u64, u64, u64) = (size.parse().ok()?, first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < size).then_some((size, first..last + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_or_refused() {
        for (text, expected) in [
            ("bytes 0-9/100", Some((100, 0..10))),
            ("bytes 99-99/100", Some((100, 99..100))),
            ("bytes 99-100/100", None),
            ("bytes 9-0/100", None),
            ("bytes 0-9/*", None),
            ("bytes */100", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("content-range", text.parse().unwrap());
            assert_eq!(content_range(&headers), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_without_an_object_is_no_entry() {
        let mut headers = HeaderMap::new();
        assert!(entry(&Key::from("/"), 5, &headers).is_err());
        headers.insert("etag", "\"x\"".parse().unwrap());
        assert_eq!(entry(&Key::from("/"), 5, &headers).unwrap().size, 5);
    }
}
