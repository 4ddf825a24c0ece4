//! Reads one content and computes its digests and checksums.

use futures::TryStreamExt;
use md5::{Digest as _, Md5};

use crate::blocking::hash_chunk;
use crate::checksum::Checksummer;
use crate::digest::{Agreement, Digester};
use crate::entry::{Checksum, Digest};
use crate::store::{ByteStream, Content, Result};

/// Whether the digest of a content is computed that is read anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Wanted,
    NotNeeded,
}

/// Reads a body to its end, passes each chunk to `update`, and returns the changed `state`, such as that of a hash. Long
/// chunks are hashed on threads that may block.
///
/// # Errors
///
/// Returns the errors of the body.
pub async fn hash_body<S: Send + 'static>(mut body: ByteStream, mut state: S, update: fn(&mut S, &[u8])) -> Result<S> {
    while let Some(chunk) = body.try_next().await? {
        state = hash_chunk(state, chunk, update).await;
    }
    Ok(state)
}

async fn hash<S: Send + 'static>(content: &Content, state: S, update: fn(&mut S, &[u8])) -> Result<S> {
    hash_body(content.read(0..content.size()).await?, state, update).await
}

/// Compares a content with several digests. It matches one of them, or none, or some of them cannot be compared. If none of
/// them can be compared, nothing is read.
///
/// # Errors
///
/// Returns the errors of reading the content.
pub(crate) async fn agreement(content: &Content, digests: &[Digest]) -> Result<Agreement> {
    let digesters: Vec<_> = digests.iter().filter_map(|digest| Digester::new(*digest, content.size())).collect();
    if digesters.is_empty() {
        return Ok(Agreement::Unknown);
    }
    let is_each_comparable = digesters.len() == digests.len();
    let update: fn(&mut Vec<Digester>, &[u8]) =
        |digesters, chunk| digesters.iter_mut().for_each(|digester| digester.update(chunk));
    let digesters = hash(content, digesters, update).await?;
    let found: Vec<_> = digesters.into_iter().map(Digester::finish).collect();
    Ok(if found.contains(&Agreement::Same) {
        Agreement::Same
    } else if is_each_comparable && found.iter().all(|one| *one == Agreement::Different) {
        Agreement::Different
    } else {
        Agreement::Unknown
    })
}

/// Returns the digest that later contents of a file can be compared with: its own MD5. An MD5 that a store reports may be one
/// in form only, and the digest of parts of unknown size cannot show that a content is another one. Returns `None` if the file
/// cannot be read as it was listed.
pub(crate) async fn comparable(content: Content) -> Option<Digest> {
    md5(content).await.ok().map(Digest::Md5)
}

/// Reads a content and returns its MD5.
pub(crate) async fn md5(content: Content) -> Result<[u8; 16]> {
    let md5 = hash(&content, Md5::new(), |md5, chunk| md5.update(chunk)).await?;
    Ok(md5.finalize().into())
}

/// The result of reading a content.
pub(crate) struct Read {
    pub(crate) agreement: Agreement,
    /// The CRC-64/NVME of the content, which costs little in addition to a digest.
    pub(crate) sum: Checksum,
    /// Its MD5, if that was wanted.
    pub(crate) md5: Option<[u8; 16]>,
}

/// Reads a content and compares it with a digest.
pub(crate) async fn read(content: Content, known: Option<Digest>, own: Own) -> Result<Read> {
    let md5 = (own == Own::Wanted).then(Md5::new);
    let digester = known.and_then(|known| Digester::new(known, content.size()));
    let hashes = (Checksummer::crc64_nvme(), digester, md5);
    let hashed = hash(&content, hashes, |(sum, digester, md5), chunk| {
        sum.update(chunk);
        if let Some(digester) = digester {
            digester.update(chunk);
        }
        if let Some(md5) = md5 {
            md5.update(chunk);
        }
    });
    let (sum, digester, md5) = hashed.await?;
    let agreement = digester.map_or(Agreement::Unknown, Digester::finish);
    Ok(Read { agreement, sum: sum.finish(), md5: md5.map(|md5| md5.finalize().into()) })
}

/// Returns the checksum of a content, of the same kind as `like`.
pub(crate) async fn sum(content: Content, like: &Checksum) -> Result<Checksum> {
    let sum = hash(&content, Checksummer::like(like), Checksummer::update).await?;
    Ok(sum.finish())
}
