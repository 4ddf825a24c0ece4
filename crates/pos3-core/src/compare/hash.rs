//! Digests made from local content, to be compared with what a store says of its own.
//!
//! An S3 ETag is the MD5 of the content, or of the MD5s of its parts. Which part size was used is not told, but the
//! number of parts leaves few of the sizes that programs use, and one pass tries them all.

use bytes::Bytes;
use futures::TryStreamExt;
use md5::{Digest as _, Md5};

use crate::diff::Side;
use crate::entry::{Digest, Entry};
use crate::error::StoreError;
use crate::store::{ByteStream, Content, Result};
use crate::tree::Tree;

/// Part sizes in MiB that programs are known to upload with; the AWS SDKs, this project and rclone among them.
const PART_SIZES_MIB: [u64; 18] = [5, 6, 7, 8, 10, 12, 15, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 512];

const MIB: u64 = 1 << 20;

/// A side that could not be read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) side: Side,
    pub(crate) error: StoreError,
}

/// How contents are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// What is local is read, and its digest compared with what the other side says of its own.
    Digest,
    /// Both are read and compared byte by byte.
    Both,
}

/// Returns true if source and target have the same content, reading what is needed.
///
/// # Errors
///
/// Which side could not be read, and why.
pub(crate) async fn same_content(
    source: (&Tree, &Entry),
    target: (&Tree, &Entry),
    reading: Reading,
) -> Result<bool, Unread> {
    match reading {
        Reading::Digest => same_digest(source, target).await,
        Reading::Both => same_bytes(source.0.content(source.1), target.0.content(target.1)).await,
    }
}

async fn same_digest(source: (&Tree, &Entry), target: (&Tree, &Entry)) -> Result<bool, Unread> {
    let unread = |side| move |error| Unread { side, error };
    let target_is_local = target.0.store().capabilities().local_reads;
    let known = match (source.1.digest, target.1.digest) {
        (Some(known), _) if target_is_local => known,
        (_, Some(known)) => {
            return matches(source.0.content(source.1), known).await.map_err(unread(Side::Source));
        }
        _ => Digest::Md5(md5(source.0.content(source.1)).await.map_err(unread(Side::Source))?),
    };
    matches(target.0.content(target.1), known).await.map_err(unread(Side::Target))
}

async fn same_bytes(source: Content, target: Content) -> Result<bool, Unread> {
    let (mut left, mut right) = (Body::open(source, Side::Source).await?, Body::open(target, Side::Target).await?);
    loop {
        left.fill().await?;
        right.fill().await?;
        let common = left.chunk.len().min(right.chunk.len());
        if common == 0 {
            return Ok(left.chunk.is_empty() && right.chunk.is_empty());
        }
        if left.chunk.split_to(common) != right.chunk.split_to(common) {
            return Ok(false);
        }
    }
}

/// One side that is read to be compared.
struct Body {
    stream: ByteStream,
    chunk: Bytes,
    side: Side,
}

impl Body {
    async fn open(content: Content, side: Side) -> Result<Self, Unread> {
        let stream = content.read(0..content.size()).await.map_err(|error| Unread { side, error })?;
        Ok(Self { stream, chunk: Bytes::new(), side })
    }

    /// Reads on until there is something to compare; at the end there is nothing.
    async fn fill(&mut self) -> Result<(), Unread> {
        while self.chunk.is_empty() {
            match self.stream.try_next().await.map_err(|error| Unread { side: self.side, error })? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

async fn md5(content: Content) -> Result<[u8; 16]> {
    let mut hash = Md5::new();
    let mut body = content.read(0..content.size()).await?;
    while let Some(chunk) = body.try_next().await? {
        hash.update(&chunk);
    }
    Ok(hash.finalize().into())
}

async fn matches(content: Content, known: Digest) -> Result<bool> {
    match known {
        Digest::Md5(expected) => Ok(md5(content).await? == expected),
        Digest::Md5OfParts { digest, parts } => {
            let mut candidates: Vec<PartsHash> = part_sizes(content.size(), parts).map(PartsHash::new).collect();
            if candidates.is_empty() {
                return Ok(false);
            }
            let mut body = content.read(0..content.size()).await?;
            while let Some(chunk) = body.try_next().await? {
                candidates.iter_mut().for_each(|candidate| candidate.update(&chunk));
            }
            Ok(candidates.into_iter().any(|candidate| candidate.finish() == digest))
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

    #[tokio::test]
    async fn a_multipart_etag_is_recognised_by_trying_part_sizes() {
        let content: Vec<u8> = (0..20 * MIB + 3).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for (part_size, parts) in [(8 * MIB, 3), (5 * MIB, 5), (16 * MIB, 2)] {
            let sums: Vec<u8> = content.chunks(usize::try_from(part_size).unwrap()).flat_map(Md5::digest).collect();
            let digest = Md5::digest(&sums).into();
            let same = matches(content.clone().into(), Digest::Md5OfParts { digest, parts }).await.unwrap();
            assert!(same, "{part_size}");
            let mut other = content.clone();
            other[7] ^= 1;
            assert!(!matches(other.into(), Digest::Md5OfParts { digest, parts }).await.unwrap(), "{part_size}");
        }
    }
}
