//! Determines whether a write whose response was lost has been executed.
//!
//! If it was, the object has the content that was sent. Otherwise, a repeat could overwrite what another writer has stored
//! meanwhile.

use std::mem::discriminant;
use std::sync::Arc;

use bytes::Bytes;
use pos3_core::{Checksum, Content, Digest, Entry, ErrorKind, Expect, Key, Operation, Result, StoreError};

use super::carry::md5_of;
use crate::bucket::Bucket;
use crate::client::retry::Attempts;
use crate::crosscheck::CrossCheck;
use crate::error::{Failure, Refusal};

/// The number of bytes of an object that are read and compared at once.
const PIECE: u64 = 8 << 20;

/// The content of a write whose response was lost.
pub(crate) struct Sent {
    pub(crate) digest: Option<Digest>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) size: u64,
    /// The content itself, unless the server copied it.
    pub(crate) content: Option<Content>,
}

impl Sent {
    pub(super) async fn of(body: &Bytes) -> Self {
        let (md5, sum) = (md5_of(body).await, crate::checksum::crc64_nvme(body));
        let content = Some(Content::from(body.clone()));
        Self { digest: Some(Digest::Md5(md5)), checksum: Some(sum), size: body.len() as u64, content }
    }

    /// Returns true if the facts about an object show that it has this content.
    fn is(&self, entry: &Entry) -> bool {
        let by_digest = self.digest.is_some() && entry.digest == self.digest;
        let by_checksum = self.checksum.is_some() && entry.checksum == self.checksum;
        entry.size == self.size && (by_digest || by_checksum)
    }

    /// Returns true if the facts about an object exclude that it has this content. An ETag alone does not, because it may
    /// only look like an MD5.
    fn is_not(&self, entry: &Entry) -> bool {
        let by_checksum = match (self.checksum, entry.checksum) {
            (Some(sent), Some(found)) => discriminant(&sent) == discriminant(&found) && sent != found,
            _ => false,
        };
        entry.size != self.size || by_checksum
    }
}

impl Bucket {
    /// Determines whether a write whose response was lost has been executed. If so, both a HEAD request and a listing show
    /// an object with the content that was sent. If the HEAD request fails, the digest in the listing is sufficient.
    ///
    /// # Errors
    ///
    /// Returns `error` if the write may be repeated. If there is an object that the caller does not expect, another
    /// writer may have replaced the written one; the error is then a failed precondition.
    pub(crate) async fn settle(
        self: &Arc<Self>,
        key: &Key,
        sent: &Sent,
        expect: &Expect,
        error: StoreError,
    ) -> Result<Entry> {
        let Ok(entry) = self.head(key).await else {
            let listed = self.listed(key).await.ok().flatten();
            return listed.filter(|listed| sent.is(listed)).ok_or(error);
        };
        let is_as_before = matches!(expect, Expect::Unchanged(seen) if entry.fingerprint.as_ref() == Some(seen));
        let is_described = sent.is(&entry);
        let is_sent = is_described || !is_as_before && self.has(&entry, sent).await;
        match is_sent {
            true if self.is_confirmed(key, Some(&entry)).await => {
                return Ok(if is_described { entry } else { undescribed(entry) });
            }
            true => return Err(error),
            false => {}
        }
        let is_expected = is_as_before || *expect == Expect::Anything;
        match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::Precondition => Err(error),
            _ if is_expected => Err(error),
            _ => Err(StoreError::new(ErrorKind::Precondition, Operation::Write).with_key(key).with_source(error)),
        }
    }

    /// Looks up the object right before a write that its condition may not protect: the server may ignore conditions, or
    /// does not support them. Without the lookup, the write would overwrite what another writer has stored meanwhile.
    ///
    /// `sent` is the content of an earlier attempt, which the server may have executed. Returns the object if the object
    /// has that content, and `None` if the write may be sent. A listing must confirm what the HEAD request shows. If the
    /// credentials do not permit the listing, the write may still be sent.
    ///
    /// # Errors
    ///
    /// Fails with [`Failure::Changed`] if there is an object that the caller does not expect, if the expected one is
    /// gone, or if the listing does not confirm the HEAD request. Fails if the lookup fails for so long that the write
    /// would not be repeated either.
    pub(crate) async fn look_before(
        self: &Arc<Self>,
        key: &Key,
        sent: Option<&Sent>,
        expect: &Expect,
        attempts: &mut Attempts,
    ) -> Result<Option<Entry>, Failure> {
        let found = loop {
            match self.head_once(key).await {
                Ok(found) => break Some(found),
                Err(failure) if failure.refusal().is_some_and(Refusal::is_missing_key) => break None,
                Err(failure) if failure.is_temporary() => self.client.again(attempts, failure).await?,
                // Without permission to look, only the condition of the write can protect the object.
                Err(_) => return Ok(None),
            }
        };
        let is_expected = match expect {
            Expect::Anything => true,
            Expect::Absent => found.is_none(),
            Expect::Unchanged(seen) => found.as_ref().is_some_and(|found| found.fingerprint.as_ref() == Some(seen)),
        };
        let is_described = found.as_ref().is_some_and(|found| sent.is_some_and(|sent| sent.is(found)));
        let is_sent = match (&found, sent) {
            _ if is_described || is_expected => is_described,
            (Some(found), Some(sent)) => self.has(found, sent).await,
            _ => false,
        };
        if !is_sent && !is_expected {
            return Err(Failure::Changed);
        }
        match self.cross_check(key, found.as_ref()).await? {
            CrossCheck::Confirmed if is_described => Ok(found),
            CrossCheck::Confirmed => Ok(found.filter(|_| is_sent).map(undescribed)),
            CrossCheck::Refused(_) if is_expected => Ok(None),
            CrossCheck::Refused(_) | CrossCheck::Contradicted(_) => Err(Failure::Changed),
        }
    }

    /// Reads an object that nothing else describes, and returns true if it has the content that was sent.
    async fn has(self: &Arc<Self>, object: &Entry, sent: &Sent) -> bool {
        let Some(content) = sent.content.as_ref().filter(|_| !sent.is_not(object) && object.fingerprint.is_some())
        else {
            return false;
        };
        let mut start = 0;
        while start < sent.size {
            let end = sent.size.min(start + PIECE);
            if !matches!(self.reads_part(object, start..end, content).await, Ok(true)) {
                return false;
            }
            start = end;
        }
        true
    }
}

/// Returns an object without its digest, which is not that of its content.
fn undescribed(object: Entry) -> Entry {
    Entry { digest: None, ..object }
}
