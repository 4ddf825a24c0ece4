//! Finds out whether a copy that the server made is what its source is, by what the server tells of both.
//!
//! No byte of a copy comes through this machine, so there is nothing else to verify it by: the ETags, where they are
//! digests, and the checksums that the server keeps.

use std::mem::discriminant;
use std::sync::Arc;

use pos3_core::{Digest, Entry};

use super::{Copied, CopySource};
use crate::bucket::Bucket;
use crate::client::habits::Protection;
use crate::write::{Found, Misstored};

/// What the server tells of a copy and its source.
#[derive(Debug, PartialEq, Eq)]
enum Comparison {
    /// They are the same.
    Same,
    /// Nothing that both have can be compared.
    Unknown,
    /// Their checksums differ, unless the server computes them wrongly.
    OtherChecksum,
    /// Their ETags differ, unless those are no digests.
    OtherEtag,
}

impl CopySource<'_> {
    /// Returns the part size that the copy must have for its ETag to be the source's, where nothing better could be compared;
    /// otherwise the `usual` one.
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
    /// Finds out whether a copy is what its source is.
    pub(super) async fn confirm_copy(
        self: &Arc<Self>,
        source: &CopySource<'_>,
        copied: Copied,
    ) -> Result<(Entry, bool), Misstored> {
        let Copied { entry, sum } = copied;
        if source.digest.is_some() && source.digest == entry.digest && self.client.compares() {
            return Ok((entry, true));
        }
        let Found::There(found) = self.look_at(&entry).await? else { return Ok((entry, false)) };
        // A source that changed meanwhile, or may not be looked up, tells nothing.
        let from = source.bucket.head_if(source.key, source.fingerprint, "copy").await;
        let (Ok((from, _)), true) = (from, self.client.compares()) else { return Ok((entry, false)) };
        let copy = Entry { checksum: found.checksum.or(sum), modified: entry.modified.or(found.modified), ..found };
        let comparison = self.compare(&from, &copy);
        match comparison {
            Comparison::Same => return Ok((copy, true)),
            Comparison::Unknown => return Ok((entry, false)),
            Comparison::OtherChecksum | Comparison::OtherEtag => {}
        }
        match futures::join!(source.bucket.sum_of(&from), self.sum_of(&copy)) {
            (Ok(source), Ok(copied)) if source == copied => {
                if comparison == Comparison::OtherEtag {
                    self.client.lacks_digests();
                } else {
                    self.client.lacks_checksums("miscalculates");
                }
                Ok((Entry { digest: None, checksum: None, ..copy }, true))
            }
            _ => Err(Misstored {
                why: "the copy on the server differs from its source",
                answered: entry.fingerprint,
                there: Some(copy),
            }),
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
