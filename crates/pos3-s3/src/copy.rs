//! Copies inside the server, without transferring content through this machine.
//!
//! Every copy is conditional on the source being the listed object. It has succeeded only if the response contains the
//! result element. A `200 OK` that contains an `<Error>` must not be treated as a success, because a move would then
//! lose data.

mod confirm;
mod tags;

use std::sync::Arc;

use http::HeaderMap;
use http::header::HeaderName;
use pos3_core::{Checksum, Content, Entry, ErrorKind, Key, Operation, PutOptions, Result, StoreError, Stored};

use crate::bucket::{Bucket, check_key};
use crate::checksum;
use crate::client::Answer;
use crate::client::retry::Attempts;
use crate::copy_source::CopySource;
use crate::error::Failure;
use crate::etag;
use crate::operation::S3Operation;
use crate::time::parse_rfc3339;
use crate::write::{ObjectHeaders, PartSource, REPEATS, Sent, expecting, part_size_for, with_content_type, written};

/// The size of a part of a copy. It is large, because only the request has a cost.
const COPY_PART: u64 = 256 << 20;

const METADATA_DIRECTIVE: HeaderName = HeaderName::from_static("x-amz-metadata-directive");

/// The headers that describe an object. A copy in parts does not preserve them.
const DESCRIPTION: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
];

/// The largest object that is copied by one request, and the part size for larger ones.
#[derive(Clone, Copy)]
struct Limit {
    size: u64,
    part: u64,
}

/// A copy that the server has reported as complete.
struct Copied {
    entry: Entry,
    /// Its checksum, if the server returned it.
    sum: Option<Checksum>,
}

impl CopySource<'_> {
    /// Returns what a copy of this object has. A source that has changed or cannot be looked up has no copy that could be
    /// recognized.
    async fn sent(&self, attempts: &mut Attempts) -> Result<Sent, Failure> {
        let is_same = |from: &Entry| self.fingerprint.is_none_or(|seen| from.fingerprint.as_ref() == Some(seen));
        let from = loop {
            match self.bucket.head_once(self.key).await {
                Ok(from) => break Some(from).filter(is_same),
                Err(failure) if failure.is_temporary() => self.bucket.client.again(attempts, failure).await?,
                Err(_) => break None,
            }
        };
        let (digest, checksum) = from.map_or((None, None), |from| (from.digest, from.checksum));
        Ok(Sent { digest, checksum, size: self.size, content: None })
    }
}

impl Bucket {
    /// Stores content by copying it if the server already has it. Returns `None` if the server does not have it, or if
    /// the credentials do not permit the copy.
    ///
    /// A copy has the description of the source, unless the caller sets another one.
    ///
    /// The server checks the caller's expectation about the target in the same step. Large content is copied in parts,
    /// because the completion of an upload can be conditional. The parts have the sizes of an upload, so the result is
    /// the same object with the same ETag. Small content is copied by one conditional CopyObject. S3 has supported this
    /// since 2025, and other servers ignore the condition. If a condition fails, the response does not always show
    /// whether it is that of the source or of the target. The content is then uploaded, which distinguishes them.
    pub(crate) async fn put_by_copy(
        self: &Arc<Self>,
        key: &Key,
        (source, entry): (&Arc<Self>, &Entry),
        content: &Content,
        options: &PutOptions,
        headers: &ObjectHeaders,
    ) -> Result<Option<Stored>> {
        let config = self.client.config();
        let conditional = self.client.condition(&options.expect).is_some();
        if !source.client.is_same(&self.client) {
            return Ok(None);
        }
        let in_parts = conditional && entry.size > config.multipart_threshold;
        let source = CopySource::new(source, entry);
        let limit = if in_parts { Limit { size: 0, part: config.part_size } } else { self.copy_limit() };
        match self.copy_from(source, key, options, headers, limit).await {
            Ok((copied, proven)) => {
                content.count(entry.size);
                Ok(Some(Stored::new(copied).with_verified(proven)))
            }
            // The credentials may permit reading and writing, but not copying.
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unsupported) => Ok(None),
            Err(error)
                if conditional
                    && !in_parts
                    && matches!(error.kind(), ErrorKind::Precondition | ErrorKind::NotFound)
                    && error.operation() == Operation::Copy =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Copies an object inside this bucket.
    pub(crate) async fn copy(self: &Arc<Self>, from: &Key, to: &Key) -> Result<Entry> {
        check_key(Operation::Copy, to)?;
        let (entry, _) = self.head_if(from, None, Operation::Copy).await?;
        let source = CopySource::new(self, &entry);
        let limit = self.copy_limit();
        let copied = self.copy_from(source, to, &PutOptions::default(), &ObjectHeaders::new(), limit).await?;
        Ok(copied.0)
    }

    fn copy_limit(&self) -> Limit {
        let size = self.client.config().copy_limit;
        Limit { size, part: COPY_PART.min(size) }
    }

    /// Copies an object, and returns whether the copy is verified. If the server turns out not to have stored it, it is
    /// copied again.
    async fn copy_from(
        self: &Arc<Self>,
        source: CopySource<'_>,
        to: &Key,
        options: &PutOptions,
        headers: &ObjectHeaders,
        limit: Limit,
    ) -> Result<(Entry, bool)> {
        let mut options = options.clone();
        let (mut attempts, mut repeats) = (self.client.attempts(), REPEATS);
        loop {
            let copied = if source.size > limit.size {
                self.copy_in_parts(source, to, &options, headers, limit.part).await?
            } else {
                self.copy_whole(source, to, &options, headers, (&mut attempts, &mut repeats)).await?
            };
            let misstored = match self.confirm_copy(&source, copied, &options.expect).await {
                Ok(confirmed) => return Ok(confirmed),
                Err(misstored) => misstored,
            };
            let next = misstored.next(&options.expect).filter(|_| repeats > 0);
            options.expect = next.ok_or_else(|| misstored.error(Operation::Copy, to))?;
            repeats -= 1;
        }
    }

    /// Copies an object by one request. If the response is lost or inconclusive, the copy is looked up. A second
    /// request could fail because of the object that the first one created. The attempts and the repeats are those of
    /// the whole copy.
    async fn copy_whole(
        self: &Arc<Self>,
        source: CopySource<'_>,
        to: &Key,
        options: &PutOptions,
        headers: &ObjectHeaders,
        (attempts, repeats): (&mut Attempts, &mut usize),
    ) -> Result<Copied> {
        loop {
            let failure = match self.copy_once(source, to, options, headers, attempts).await {
                Ok(copied) => return Ok(copied),
                Err(failure) => failure,
            };
            if matches!(failure, Failure::Changed) {
                // The target has changed. A refusal would not distinguish this from a changed source.
                return Err(self.error(Operation::Write, to, failure));
            }
            let tells_nothing = failure.tells_nothing();
            let error = self.error(Operation::Copy, to, failure);
            if !attempts.may_be_done() {
                return Err(error);
            }
            match self.copy_made(source, to, options, error).await {
                Err(error) if tells_nothing && *repeats > 0 && error.kind() != ErrorKind::Precondition => *repeats -= 1,
                made => return made,
            }
        }
    }

    /// Returns the copy of an earlier request if the object at the key is that copy. Otherwise, returns the error.
    async fn copy_made(
        self: &Arc<Self>,
        source: CopySource<'_>,
        to: &Key,
        options: &PutOptions,
        error: StoreError,
    ) -> Result<Copied> {
        let Ok((from, _)) = source.bucket.head_if(source.key, source.fingerprint, Operation::Copy).await else {
            return Err(error);
        };
        let sent = Sent { digest: from.digest, checksum: from.checksum, size: source.size, content: None };
        let entry = self.settle(to, &sent, &options.expect, error).await?;
        Ok(Copied { sum: entry.checksum, entry })
    }

    async fn copy_once(
        self: &Arc<Self>,
        source: CopySource<'_>,
        to: &Key,
        options: &PutOptions,
        headers: &ObjectHeaders,
        attempts: &mut Attempts,
    ) -> Result<Copied, Failure> {
        let request = source.of(self.object_request(S3Operation::CopyObject, to, &[])?)?;
        let manner = self.client.manner(&options.expect);
        let is_unguarded = self.client.is_unguarded(&options.expect, manner);
        let mut request = expecting(request, &options.expect, manner)?;
        if !headers.is_empty() {
            request.headers.extend(with_content_type(headers.clone(), to, &options.content_type_resolver)?);
            request = request.header(METADATA_DIRECTIVE, "REPLACE")?;
        }
        let read = |answer: &Answer| {
            let names = ["ETag", "LastModified", "ChecksumCRC64NVME"];
            let told = answer.result("CopyObjectResult", names);
            let [etag, modified, sum] = told.map_err(Failure::without_repeats)?;
            let mut entry = written(to, source.size, &etag).map_err(Failure::without_repeats)?;
            entry.modified = parse_rfc3339(&modified);
            let is_digest = self.client.has_digests() && !etag::is_encrypted(&answer.headers);
            entry.digest = etag::digest(&etag).filter(|digest| is_digest && etag::is_possible(digest, source.size));
            Ok(Copied { entry, sum: checksum::read_crc64_nvme(&sum) })
        };
        loop {
            let is_repeat = attempts.needs_a_look(&options.expect);
            if is_repeat || is_unguarded {
                let sent = if is_repeat { Some(source.sent(attempts).await?) } else { None };
                if let Some(entry) = self.look_before(to, sent.as_ref(), &options.expect, attempts).await? {
                    return Ok(Copied { sum: entry.checksum, entry });
                }
            }
            match self.client.exchange_once(&self.counters, &request, read).await {
                Ok(copied) => return Ok(copied),
                Err(failure) => self.client.again(attempts, failure).await?,
            }
        }
    }

    async fn copy_in_parts(
        self: &Arc<Self>,
        source: CopySource<'_>,
        to: &Key,
        options: &PutOptions,
        headers: &ObjectHeaders,
        part_size: u64,
    ) -> Result<Copied> {
        let (from, found) = source.bucket.head_if(source.key, source.fingerprint, Operation::Copy).await?;
        let headers = match headers.is_empty() {
            true => Ok(description(&found)),
            false => with_content_type(headers.clone(), to, &options.content_type_resolver),
        };
        let headers = headers.map_err(|failure| self.error(Operation::Copy, to, failure))?;
        let part_size = part_size_for(source.size, source.part_size(&from, part_size).await);
        let part_size = part_size.map_err(|failure| self.error(Operation::Copy, to, failure))?;
        let upload = source.begin(self, to, &headers, from.checksum).await;
        let mut upload = upload.map_err(|failure| self.error(Operation::Copy, to, failure))?;
        let finished = upload.finish(&PartSource::Copy(source), source.size, part_size, options).await?;
        Ok(Copied { entry: finished.entry, sum: finished.sum })
    }
}

/// Returns the headers that describe an object, for its copy.
fn description(headers: &HeaderMap) -> ObjectHeaders {
    let describes = |name: &str| DESCRIPTION.contains(&name) || name.starts_with("x-amz-meta-");
    headers
        .iter()
        .filter(|(name, _)| describes(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_in_parts_keeps_the_description_alone() {
        let mut headers = HeaderMap::new();
        for name in ["content-type", "x-amz-meta-a", "content-length", "etag", "x-amz-request-id", "last-modified"] {
            headers.insert(name, "v".parse().unwrap());
        }
        let mut kept: Vec<_> = description(&headers).into_iter().map(|(name, _)| name.to_string()).collect();
        kept.sort();
        assert_eq!(kept, ["content-type", "x-amz-meta-a"]);
    }
}
