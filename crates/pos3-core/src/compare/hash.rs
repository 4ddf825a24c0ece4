//! Contents that must be read to know whether they are the same.

use bytes::Bytes;
use futures::TryStreamExt;
use md5::{Digest as _, Md5};

use crate::diff::Side;
use crate::digest::{Agreement, Digester};
use crate::entry::{Digest, Entry};
use crate::error::StoreError;
use crate::store::{ByteStream, Content, Result};
use crate::tree::Tree;

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
    let Some(mut digester) = Digester::new(known, content.size()) else { return Ok(false) };
    let mut body = content.read(0..content.size()).await?;
    while let Some(chunk) = body.try_next().await? {
        digester.update(&chunk);
    }
    Ok(digester.finish() == Agreement::Same)
}
