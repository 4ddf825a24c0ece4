//! Compares content with the digest that a store reports for it.
//!
//! An S3 ETag is the MD5 of the content, or of the MD5s of its parts. The ETag does not contain the part size. But the
//! number of parts is known, so only a few of the usual part sizes are possible, and one pass over the content tries
//! all of them.

use md5::{Digest as _, Md5};

use crate::entry::Digest;

/// Part sizes in MiB that programs are known to upload with, such as the AWS SDKs, this project and rclone.
const PART_SIZES_MIB: [u64; 18] = [5, 6, 7, 8, 10, 12, 15, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 512];

const MIB: u64 = 1 << 20;

/// Compares content incrementally with a known digest.
///
/// ```
/// use pos3_core::{Agreement, Digest, Digester};
///
/// let known: Digest = "5eb63bbbe01eeed093cb22bb8f5acdc3".parse()?;
/// let mut digester = Digester::new(known, 11).expect("an MD5 can always be compared");
/// digester.update(b"hello ");
/// digester.update(b"world");
/// assert_eq!(digester.finish(), Agreement::Same);
/// # Ok::<(), pos3_core::TextError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Digester(Known);

#[derive(Clone, Debug)]
enum Known {
    Md5 { digest: [u8; 16], sum: Md5 },
    Parts { digest: [u8; 16], sum: PartsHash },
    PartsOfUnknownSize { digest: [u8; 16], candidates: Vec<PartsHash> },
}

/// The result of comparing content with a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The digest belongs to this content.
    Same,
    /// The digest belongs to different content.
    Different,
    /// The digest matches no usual part size: the content differs, or the part size was unusual.
    Unknown,
}

impl Digester {
    /// Returns a comparison of `known` with `size` bytes of content, none of which have been added. Returns `None` if
    /// no usual part size yields the number of parts in the digest.
    pub fn new(known: Digest, size: u64) -> Option<Self> {
        match known {
            Digest::Md5(digest) => Some(Self(Known::Md5 { digest, sum: Md5::new() })),
            Digest::Md5OfParts { digest, parts } => {
                let candidates: Vec<_> = part_sizes(size, parts).map(PartsHash::new).collect();
                (!candidates.is_empty()).then_some(Self(Known::PartsOfUnknownSize { digest, candidates }))
            }
        }
    }

    /// Returns a comparison of a digest of parts with content of which all parts except the last have this size. Returns
    /// `None` for other digests.
    pub fn of_parts(known: Digest, part_size: u64) -> Option<Self> {
        match known {
            Digest::Md5OfParts { digest, .. } if part_size > 0 => {
                Some(Self(Known::Parts { digest, sum: PartsHash::new(part_size) }))
            }
            _ => None,
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Known::Md5 { sum, .. } => sum.update(bytes),
            Known::Parts { sum, .. } => sum.update(bytes),
            Known::PartsOfUnknownSize { candidates, .. } => {
                candidates.iter_mut().for_each(|candidate| candidate.update(bytes));
            }
        }
    }

    /// Returns the result for all bytes added.
    pub fn finish(self) -> Agreement {
        match self.0 {
            Known::Md5 { digest, sum } => certain(digest == <[u8; 16]>::from(sum.finalize())),
            Known::Parts { digest, sum } => certain(digest == sum.finish()),
            Known::PartsOfUnknownSize { digest, candidates } => {
                let is_known = candidates.into_iter().any(|candidate| candidate.finish() == digest);
                if is_known { Agreement::Same } else { Agreement::Unknown }
            }
        }
    }
}

fn certain(is_same: bool) -> Agreement {
    if is_same { Agreement::Same } else { Agreement::Different }
}

/// Returns the known part sizes that divide `size` bytes into `parts` parts.
fn part_sizes(size: u64, parts: u32) -> impl Iterator<Item = u64> {
    let whole = (parts == 1).then_some(size.max(1));
    let common = PART_SIZES_MIB.into_iter().map(|mib| mib * MIB);
    // Beyond 10,000 parts of a common size, this project and the AWS SDKs use the smallest sufficient number of whole
    // MiB.
    let grown = size.div_ceil(10_000).div_ceil(MIB).max(1) * MIB;
    let grown = Some(grown).filter(|grown| !PART_SIZES_MIB.contains(&(grown / MIB)));
    whole.into_iter().chain(common).chain(grown).filter(move |part| size.div_ceil(*part) == u64::from(parts))
}

/// Computes the MD5 of the MD5s of parts of one size.
#[derive(Clone, Debug)]
struct PartsHash {
    part_size: u64,
    left: u64,
    part: Md5,
    whole: Md5,
}

impl PartsHash {
    fn new(part_size: u64) -> Self {
        Self { part_size, left: part_size, part: Md5::new(), whole: Md5::new() }
    }

    fn update(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(chunk.len());
            self.part.update(&chunk[..take]);
            self.left -= take as u64;
            chunk = &chunk[take..];
            if self.left == 0 {
                self.end_part();
            }
        }
    }

    fn end_part(&mut self) {
        self.whole.update(self.part.finalize_reset());
        self.left = self.part_size;
    }

    fn finish(mut self) -> [u8; 16] {
        if self.left < self.part_size {
            self.end_part();
        }
        self.whole.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(content: &[u8], known: Digest) -> Option<Agreement> {
        let mut digester = Digester::new(known, content.len() as u64)?;
        content.chunks(1_000_003).for_each(|chunk| digester.update(chunk));
        Some(digester.finish())
    }

    #[test]
    fn a_multipart_etag_is_recognised_by_trying_part_sizes() {
        let content: Vec<u8> = (0..20 * MIB + 3).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut other = content.clone();
        other[7] ^= 1;
        for (part_size, parts) in [(8 * MIB, 3), (5 * MIB, 5), (16 * MIB, 2), (20 * MIB + 3, 1)] {
            let sums: Vec<u8> = content.chunks(usize::try_from(part_size).unwrap()).flat_map(Md5::digest).collect();
            let known = Digest::Md5OfParts { digest: Md5::digest(&sums).into(), parts };
            assert_eq!(agreement(&content, known), Some(Agreement::Same), "{part_size}");
            assert_eq!(agreement(&other, known), Some(Agreement::Unknown), "{part_size}");
        }
        let sums: Vec<u8> = content.chunks(3_000_000).flat_map(Md5::digest).collect();
        let known = Digest::Md5OfParts { digest: Md5::digest(&sums).into(), parts: 7 };
        for (bytes, expected) in [(&content, Agreement::Same), (&other, Agreement::Different)] {
            let mut digester = Digester::of_parts(known, 3_000_000).unwrap();
            bytes.chunks(1_000_003).for_each(|chunk| digester.update(chunk));
            assert_eq!(digester.finish(), expected, "the part size is known");
        }
        assert_eq!(agreement(&content, Digest::Md5OfParts { digest: [0; 16], parts: 9999 }), None);
    }

    #[test]
    fn an_md5_says_for_sure() {
        let known = Digest::Md5(Md5::digest(b"hello").into());
        assert_eq!(agreement(b"hello", known), Some(Agreement::Same));
        assert_eq!(agreement(b"jello", known), Some(Agreement::Different));
    }
}
