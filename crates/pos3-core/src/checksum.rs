//! Computes the checksums that stores keep, in pieces that can be read in any order and by several tasks.
//!
//! If checksums could not be combined, pos3 would have to read content once more after it was transferred in parallel
//! parts.

use crc_fast::{CrcAlgorithm, Digest};

use crate::entry::Checksum;

/// Computes a checksum incrementally.
///
/// ```
/// use pos3_core::{Checksum, Checksummer};
///
/// let mut first = Checksummer::crc64_nvme();
/// first.update(b"1234");
/// let mut second = Checksummer::like(&first.finish());
/// second.update(b"56789");
/// let whole = first.finish().combine(second.finish(), 5);
/// assert_eq!(whole, Some(Checksum::Crc64Nvme(0xae8b_1486_0a79_9888)));
/// ```
#[derive(Clone, Debug)]
pub struct Checksummer {
    name: fn(u64) -> Checksum,
    digest: Digest,
}

impl Checksummer {
    /// Returns an empty CRC-64/NVME computation.
    pub fn crc64_nvme() -> Self {
        Self::like(&Checksum::Crc64Nvme(0))
    }

    /// Returns an empty computation of the same kind of checksum as `other`.
    pub fn like(other: &Checksum) -> Self {
        let (algorithm, _, name) = other.parts();
        Self { name, digest: Digest::new(algorithm) }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// Returns the checksum of all bytes added so far.
    pub fn finish(&self) -> Checksum {
        (self.name)(self.digest.finalize())
    }
}

impl Checksum {
    /// Returns the checksum of this content followed by another one of `length` bytes. Returns `None` if the two
    /// checksums are of different kinds.
    #[must_use]
    pub fn combine(self, second: Self, length: u64) -> Option<Self> {
        let ((algorithm, first, name), (other, second, _)) = (self.parts(), second.parts());
        (algorithm == other).then(|| name(crc_fast::checksum_combine(algorithm, first, second, length)))
    }

    /// Returns the algorithm, the value, and the constructor of this kind of checksum.
    fn parts(self) -> (CrcAlgorithm, u64, fn(u64) -> Self) {
        match self {
            Self::Crc64Nvme(value) => (CrcAlgorithm::Crc64Nvme, value, Self::Crc64Nvme),
            Self::Crc32c(value) => (CrcAlgorithm::Crc32Iscsi, value.into(), |value| Self::Crc32c(low_half(value))),
            Self::Crc32(value) => (CrcAlgorithm::Crc32IsoHdlc, value.into(), |value| Self::Crc32(low_half(value))),
        }
    }
}

/// Returns the low half, which contains a CRC of 32 bits.
fn low_half(value: u64) -> u32 {
    (value & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values from the catalogue of CRC algorithms: the checksums of `123456789`.
    #[test]
    fn known_answers() {
        for expected in
            [Checksum::Crc64Nvme(0xae8b_1486_0a79_9888), Checksum::Crc32c(0xe306_9283), Checksum::Crc32(0xcbf4_3926)]
        {
            let mut sum = Checksummer::like(&expected);
            sum.update(b"12345");
            sum.update(b"6789");
            assert_eq!(sum.finish(), expected);
        }
    }

    #[test]
    fn parts_combine_wherever_a_content_is_cut() {
        let content: Vec<u8> = (0..100_003_u32).map(|n| (n ^ (n >> 7)) as u8).collect();
        for like in [Checksum::Crc64Nvme(0), Checksum::Crc32c(0), Checksum::Crc32(0)] {
            let sum = |bytes: &[u8]| {
                let mut sum = Checksummer::like(&like);
                sum.update(bytes);
                sum.finish()
            };
            for cut in [0, 1, 63, 4096, 99_999, 100_003] {
                let (first, second) = content.split_at(cut);
                assert_eq!(sum(first).combine(sum(second), second.len() as u64), Some(sum(&content)), "{cut}");
            }
        }
        assert_eq!(Checksum::Crc32c(0).combine(Checksum::Crc32(0), 0), None);
    }
}
