//! Reads contents to determine whether they are equal.

use std::mem::discriminant;

use bytes::Bytes;
use futures::TryStreamExt;

use crate::digest::{Agreement, Digester};
use crate::entry::{Digest, Entry};
use crate::error::{ErrorKind, StoreError};
use crate::evidence::Proof;
use crate::hash::{Own, Read, hash_body, md5, read, sum};
use crate::side::Side;
use crate::store::{ByteStream, Content, Result};
use crate::tree::Tree;

/// A side that could not be read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) side: Side,
    pub(crate) error: StoreError,
}

/// The method of comparing contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Read the local content and compare its digest with the facts that the other store reports.
    Digest,
    /// Read neither content; request the facts that both stores have about the one object.
    Checksum,
    /// Read both contents and compare them byte by byte.
    Both,
}

/// The result of comparing contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sameness {
    /// They are the same.
    Same(Proof),
    /// They differ.
    Different,
    /// There is no digest or checksum to compare them by.
    Unknown,
}

/// The result of comparing contents, and the MD5 of the local one if it was wanted and the content was read for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) same: Sameness,
    pub(crate) local: Option<(Side, Digest)>,
}

impl From<Sameness> for Compared {
    fn from(same: Sameness) -> Self {
        Self { same, local: None }
    }
}

/// Compares source and target and reads as much content as the method needs.
///
/// # Errors
///
/// Returns the side that could not be read, and why.
pub(crate) async fn same_content(
    source: (&Tree, &Entry),
    target: (&Tree, &Entry),
    reading: Reading,
    own: Own,
) -> Result<Compared, Unread> {
    match reading {
        Reading::Digest => same_digest(source, target, own).await,
        Reading::Checksum => same_checksum(source, target).await.map(Compared::from),
        Reading::Both => {
            let same = same_bytes(source.0.content(source.1), target.0.content(target.1)).await?;
            Ok(if same { Sameness::Same(Proof::Content) } else { Sameness::Different }.into())
        }
    }
}

async fn same_digest(source: (&Tree, &Entry), target: (&Tree, &Entry), own: Own) -> Result<Compared, Unread> {
    let (here, there) = ((source.0.content(source.1), Side::Source), (target.0.content(target.1), Side::Target));
    match (source.0.is_local(), target.0.is_local()) {
        (true, true) => same_files(here, there, (source.1.digest, target.1.digest)).await.map(Compared::from),
        (true, false) => same_as_told(here, there, target.1.digest, own).await,
        (false, _) => same_as_told(there, here, source.1.digest, own).await,
    }
}

/// Compares two local contents. If the digest of one is known, only the other one is read.
async fn same_files(
    (source, from): (Content, Side),
    (target, to): (Content, Side),
    digests: (Option<Digest>, Option<Digest>),
) -> Result<Sameness, Unread> {
    let unread = |side| move |error| Unread { side, error };
    let (content, side, known) = match digests {
        (Some(known), _) => (target, to, known),
        (None, Some(known)) => (source, from, known),
        (None, None) => (target, to, Digest::Md5(md5(source).await.map_err(unread(from))?)),
    };
    let read = read(content, Some(known), Own::NotNeeded).await.map_err(unread(side))?;
    Ok(by_agreement(read.agreement))
}

/// Compares a local content with the facts that another store reports for its own: first with the digest from the
/// listing. If that does not match, the facts about this one object decide, because a value that looks like a digest in
/// a listing may not be one.
async fn same_as_told(
    (local, here): (Content, Side),
    (remote, there): (Content, Side),
    listed: Option<Digest>,
    own: Own,
) -> Result<Compared, Unread> {
    let unread = |error| Unread { side: here, error };
    let by_digest = match listed {
        Some(_) => Some(read(local.clone(), listed, own).await.map_err(unread)?),
        None => None,
    };
    let digest = by_digest.as_ref().and_then(|read| read.md5).map(|md5| (here, Digest::Md5(md5)));
    let compared = |same| Ok(Compared { same, local: digest });
    let agreement = by_digest.as_ref().map_or(Agreement::Unknown, |read| read.agreement);
    if agreement == Agreement::Same {
        return compared(Sameness::Same(Proof::Digest));
    }
    let found = match remote.look_up().await {
        Ok(Some(found)) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Unread { side: there, error }),
        // A user with permission to list but not to look up has only the facts from the listing.
        Ok(None) | Err(_) => return compared(by_agreement(agreement)),
    };
    let Some(checksum) = found.checksum else {
        return match found.digest {
            None => compared(Sameness::Unknown),
            Some(known) if agreement == Agreement::Unknown => {
                compared(by_parts(local, &remote, known).await.map_err(unread)?)
            }
            Some(_) => compared(by_agreement(agreement)),
        };
    };
    let sum = match by_digest {
        Some(Read { sum, .. }) if discriminant(&sum) == discriminant(&checksum) => sum,
        _ => sum(local, &checksum).await.map_err(unread)?,
    };
    compared(if sum == checksum { Sameness::Same(Proof::Checksum) } else { Sameness::Different })
}

fn by_agreement(agreement: Agreement) -> Sameness {
    match agreement {
        Agreement::Same => Sameness::Same(Proof::Digest),
        Agreement::Different => Sameness::Different,
        Agreement::Unknown => Sameness::Unknown,
    }
}

/// Compares a local content with the digest of parts of an unusual size. The other store returns that size; if it
/// cannot, the digest cannot be compared.
async fn by_parts(local: Content, remote: &Content, known: Digest) -> Result<Sameness> {
    let part_size = remote.part_size().await.ok().flatten();
    let Some(digester) = part_size.and_then(|part_size| Digester::of_parts(known, part_size)) else {
        return Ok(Sameness::Unknown);
    };
    let body = local.read(0..local.size()).await?;
    let digester = hash_body(body, digester, Digester::update).await?;
    Ok(by_agreement(digester.finish()))
}

/// Compares the facts that each store returns for its own object.
async fn same_checksum(source: (&Tree, &Entry), target: (&Tree, &Entry)) -> Result<Sameness, Unread> {
    let (from, to) = (source.0.content(source.1), target.0.content(target.1));
    let (from, to) = futures::join!(from.look_up(), to.look_up());
    let told = |side, listed: &Entry, found: Result<Option<Entry>>| match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Unread { side, error }),
        found => Ok(found.ok().flatten().unwrap_or_else(|| listed.clone())),
    };
    let (from, to) = (told(Side::Source, source.1, from)?, told(Side::Target, target.1, to)?);
    Ok(match (from.checksum, to.checksum, from.digest, to.digest) {
        (Some(from), Some(to), ..) if from == to => Sameness::Same(Proof::Checksum),
        (_, _, Some(from), Some(to)) if from == to => Sameness::Same(Proof::Digest),
        (Some(from), Some(to), ..) if discriminant(&from) == discriminant(&to) => Sameness::Different,
        (_, _, Some(Digest::Md5(_)), Some(Digest::Md5(_))) => Sameness::Different,
        _ => Sameness::Unknown,
    })
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

/// One side of a comparison that reads both.
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

    /// Reads until there are bytes to compare. At the end of the content the chunk stays empty.
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
