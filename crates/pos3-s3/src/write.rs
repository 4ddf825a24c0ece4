//! Writing: one PUT for small content, and parts for large content.

mod carry;
mod confirm;
pub(crate) mod description;
mod misjudged;
mod multipart;
mod sent;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use pos3_core::{
    Content, ContentFacts, Digest, Entry, ErrorKind, Expect, Key, Operation, PutOptions, Result, StoreError, Stored,
};

use crate::bucket::Bucket;
use crate::client::Answer;
use crate::client::habits::{Manner, Protection, Unverified};
use crate::client::request::Request;
use crate::client::retry::Attempts;
use crate::error::{Failure, Refusal};
use crate::etag;
use crate::headers::header;
use crate::operation::S3Operation;
use carry::{Evidence, is_near, md5_of};

pub(crate) use confirm::{Found, Misstored, REPEATS, There, is_doubtful};
pub(crate) use description::{ObjectHeaders, with_content_type};
pub(crate) use misjudged::{Doubt, Verdict};
pub(crate) use multipart::{PartSource, Upload, part_size_for};
pub(crate) use sent::Sent;

impl Bucket {
    /// Stores content by one request.
    pub(crate) async fn put_whole(
        self: &Arc<Self>,
        key: &Key,
        content: &Content,
        options: &PutOptions,
        headers: ObjectHeaders,
    ) -> Result<Stored> {
        let size = content.size();
        let _held = options.budget.reserve(size).await;
        let body = content.read_to_bytes(0..size).await?;
        content.compare_whole(&body).await?;
        let mut whole = Whole { key, body: &body, md5: None, headers: &headers, expect: options.expect.clone() };
        if let Some(witness) = &options.witness {
            let md5 = md5_of(&body).await;
            whole.md5 = Some(md5);
            let (digest, checksum) = (Digest::Md5(md5), crate::checksum::crc64_nvme(&body));
            witness.about_to_store(ContentFacts { digest: Some(digest), checksum: Some(checksum) }).await;
        }
        let (entry, proven) = self.put_bytes(whole).await?;
        Ok(Stored::new(entry).with_verified(proven && (is_near(content) || content.is_checked())))
    }

    /// Stores bytes, and returns whether it is verified that the server received them undamaged. If the server turns
    /// out not to have stored them, they are sent again.
    async fn put_bytes(self: &Arc<Self>, mut whole: Whole<'_>) -> Result<(Entry, bool)> {
        let mut attempts = self.client.attempts();
        loop {
            let (entry, proven) = self.put_answered(&whole, &mut attempts).await?;
            if proven && entry.fingerprint.is_some() && !self.is_of_other_content(&entry, &whole).await {
                return Ok((entry, true));
            }
            let misstored = match Box::pin(self.confirm_put(entry, &whole)).await {
                Ok(confirmed) => return Ok(confirmed),
                Err(misstored) => misstored,
            };
            let Some(expect) = misstored.next(&whole.expect) else {
                return Err(misstored.error(Operation::Write, whole.key));
            };
            whole.expect = expect;
            let again = self.client.again(&mut attempts, misstored.failure()).await;
            again.map_err(|_| misstored.error(Operation::Write, whole.key))?;
        }
    }

    /// Returns true if the response has the right checksum and the ETag of other content: that of another writer's
    /// object, or one that is not an MD5. If the MD5 was sent instead of the checksum, it has been compared already.
    async fn is_of_other_content(&self, entry: &Entry, whole: &Whole<'_>) -> bool {
        let Some(Digest::Md5(told)) = entry.digest else { return false };
        if self.client.protection() != Protection::Crc64Nvme {
            return false;
        }
        let md5 = match whole.md5 {
            Some(md5) => md5,
            None => md5_of(whole.body).await,
        };
        told != md5
    }

    /// Stores bytes, and returns whether the response is evidence that the server received them undamaged.
    async fn put_answered(self: &Arc<Self>, whole: &Whole<'_>, attempts: &mut Attempts) -> Result<(Entry, bool)> {
        let mut manners = self.client.manners(whole.key, self.client.manner(&whole.expect));
        let put = loop {
            let put = self.put_once(whole, manners.current(), attempts).await;
            if let Some(put) = manners.judge(put).await {
                break put;
            }
        };
        let manner = manners.current();
        match put {
            Ok((entry, evidence)) => {
                let (is_summed, is_proven) = (manner.protection == Protection::Crc64Nvme, evidence == Evidence::Proven);
                // A response without an ETag does not identify an object, so it may come from a proxy.
                let is_of_object = entry.fingerprint.is_some();
                if is_summed && is_proven {
                    self.client.has_verified();
                } else if is_summed && is_of_object {
                    self.client.lacks_verification(Unverified::Ignores, whole.key);
                }
                Ok((entry, is_proven))
            }
            Err(failure) => Box::pin(self.put_anyway(whole, manner, attempts, failure)).await,
        }
    }

    async fn put_once(
        self: &Arc<Self>,
        whole: &Whole<'_>,
        manner: Manner,
        attempts: &mut Attempts,
    ) -> Result<(Entry, Evidence), Failure> {
        let mut request = self.object_request(S3Operation::PutObject, whole.key, &[])?;
        request.headers.extend(whole.headers.iter().cloned());
        let request = expecting(request, &whole.expect, manner)?;
        let (request, proof) = self.carry(request, whole.body, manner.protection).await?;
        let read = |answer: &Answer| {
            // A response that does not identify the object is not a failure: the object is looked up.
            let mut entry = stored(whole.key, whole.body.len() as u64);
            if !answer.is_bare()? {
                return Ok((entry, Evidence::Untold));
            }
            entry.fingerprint = etag::fingerprint(header(&answer.headers, "etag"));
            let digest = self.client.digest(&answer.headers);
            entry.digest = digest.filter(|digest| etag::is_possible(digest, entry.size));
            Ok((entry, proof.check(&answer.headers)?))
        };
        let is_unguarded = self.client.is_unguarded(&whole.expect, manner);
        loop {
            let is_repeat = attempts.needs_a_look(&whole.expect);
            if is_repeat || is_unguarded {
                let sent = if is_repeat { Some(Sent::of(whole.body).await) } else { None };
                let looking = Box::pin(self.look_before(whole.key, sent.as_ref(), &whole.expect, attempts));
                if let Some(entry) = looking.await? {
                    return Ok((entry, Evidence::Proven));
                }
            }
            match self.client.exchange_once(&self.counters, &request, read).await {
                Ok(put) => return Ok(put),
                Err(failure) => self.client.again(attempts, failure).await?,
            }
        }
    }

    /// Handles a put that the server refused because of its condition; returns the error of any other failure.
    ///
    /// An earlier attempt may have written the object and lost its response, so that the condition is no longer met.
    /// The put has then succeeded. Or the object is as expected: another writer has restored it, or the server misjudges
    /// conditions. The put is then repeated, within limits.
    async fn put_anyway(
        self: &Arc<Self>,
        whole: &Whole<'_>,
        usual: Manner,
        attempts: &mut Attempts,
        mut failure: Failure,
    ) -> Result<(Entry, bool)> {
        let (mut manner, mut doubt) = (usual, Doubt::new());
        loop {
            let refused = failure.repeat();
            let is_about_condition = failure.refusal().is_some_and(Refusal::is_about_condition);
            let error = self.expectation_error(whole.key, failure, &whole.expect);
            if !is_expectation(error.kind()) {
                return Err(error);
            }
            if attempts.may_be_done() {
                let sent = Sent::of(whole.body).await;
                return self.settle(whole.key, &sent, &whole.expect, error).await.map(|entry| (entry, true));
            }
            if !is_about_condition {
                return Err(error);
            }
            manner = match self.after_refusal(whole.key, &whole.expect, manner, &mut doubt).await {
                Verdict::Repeat(manner) => manner,
                Verdict::Justified => return Err(error),
                Verdict::Misjudged(why) => return Err(self.error(Operation::Write, whole.key, refused.misjudged(why))),
            };
            attempts.renew();
            failure = match self.put_once(whole, manner, attempts).await {
                Ok((entry, evidence)) => {
                    self.client.learn(whole.key, usual, manner, doubt.evidence(whole.key));
                    return Ok((entry, evidence == Evidence::Proven));
                }
                Err(failure) => failure,
            };
        }
    }

    /// Returns the error of a write. A failed condition becomes the kind that fits the expectation.
    fn expectation_error(&self, key: &Key, failure: Failure, expect: &Expect) -> StoreError {
        let is_missing_key = failure.refusal().is_some_and(Refusal::is_missing_key);
        let error = self.error(Operation::Write, key, failure);
        let kind = match (expect, error.kind()) {
            (Expect::Absent, ErrorKind::Precondition) => ErrorKind::AlreadyExists,
            // S3 responds with 404 if a condition names an object that no longer exists.
            (Expect::Unchanged(_), ErrorKind::NotFound) if is_missing_key => ErrorKind::Precondition,
            _ => return error,
        };
        StoreError::new(kind, Operation::Write).with_key(key).with_source(error)
    }
}

/// The content and the headers of a single PUT request.
struct Whole<'w> {
    key: &'w Key,
    body: &'w Bytes,
    /// The MD5 of the body, if it is known.
    md5: Option<[u8; 16]>,
    headers: &'w ObjectHeaders,
    expect: Expect,
}

/// Adds the caller's expectation as a condition, if conditions are sent.
pub(crate) fn expecting(request: Request, expect: &Expect, manner: Manner) -> Result<Request, Failure> {
    match expect {
        Expect::Absent if manner.condition.is_some() => request.header(IF_NONE_MATCH, "*"),
        Expect::Unchanged(seen) if manner.condition.is_some() => request.header(IF_MATCH, &etag::quoted(seen)),
        Expect::Absent | Expect::Unchanged(_) | Expect::Anything => Ok(request),
    }
}

pub(crate) fn is_expectation(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AlreadyExists | ErrorKind::Precondition)
}

/// Returns the entry of an object that was just put together or copied, without its digest. A response without an ETag is an
/// error, because it is no evidence that the object was stored.
pub(crate) fn written(key: &Key, size: u64, etag: &str) -> Result<Entry, Failure> {
    let fingerprint = etag::fingerprint(etag)
        .ok_or_else(|| Failure::Garbled("the response has no ETag of the written object".into()))?;
    Ok(stored(key, size).with_fingerprint(fingerprint))
}

fn stored(key: &Key, size: u64) -> Entry {
    if key.is_marker() { Entry::marker(key.clone(), size) } else { Entry::file(key.clone(), size) }
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
