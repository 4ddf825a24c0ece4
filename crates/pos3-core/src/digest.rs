//! Whether content has the digest that a store tells of it.
//!
//! An S3 ETag is the MD5 of the content, or of the MD5s of its parts. Which part size was used is not told, but the
//! number of parts leaves few of the sizes that programs use, and one pass tries them all.

use md5::{Digest as _, Md5};

use crate::entry::Digest;

/// Part sizes in MiB that programs are known to upload with; the AWS SDKs, this project and rclone among them.
const PART_SIZES_MIB: [u64; 18] = [5, 6, 7, 8, 10, 12, 15, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 512];

const MIB: u64 = 1 << 20;

/// Compares content with a digest that is known of it, over bytes as they come.
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
    Parts { digest: [u8; 16], candidates: Vec<PartsHash> },
}

/// What a digest says about content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// It is the content's.
    Same,
    /// It is that of another content.
    Different,
    /// It is not that of the content in parts of any usual size: it is another content, or the parts were unusual.
    Unknown,
}

impl Digester {
    /// Returns a comparison of `known` with `size` bytes, none of which have come; nothing if no usual part size makes as
    /// many parts of them as the digest speaks of.
    pub fn new(known: Digest, size: u64) -> Option<Self> {
        match known {
            Digest::Md5(digest) => Some(Self(Known::Md5 { digest, sum: Md5::new() })),
            Digest::Md5OfParts { digest, parts } => {
                let candidates: Vec<_> = part_sizes(size, parts).map(PartsHash::new).collect();
                (!candidates.is_empty()).then_some(Self(Known::Parts { digest, candidates }))
            }
        }
    }

    /// Takes further bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Known::Md5 { sum, .. } => sum.update(bytes),
            Known::Parts { candidates, .. } => candidates.iter_mut().for_each(|candidate| candidate.update(bytes)),
        }
    }

    /// Returns what the digest says about the bytes that came.
    pub fn finish(self) -> Agreement {
        match self.0 {
            Known::Md5 { digest, sum } => {
                if digest == <[u8; 16]>::from(sum.finalize()) {
                    Agreement::Same
                } else {
                    Agreement::Different
                }
            }
            Known::Parts { digest, candidates } => {
                let is_known = candidates.into_iter().any(|candidate| candidate.finish() == digest);
                if is_known { Agreement::Same } else { Agreement::Unknown }
            }
        }
    }
}

/// Returns the known part sizes that cut `size` bytes into `parts` parts.
fn part_sizes(size: u64, parts: u32) -> impl Iterator<Item = u64> {
    let whole = (parts == 1).then_some(size.max(1));
    let common = PART_SIZES_MIB.into_iter().map(|mib| mib * MIB);
    // Beyond 10,000 parts of a common size, this project and the AWS SDKs take the next whole MiB that is enough.
    let grown = size.div_ceil(10_000).div_ceil(MIB).max(1) * MIB;
    let grown = Some(grown).filter(|grown| !PART_SIZES_MIB.contains(&(grown / MIB)));
    whole.into_iter().chain(common).chain(grown).filter(move |part| size.div_ceil(*part) == u64::from(parts))
}

/// The MD5 of the MD5s of parts of one size.
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
        assert_eq!(agreement(&content, Digest::Md5OfParts { digest: [0; 16], parts: 9999 }), None);
    }

    #[test]
    fn an_md5_says_for_sure() {
        let known = Digest::Md5(Md5::digest(b"hello").into());
        assert_eq!(agreement(b"hello", known), Some(Agreement::Same));
        assert_eq!(agreement(b"jello", known), Some(Agreement::Different));
    }
}
