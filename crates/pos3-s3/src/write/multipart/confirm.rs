//! Verifies that an upload that the server reported as completed has become the object that was sent.
//!
//! The ETag of the object is computed from those of the parts. If it does not match, if it cannot match and the response
//! does not have the checksum either, or if there is no evidence that the parts arrived undamaged, the object is looked up.

use std::sync::PoisonError;

use pos3_core::{Checksum, Content, Entry, ErrorKind, Expect, Operation, Result, StoreError};

use super::Upload;
use super::complete::{Completed, digest_of_parts};
use super::parts::Part;
use crate::write::{Found, Misstored, There, is_doubtful};

impl Upload {
    /// Returns and removes the record of an object that the server stored wrongly.
    pub(crate) fn misstored(&self) -> Option<Misstored> {
        self.misstored.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Records that the server stored the object wrongly, and returns the error for it.
    pub(super) fn note_misstored(&self, misstored: Misstored) -> StoreError {
        let error = misstored.error(Operation::Write, &self.key);
        *self.misstored.lock().unwrap_or_else(PoisonError::into_inner) = Some(misstored);
        error
    }

    /// Refuses to complete an upload if some parts have the expected MD5 and others do not. The server's ETags are then
    /// real MD5s, so the other parts are damaged.
    pub(super) fn refuse_damaged(&self, parts: &[Part]) -> Result<()> {
        if parts.iter().any(|part| part.contradicted) && parts.iter().any(|part| part.proven) {
            return Err(StoreError::new(ErrorKind::Integrity, Operation::Write)
                .with_key(&self.key)
                .with_message("the MD5 of a stored part differs from that of the sent part"));
        }
        Ok(())
    }

    /// Verifies the object of a completion that succeeded, if the response is not sufficient evidence or contradicts
    /// it.
    pub(super) async fn confirm(
        &self,
        content: &Content,
        parts: &[Part],
        sum: Option<Checksum>,
        completed: Completed,
        proven: bool,
        expect: &Expect,
    ) -> Result<(Entry, bool), Misstored> {
        let is_told = sum.is_some() && completed.sum == sum;
        let Completed { entry, is_encrypted, is_seen, .. } = completed;
        let expected = digest_of_parts(parts);
        let fits = expected.is_some() && entry.digest == expected;
        let is_opaque = is_encrypted || expected.is_none() || !self.bucket.client.has_digests();
        if is_seen || proven && (fits || is_opaque && is_told) {
            return Ok((entry, proven));
        }
        let misstored = |there| Misstored { why: "the stored object differs from the sent parts", there };
        let Found::There(found) = self.bucket.look_at(&entry).await? else { return Ok((entry, is_told)) };
        let is_doubtful = is_doubtful(&found, entry.fingerprint.as_ref(), expect);
        let contradicts = !is_opaque && found.digest.is_some() && found.digest != expected;
        let is_read = match (sum, found.checksum) {
            (Some(sum), Some(kept @ Checksum::Crc64Nvme(_))) if sum == kept => return Ok((found, true)),
            // If every part arrived undamaged, the server has only combined their checksums wrongly.
            (Some(_), Some(Checksum::Crc64Nvme(_))) if !proven => return Err(misstored(There::Object(found))),
            // The parts are right, and so is the object: only the ETag in the response was wrong.
            _ if proven && expected.is_some() && found.digest == expected => return Ok((found, true)),
            _ => {
                let of_part = if is_doubtful { None } else { self.compare_contradicted(content, parts, &found).await };
                match of_part {
                    // Another writer may have replaced the object, or the upload was not completed.
                    None if contradicts || is_doubtful => {
                        let of_all = self.compare_all(content, parts, &found).await;
                        self.bucket.note_contradiction(&self.key, contradicts && of_all == Some(true));
                        of_all
                    }
                    of_part => of_part,
                }
            }
        };
        match is_read {
            Some(false) => Err(misstored(There::Object(found))),
            None if is_doubtful => Err(misstored(There::Object(found))),
            None if contradicts => Ok((found, false)),
            _ => Ok((found, proven)),
        }
    }

    /// Reads the object, and returns whether it has the content that was sent. Returns `None` if it cannot be read.
    async fn compare_all(&self, content: &Content, parts: &[Part], object: &Entry) -> Option<bool> {
        let mut start = 0;
        for part in parts {
            if !self.bucket.reads_part(object, start..start + part.size, content).await.ok()? {
                return Some(false);
            }
            start += part.size;
        }
        Some(true)
    }

    /// Reads one of the parts whose ETag contradicts the bytes that were sent, and returns whether the part has these
    /// bytes. Returns `None` if there is no such part, or if it cannot be read.
    async fn compare_contradicted(&self, content: &Content, parts: &[Part], object: &Entry) -> Option<bool> {
        let index = parts.iter().position(|part| part.contradicted)?;
        let start: u64 = parts[..index].iter().map(|part| part.size).sum();
        let is_same = self.bucket.reads_part(object, start..start + parts[index].size, content).await.ok()?;
        self.bucket.note_contradiction(&self.key, is_same);
        Some(is_same)
    }
}
