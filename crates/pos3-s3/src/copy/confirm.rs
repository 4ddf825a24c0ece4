//! Verifies that a copy inside the server matches its source.
//!
//! No content passes through this machine. So only the ETags, if they are digests, and the checksums that the server
//! keeps can be compared.

use std::mem::discriminant;
use std::sync::Arc;

use pos3_core::{Digest, Entry, Expect, Operation};

use super::Copied;
use crate::bucket::Bucket;
use crate::client::habits::{Protection, Unverified};
use crate::copy_source::CopySource;
use crate::write::{Found, Misstored, There, is_doubtful};

/// The result of comparing a copy with its source.
#[derive(Debug, PartialEq, Eq)]
enum Comparison {
    /// They are the same.
    Same,
    /// They have no value in common that can be compared.
    Unknown,
    /// Their checksums differ, unless the server computes them wrongly.
    OtherChecksum,
    /// Their ETags differ, unless they are not digests.
    OtherEtag,
}

impl CopySource<'_> {
    /// Returns the part size that gives the copy the ETag of its source, if only ETags can be compared. Otherwise,
    /// returns the `usual` size.
    pub(super) async fn part_size(&self, source: &Entry, usual: u64) -> u64 {
        let Some(Digest::Md5OfParts { parts, .. }) = source.digest.filter(|_| source.checksum.is_none()) else {
            return usual;
        };
        let fits = |part_size: u64| part_size > 0 && self.size.div_ceil(part_size) == u64::from(parts);
        if fits(usual) {
            return usual;
        }
        let told = self.bucket.part_size(source).await.ok().flatten();
        told.filter(|&part_size| fits(part_size)).unwrap_or(usual)
    }
}

impl Bucket {
    /// Verifies that a copy matches its source.
    pub(super) async fn confirm_copy(
        self: &Arc<Self>,
        source: &CopySource<'_>,
        copied: Copied,
        expect: &Expect,
    ) -> Result<(Entry, bool), Misstored> {
        let Copied { entry, sum } = copied;
        if source.digest.is_some() && source.digest == entry.digest && self.client.compares() {
            return Ok((entry, true));
        }
        let Found::There(found) = self.look_at(&entry).await? else { return Ok((entry, false)) };
        let is_doubtful = is_doubtful(&found, entry.fingerprint.as_ref(), expect);
        let misstored =
            |there| Misstored { why: "the copy on the server differs from its source", there: There::Object(there) };
        // If the source has changed or cannot be looked up, nothing can be compared.
        let from = source.bucket.head_if(source.key, source.fingerprint, Operation::Copy).await;
        let from = match from {
            Ok((from, _)) if is_doubtful || self.client.compares() => from,
            _ if is_doubtful => return Err(misstored(found)),
            _ => return Ok((entry, false)),
        };
        // The checksum in the response may be that of the copy although another writer has replaced it.
        let is_other = is_doubtful
            || matches!(
                (from.digest, found.digest),
                (Some(Digest::Md5(source)), Some(Digest::Md5(copy))) if source != copy
            );
        let checksum = found.checksum.or(sum.filter(|_| !is_other));
        let copy = Entry { checksum, modified: entry.modified.or(found.modified), ..found };
        let comparison = self.compare(&from, &copy);
        match comparison {
            Comparison::Same => {
                if from.checksum.is_some() && from.checksum == copy.checksum {
                    self.client.has_calculated();
                }
                return Ok((copy, true));
            }
            Comparison::Unknown if !is_doubtful => return Ok((entry, false)),
            Comparison::Unknown | Comparison::OtherChecksum | Comparison::OtherEtag => {}
        }
        match futures::join!(source.bucket.sum_of(&from), self.sum_of(&copy)) {
            (Ok(source), Ok(copied)) if source == copied => {
                match comparison {
                    Comparison::OtherEtag => self.client.lacks_digests(&copy.key),
                    Comparison::OtherChecksum => {
                        self.client.lacks_verification(Unverified::Miscalculates, &copy.key);
                    }
                    Comparison::Same | Comparison::Unknown => {}
                }
                Ok((Entry { digest: None, checksum: None, ..copy }, true))
            }
            _ => Err(misstored(copy)),
        }
    }

    fn compare(&self, source: &Entry, copy: &Entry) -> Comparison {
        let sums = match (source.checksum, copy.checksum) {
            (Some(source), Some(copy)) if self.client.protection() == Protection::Crc64Nvme => {
                (discriminant(&source) == discriminant(&copy)).then_some((source, copy))
            }
            _ => None,
        };
        match (sums, source.digest, copy.digest) {
            (Some((source, copy)), ..) if source == copy => Comparison::Same,
            (_, Some(source), Some(copy)) if source == copy => Comparison::Same,
            (Some(_), ..) => Comparison::OtherChecksum,
            (_, Some(Digest::Md5(_)), Some(Digest::Md5(_))) => Comparison::OtherEtag,
            _ => Comparison::Unknown,
        }
    }
}
