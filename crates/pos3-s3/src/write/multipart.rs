//! Multipart uploads: an object sent, or copied inside the server, in parts.
//!
//! Parts of an upload that is neither completed nor aborted stay on the server and are paid for, so an upload that is
//! given up is aborted, also when whoever waited for it has gone away: unless a journal notes it, and it can be gone on
//! with.

mod note;
mod parts;
mod resume;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use md5::{Digest as _, Md5};
use pos3_core::{Checksum, Content, Digest, Entry, ErrorKind, Key, PutOptions, Result, StoreError};

use super::carry::is_near;
use super::{ObjectHeaders, expecting, written};
use crate::bucket::Bucket;
use crate::checksum::{self, ALGORITHM, CRC64NVME, FULL_OBJECT, KIND};
use crate::client::habits::{Manner, Protection};
use crate::client::retry::Attempts;
use crate::client::sign::Payload;
use crate::client::xml;
use crate::copy::{CopySource, LONG};
use crate::error::Failure;
use crate::etag;
use crate::operation::Operation;
use note::{Note, Origin};
use parts::Part;

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
    protection: Protection,
    state: State,
    /// The parts that are there already, by their index.
    there: Vec<(usize, Part)>,
    note: Option<Note>,
    /// Set when the server refused a part for what came with it.
    rejected: AtomicBool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Closed,
}

/// What the server says of an upload that it has begun.
struct Created {
    id: String,
    /// It repeats the algorithm it was asked for.
    knows_checksums: bool,
}

impl Bucket {
    /// Stores content in parts, going on with an earlier upload of it where a journal knows one.
    pub(super) async fn put_in_parts(
        self: &Arc<Self>,
        key: &Key,
        content: Content,
        options: &PutOptions,
        headers: ObjectHeaders,
    ) -> Result<Entry> {
        let size = content.size();
        let part_size = part_size_for(size, self.client.config().part_size);
        let protection = self.client.protection();
        let origin = Origin::new(key, &content, options, part_size, &headers);
        let resumed = match &origin {
            Some(origin) => self.resume(origin, &content, protection).await?,
            None => None,
        };
        let mut upload = match resumed {
            Some(upload) => upload,
            None => self.begin(key, &headers, protection, origin.clone()).await?,
        };
        let source = PartSource::Content(content);
        let failed = match upload.finish(&source, size, part_size, options).await {
            Ok(entry) => return Ok(entry),
            Err(error) => error,
        };
        let usual = Manner { protection, conditional: false };
        match self.client.plainer(usual).first() {
            Some(plainer) if upload.rejected.load(Ordering::Relaxed) => {
                let mut upload = self.begin(key, &headers, plainer.protection, origin).await?;
                let entry = upload.finish(&source, size, part_size, options).await?;
                self.client.learn(usual, *plainer);
                Ok(entry)
            }
            _ => Err(failed),
        }
    }

    async fn begin(
        self: &Arc<Self>,
        key: &Key,
        headers: &ObjectHeaders,
        protection: Protection,
        origin: Option<Origin>,
    ) -> Result<Upload> {
        let usual = Manner { protection, conditional: false };
        let mut manners = self.client.manners(usual);
        let created = loop {
            let created = self.create_upload(key, headers, manners.current().protection).await;
            if let Some(created) = manners.judge(created) {
                break created;
            }
        };
        let Created { id, knows_checksums } = created.map_err(|failure| self.error("write", key, failure))?;
        let mut protection = manners.current().protection;
        if protection == Protection::Crc64Nvme && !knows_checksums {
            self.client.lacks_checksums("ignores");
            protection = self.client.protection();
        }
        let mut upload = Upload::new(self.clone(), key, id, protection);
        if let Some(origin) = origin {
            let note = Note::new(origin, &upload.id, protection);
            note.save().await;
            upload.note = Some(note);
        }
        Ok(upload)
    }

    async fn create_upload(
        &self,
        key: &Key,
        headers: &ObjectHeaders,
        protection: Protection,
    ) -> Result<Created, Failure> {
        let mut request = self.object_request(Operation::CreateMultipartUpload, key, &[("uploads", "")])?;
        request.headers.extend(headers.iter().cloned());
        if protection == Protection::Crc64Nvme {
            request = request.header(ALGORITHM, "CRC64NVME")?.header(KIND, FULL_OBJECT)?;
        }
        self.exchange(&request, |answer| {
            let [id] = answer.result("InitiateMultipartUploadResult", ["UploadId"])?;
            if id.is_empty() {
                return Err(Failure::Garbled("the upload has no id".into()));
            }
            Ok(Created { id, knows_checksums: answer.headers.contains_key(ALGORITHM) })
        })
        .await
    }
}

impl Upload {
    /// Begins an upload of parts that the server has already.
    pub(crate) async fn of_copies(bucket: Arc<Bucket>, key: &Key, headers: &ObjectHeaders) -> Result<Self, Failure> {
        let created = bucket.create_upload(key, headers, Protection::None).await?;
        Ok(Self::new(bucket, key, created.id, Protection::None))
    }

    fn new(bucket: Arc<Bucket>, key: &Key, id: String, protection: Protection) -> Self {
        let (there, rejected) = (Vec::new(), AtomicBool::new(false));
        Self { bucket, key: key.clone(), id, protection, state: State::Open, there, note: None, rejected }
    }

    /// Sends all parts and makes them an object, or gives the upload up.
    pub(crate) async fn finish(
        &mut self,
        source: &PartSource<'_>,
        size: u64,
        part_size: u64,
        options: &PutOptions,
    ) -> Result<Entry> {
        let finished = match self.send(source, size, part_size, options).await {
            Ok(parts) => self.complete(source, &parts, size, options).await,
            Err(error) => Err(error),
        };
        self.state = State::Closed;
        let keeps = finished.as_ref().err().is_some_and(is_worth_keeping);
        match &self.note {
            Some(note) if keeps => note.save().await,
            note => {
                if finished.is_err() {
                    abort(&self.bucket, &self.key, &self.id).await;
                }
                if let Some(note) = note {
                    note.remove().await;
                }
            }
        }
        finished
    }

    async fn complete(
        &self,
        source: &PartSource<'_>,
        parts: &[Part],
        size: u64,
        options: &PutOptions,
    ) -> Result<Entry> {
        let sum = self.sum(parts).filter(|_| self.protection == Protection::Crc64Nvme);
        let arrived = self.compare_with_origin(source, sum).await?;
        let (entry, proven) = self.complete_as(parts, sum, size, options).await?;
        if let PartSource::Content(content) = source
            && proven
            && arrived
        {
            content.mark_verified();
        }
        Ok(entry)
    }

    /// Returns the checksum of the object, if that of every part is known.
    fn sum(&self, parts: &[Part]) -> Option<Checksum> {
        let (first, others) = parts.split_first()?;
        others.iter().try_fold(first.sum?, |whole, part| whole.combine(part.sum?, part.size))
    }

    /// Returns true if what was read here is known to be what its store holds.
    async fn compare_with_origin(&self, source: &PartSource<'_>, sum: Option<Checksum>) -> Result<bool> {
        let PartSource::Content(content) = source else { return Ok(false) };
        let (false, Some(sum)) = (is_near(content), sum) else { return Ok(is_near(content)) };
        match content.look_up().await?.and_then(|entry| entry.checksum) {
            Some(told @ Checksum::Crc64Nvme(_)) if told != sum => Err(StoreError::new(ErrorKind::Integrity, "read")
                .with_key(&self.key)
                .with_message("what was read has another checksum than what is stored")
                .temporary()),
            told => Ok(told == Some(sum)),
        }
    }

    /// Makes the parts an object, and returns whether it is proven that it is what was sent.
    async fn complete_as(
        &self,
        parts: &[Part],
        sum: Option<Checksum>,
        size: u64,
        options: &PutOptions,
    ) -> Result<(Entry, bool)> {
        let proven = parts.iter().all(|part| part.proven);
        let mut attempts = self.bucket.client.attempts().once_for_a_wrong_digest();
        let usual = Manner { protection: self.protection, ..self.bucket.client.manner(&options.expect) };
        let mut manners = self.bucket.client.manners(usual);
        let asked = loop {
            let asked = self.send_complete(parts, sum, size, options, manners.current(), &mut attempts).await;
            if let Some(asked) = manners.judge(asked) {
                break asked;
            }
        };
        let manner = manners.current();
        let failure = match asked {
            Ok((entry, told)) if told == sum && sum.is_some() => return Ok((entry, true)),
            Ok((entry, None)) => {
                if manner.protection == Protection::Crc64Nvme && !proven {
                    self.bucket.client.lacks_checksums("ignores");
                }
                return Ok((entry, proven));
            }
            // Every part arrived as it was sent: what is wrong is how the server puts their checksums together.
            Ok((entry, Some(_))) if proven || sum.is_none() => return Ok((entry, proven)),
            Ok(_) => return Err(self.damaged()),
            Err(failure) => failure,
        };
        if failure.is_wrong_digest() && proven {
            let plain = Manner { protection: Protection::None, ..usual };
            let attempts = &mut self.bucket.client.attempts();
            let entry = self.send_complete(parts, None, size, options, plain, attempts).await;
            self.bucket.client.lacks_checksums("miscalculates");
            return entry.map(|(entry, _)| (entry, true)).map_err(|failure| self.failed(failure, options));
        }
        self.complete_anyway(parts, sum, size, options, manner, &attempts, failure).await
    }

    /// Finds out whether a completion that failed has happened after all, or failed for a condition that does hold.
    #[expect(clippy::too_many_arguments, reason = "they are the completion that failed")]
    async fn complete_anyway(
        &self,
        parts: &[Part],
        sum: Option<Checksum>,
        size: u64,
        options: &PutOptions,
        usual: Manner,
        attempts: &Attempts,
        failure: Failure,
    ) -> Result<(Entry, bool)> {
        let gone = failure.refusal().is_some_and(|refusal| {
            matches!(refusal.code.as_str(), "NoSuchUpload" | "PreconditionFailed") || refusal.status.as_u16() == 404
        });
        let error = self.failed(failure, options);
        if gone && attempts.may_be_done() {
            let settled = self.bucket.settle(&self.key, digest_of_parts(parts), sum, size, error).await?;
            return Ok((settled, parts.iter().all(|part| part.proven)));
        }
        if error.kind() != ErrorKind::Precondition
            || !self.bucket.condition_was_misjudged(&self.key, &options.expect, usual).await
        {
            return Err(error);
        }
        let manner = Manner { conditional: false, ..usual };
        let attempts = &mut self.bucket.client.attempts();
        let (entry, told) = self
            .send_complete(parts, sum, size, options, manner, attempts)
            .await
            .map_err(|failure| self.failed(failure, options))?;
        Ok((entry, told.is_some() && told == sum))
    }

    fn failed(&self, failure: Failure, options: &PutOptions) -> StoreError {
        self.bucket.expectation_error(&self.key, failure, &options.expect)
    }

    fn damaged(&self) -> StoreError {
        StoreError::new(ErrorKind::Integrity, "write")
            .with_key(&self.key)
            .with_message("the server made an object of other bytes than were sent")
            .temporary()
    }

    /// Makes the parts an object; returns it and the checksum that the server tells of it.
    async fn send_complete(
        &self,
        parts: &[Part],
        sum: Option<Checksum>,
        size: u64,
        options: &PutOptions,
        manner: Manner,
        attempts: &mut Attempts,
    ) -> Result<(Entry, Option<Checksum>), Failure> {
        let body = Bytes::from(completion(parts));
        let payload = Payload::signed(&body);
        let query = [("uploadId", self.id.as_str())];
        let mut request = self.bucket.object_request(Operation::CompleteMultipartUpload, &self.key, &query)?;
        let sum = sum.filter(|_| manner.protection == Protection::Crc64Nvme);
        if let Some(sum) = sum.and_then(checksum::written) {
            request = request.header(CRC64NVME, &sum)?.header(KIND, FULL_OBJECT)?;
        }
        let request = expecting(request, &options.expect, manner)?.body(body, payload).patience(LONG);
        self.bucket
            .exchange_counting(&request, attempts, |answer| {
                let names = ["ETag", "ChecksumCRC64NVME"];
                let [etag, sum] = answer.result("CompleteMultipartUploadResult", names)?;
                Ok((written(&self.key, size, &etag)?, checksum::read_crc64_nvme(&sum)))
            })
            .await
    }
}

/// Returns true if an upload that failed so can be gone on with later. What arrived damaged cannot, and an upload that
/// expired credentials stopped can neither be aborted.
fn is_worth_keeping(error: &StoreError) -> bool {
    let passes = error.is_temporary() && error.kind() != ErrorKind::Integrity;
    passes || error.kind() == ErrorKind::Unauthenticated
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.state == State::Closed {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        match self.note.take() {
            Some(note) => runtime.spawn(async move { note.save().await }),
            None => {
                let (bucket, key, id) = (self.bucket.clone(), self.key.clone(), self.id.clone());
                runtime.spawn(async move { abort(&bucket, &key, &id).await })
            }
        };
    }
}

async fn abort(bucket: &Bucket, key: &Key, id: &str) {
    let mut attempts = Attempts::new(ABORT_ATTEMPTS, bucket.client.config().longest_pause);
    if let Err(failure) = bucket.abort(key, id, &mut attempts).await {
        tracing::warn!(%key, bucket = bucket.name, ?failure, "an unfinished multipart upload may be left");
    }
}

/// Returns the document that names the parts.
fn completion(parts: &[Part]) -> String {
    let mut document = String::with_capacity(80 + parts.len() * 110);
    document.push_str("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (index, part) in parts.iter().enumerate() {
        let _infallible = write!(document, "<Part><PartNumber>{}</PartNumber><ETag>", index + 1);
        xml::escape_into(&mut document, &part.etag);
        document.push_str("</ETag></Part>");
    }
    document.push_str("</CompleteMultipartUpload>");
    document
}

/// Returns the digest that the object has if its parts have these ETags, where those are MD5.
fn digest_of_parts(parts: &[Part]) -> Option<Digest> {
    let mut whole = Md5::new();
    for part in parts {
        let Some(Digest::Md5(part)) = etag::digest(&part.etag) else { return None };
        whole.update(part);
    }
    Some(Digest::Md5OfParts { digest: whole.finalize().into(), parts: u32::try_from(parts.len()).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(etag: &str) -> Part {
        Part { etag: etag.into(), size: 1, sum: None, proven: false }
    }

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
            completion(&[part("\"a\""), part("b")]),
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><PartNumber>1</PartNumber>\
             <ETag>&quot;a&quot;</ETag></Part><Part><PartNumber>2</PartNumber><ETag>b</ETag></Part>\
             </CompleteMultipartUpload>"
        );
    }

    #[test]
    fn the_digest_of_parts_is_known_where_theirs_are() {
        let empty = || part("\"d41d8cd98f00b204e9800998ecf8427e\"");
        let digest = digest_of_parts(&[empty(), empty()]);
        let expected = Md5::digest([Md5::digest(b"").as_slice(), Md5::digest(b"").as_slice()].concat());
        assert_eq!(digest, Some(Digest::Md5OfParts { digest: expected.into(), parts: 2 }));
        assert_eq!(digest_of_parts(&[empty(), part("opaque")]), None);
    }
}
