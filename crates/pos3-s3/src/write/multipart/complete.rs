//! Completes an upload. Afterwards the object has the content that was sent, or the write has failed.

use std::fmt::Write as _;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use pos3_core::{Checksum, Content, ContentFacts, Digest, Entry, ErrorKind, Operation, PutOptions, Result, StoreError};

use super::parts::Part;
use super::{Finished, PartSource, Upload};
use crate::checksum::{self, CRC64NVME, FULL_OBJECT, KIND};
use crate::client::Answer;
use crate::client::habits::{Manner, Protection, Unverified};
use crate::client::request::LONG;
use crate::client::retry::Attempts;
use crate::client::sign::Payload;
use crate::error::{Failure, Refusal};
use crate::etag;
use crate::operation::S3Operation;
use crate::write::carry::is_near;
use crate::write::{Doubt, REPEATS, Sent, Verdict, expecting, is_expectation, written};
use crate::xml;

/// An upload that the server has reported as completed.
pub(super) struct Completed {
    pub(super) entry: Entry,
    /// The checksum of the object in the response.
    pub(super) sum: Option<Checksum>,
    /// The object is encrypted, so its ETag is not a digest.
    pub(super) is_encrypted: bool,
    /// The object has been looked up and found to be correct.
    pub(super) is_seen: bool,
}

/// The request that completes an upload.
#[derive(Clone, Copy)]
struct Completion<'c> {
    parts: &'c [Part],
    /// The content, unless the server copied the parts.
    content: Option<&'c Content>,
    /// The checksum of the whole object, if it is sent.
    sum: Option<Checksum>,
    size: u64,
    options: &'c PutOptions,
}

impl Upload {
    /// Completes the upload and verifies that the object has the content that was sent. The result of a copy is
    /// verified by the caller.
    pub(super) async fn complete(
        &self,
        source: &PartSource<'_>,
        parts: &[Part],
        size: u64,
        options: &PutOptions,
    ) -> Result<Finished> {
        let sum = self.sum(parts).filter(|_| self.protection == Protection::Crc64Nvme);
        let arrived = self.compare_with_origin(source, sum).await?;
        self.refuse_damaged(parts)?;
        if let Some(witness) = &options.witness {
            let facts = ContentFacts { digest: digest_of_parts(parts), checksum: self.sum(parts) };
            witness.about_to_store(facts).await;
        }
        let content = if let PartSource::Content(content) = source { Some(content) } else { None };
        let (completed, proven) = self.complete_as(Completion { parts, content, sum, size, options }).await?;
        let Some(content) = content else {
            return Ok(Finished { entry: completed.entry, sum: completed.sum, verified: false });
        };
        let confirmed = self.confirm(content, parts, sum, completed, proven, &options.expect).await;
        let (entry, proven) = confirmed.map_err(|misstored| self.note_misstored(misstored))?;
        Ok(Finished { entry, sum, verified: proven && (arrived || content.is_checked()) })
    }

    /// Returns the checksum of the whole object, combined from those of the parts, if all of them are known.
    fn sum(&self, parts: &[Part]) -> Option<Checksum> {
        let (first, others) = parts.split_first()?;
        others.iter().try_fold(first.sum?, |whole, part| whole.combine(part.sum?, part.size))
    }

    /// Returns true if the content that was read here is verified to be what its store has.
    async fn compare_with_origin(&self, source: &PartSource<'_>, sum: Option<Checksum>) -> Result<bool> {
        let PartSource::Content(content) = source else { return Ok(false) };
        let (false, Some(sum)) = (is_near(content), sum) else {
            return if content.is_unnamed() {
                Err(content.unnamed(Operation::Read).with_key(&self.key))
            } else {
                Ok(is_near(content))
            };
        };
        match content.look_up().await?.and_then(|entry| entry.checksum) {
            Some(told @ Checksum::Crc64Nvme(_)) if told != sum => {
                Err(StoreError::new(ErrorKind::Integrity, Operation::Read)
                    .with_key(&self.key)
                    .with_message("the checksum of the content that was read differs from the stored one")
                    .temporary())
            }
            told if told != Some(sum) && content.is_unnamed() => {
                Err(content.unnamed(Operation::Read).with_key(&self.key))
            }
            told => Ok(told == Some(sum)),
        }
    }

    /// Completes the upload, and returns whether the response is evidence that the object has the content that was
    /// sent.
    async fn complete_as(&self, completion: Completion<'_>) -> Result<(Completed, bool)> {
        let Completion { parts, sum, options, .. } = completion;
        let proven = parts.iter().all(|part| part.proven);
        let mut attempts = self.bucket.client.attempts().once_for_a_wrong_digest();
        let usual = Manner { protection: self.protection, ..self.bucket.client.manner(&options.expect) };
        let mut manners = self.bucket.client.manners(&self.key, usual);
        let mut repeats = REPEATS;
        let asked = loop {
            let asked = self.send_complete(completion, manners.current(), &mut attempts).await;
            match manners.judge(asked).await {
                Some(Err(failure)) if failure.tells_nothing() && repeats > 0 => {
                    match self.settled(completion, self.failed(failure, options)).await {
                        Ok(completed) => return Ok((completed, proven)),
                        Err(error) if error.kind() == ErrorKind::Precondition => return Err(error),
                        Err(_) => repeats -= 1,
                    }
                }
                Some(asked) => break asked,
                None => {}
            }
        };
        let manner = manners.current();
        let failure = match asked {
            Ok(completed) => {
                let was_sent = sum.is_some() && manner.protection == Protection::Crc64Nvme;
                let is_told = sum.is_some() && completed.sum == sum;
                if was_sent && is_told {
                    self.bucket.client.has_verified();
                    self.bucket.client.has_calculated();
                } else if was_sent && completed.sum.is_none() && !proven {
                    self.bucket.client.lacks_verification(Unverified::Ignores, &self.key);
                }
                return Ok((completed, proven || is_told));
            }
            Err(failure) => failure,
        };
        // All parts arrived undamaged, so the server combines their checksums wrongly. Without the checksum of the
        // whole object, the completion succeeds.
        if failure.is_wrong_digest() && proven {
            let plain = Manner { protection: Protection::None, ..usual };
            let attempts = &mut self.bucket.client.attempts();
            let completed = self.send_complete(Completion { sum: None, ..completion }, plain, attempts).await;
            let completed = completed.map_err(|failure| self.failed(failure, options))?;
            self.bucket.client.lacks_verification(Unverified::Miscalculates, &self.key);
            return Ok((completed, true));
        }
        self.complete_anyway(completion, manner, &mut attempts, failure).await
    }

    /// Handles a completion that failed. An earlier attempt may have completed the upload and lost its response; then
    /// it has succeeded. Or the object is as expected: another writer has restored it, or the server misjudges
    /// conditions. The completion is then repeated.
    async fn complete_anyway(
        &self,
        completion: Completion<'_>,
        usual: Manner,
        attempts: &mut Attempts,
        mut failure: Failure,
    ) -> Result<(Completed, bool)> {
        let Completion { parts, sum, options, .. } = completion;
        let (mut manner, mut doubt) = (usual, Doubt::new());
        let proven = parts.iter().all(|part| part.proven);
        loop {
            let gone = failure.refusal().is_some_and(|refusal| {
                matches!(refusal.code.as_str(), "NoSuchUpload" | "PreconditionFailed") || refusal.status.as_u16() == 404
            });
            let is_about_condition = failure.refusal().is_some_and(Refusal::is_about_condition);
            let is_of_upload = failure.refusal().is_some_and(|refusal| refusal.code == "NoSuchUpload");
            let refused = failure.repeat();
            let error = self.failed(failure, options);
            // A completed upload no longer exists, so an earlier attempt may have completed it.
            if gone && attempts.may_be_done() {
                let error = if is_of_upload { self.unknown_completion(error) } else { error };
                return Ok((self.settled(completion, error).await?, proven));
            }
            if !is_expectation(error.kind()) || !is_about_condition {
                return Err(error);
            }
            manner = match self.bucket.after_refusal(&self.key, &options.expect, manner, &mut doubt).await {
                Verdict::Repeat(manner) => manner,
                Verdict::Justified => return Err(error),
                Verdict::Misjudged(why) => {
                    return Err(self.bucket.error(Operation::Write, &self.key, refused.misjudged(why)));
                }
            };
            attempts.renew();
            failure = match self.send_complete(completion, manner, attempts).await {
                Ok(completed) => {
                    self.bucket.client.learn(&self.key, usual, manner, doubt.evidence(&self.key));
                    let is_told = sum.is_some() && completed.sum == sum;
                    return Ok((completed, proven || is_told));
                }
                Err(failure) => failure,
            };
        }
    }

    /// Returns the completed object if the server has executed the completion. Otherwise, returns the error.
    async fn settled(&self, completion: Completion<'_>, error: StoreError) -> Result<Completed> {
        let (sent, expect) = (self.sent(completion), &completion.options.expect);
        let entry = self.bucket.settle(&self.key, &sent, expect, error).await?;
        Ok(Completed { entry, sum: completion.sum, is_encrypted: false, is_seen: true })
    }

    /// Returns the facts by which the object of an executed completion can be recognized.
    fn sent(&self, completion: Completion<'_>) -> Sent {
        let Completion { parts, content, size, .. } = completion;
        let content = content.map(Content::without_meter);
        Sent { digest: digest_of_parts(parts), checksum: self.sum(parts), size, content }
    }

    /// Returns the error of a completion whose first response was lost, and whose upload no longer exists.
    fn unknown_completion(&self, error: StoreError) -> StoreError {
        StoreError::new(error.kind(), error.operation())
            .with_key(&self.key)
            .with_message("the upload was completed or aborted, and no lookup shows an object with the sent content")
            .with_source(error)
    }

    fn failed(&self, failure: Failure, options: &PutOptions) -> StoreError {
        self.bucket.expectation_error(&self.key, failure, &options.expect)
    }

    /// Sends the request that combines the parts into an object.
    async fn send_complete(
        &self,
        completion: Completion<'_>,
        manner: Manner,
        attempts: &mut Attempts,
    ) -> Result<Completed, Failure> {
        let Completion { parts, sum, size, options, .. } = completion;
        let body = Bytes::from(document(parts));
        let payload = Payload::signed(&body);
        let query = [("uploadId", self.id.as_str())];
        let mut request = self.bucket.object_request(S3Operation::CompleteMultipartUpload, &self.key, &query)?;
        let sum = sum.filter(|_| manner.protection == Protection::Crc64Nvme);
        if let Some(sum) = sum.and_then(checksum::written) {
            request = request.header(CRC64NVME, &sum)?.header(KIND, FULL_OBJECT)?;
        }
        let request = expecting(request, &options.expect, manner)?.body(body, payload).patience(LONG);
        let read = |answer: &Answer| {
            let names = ["ETag", "ChecksumCRC64NVME"];
            let told = answer.result("CompleteMultipartUploadResult", names);
            let [etag, sum] = told.map_err(Failure::without_repeats)?;
            let mut entry = written(&self.key, size, &etag).map_err(Failure::without_repeats)?;
            let is_encrypted = etag::is_encrypted(&answer.headers);
            let is_digest = !is_encrypted && self.bucket.client.has_digests();
            entry.digest = etag::digest(&etag).filter(|digest| is_digest && etag::is_possible(digest, size));
            Ok(Completed { entry, sum: checksum::read_crc64_nvme(&sum), is_encrypted, is_seen: false })
        };
        let sent = self.sent(completion);
        let is_unguarded = self.bucket.client.is_unguarded(&options.expect, manner);
        loop {
            let is_repeat = attempts.needs_a_look(&options.expect);
            let sent = Some(&sent).filter(|_| is_repeat);
            if (is_repeat || is_unguarded)
                && let Some(entry) = self.bucket.look_before(&self.key, sent, &options.expect, attempts).await?
            {
                return Ok(Completed { sum: entry.checksum, entry, is_encrypted: false, is_seen: true });
            }
            match self.bucket.client.exchange_once(&self.bucket.counters, &request, read).await {
                Ok(completed) => return Ok(completed),
                Err(failure) => self.bucket.client.again(attempts, failure).await?,
            }
        }
    }
}

/// Returns the XML document that lists the parts.
fn document(parts: &[Part]) -> String {
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

/// Returns the digest of an object whose parts have these ETags, if all of them are MD5s.
pub(super) fn digest_of_parts(parts: &[Part]) -> Option<Digest> {
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
        Part { etag: etag.into(), size: 1, sum: None, proven: false, contradicted: false }
    }

    #[test]
    fn completion_names_the_parts_in_order() {
        assert_eq!(
            document(&[part("\"a\""), part("b")]),
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
