//! Compares an object while it arrives with the checksum or digest that its store reports.
//!
//! The checksum of TCP misses one damaged packet in several million, and a proxy or a server's memory can damage data
//! before or after TCP checks it.

use http::HeaderMap;
use md5::{Digest as _, Md5};
use pos3_core::{Checksum, Checksummer, Digest};

use crate::checksum;
use crate::headers::header;

/// The expected checksum or digest, and the state of the computation over the bytes that have arrived.
pub(super) enum Proof {
    Sum {
        arrived: Box<Checksummer>,
        expected: Checksum,
    },
    Md5 {
        arrived: Md5,
        expected: [u8; 16],
    },
    /// A checksum from a response without an ETag, which may be about another object than the listed one.
    Both(Box<Self>, Box<Self>),
}

impl Proof {
    /// Returns the comparison for a response with a whole object: by its checksum, or by its digest if that is an MD5.
    /// If the response has no ETag, the digest is that of the listing, and the content must match both.
    pub(super) fn of(headers: &HeaderMap, digest: Option<Digest>) -> Option<Self> {
        let sum = checksum::told(headers)
            .map(|expected| Self::Sum { arrived: Box::new(Checksummer::like(&expected)), expected });
        let md5 = match digest {
            Some(Digest::Md5(expected)) => Some(Self::Md5 { arrived: Md5::new(), expected }),
            _ => None,
        };
        match (sum, md5) {
            (Some(sum), Some(md5)) if header(headers, "etag").is_empty() => {
                Some(Self::Both(Box::new(sum), Box::new(md5)))
            }
            (sum, md5) => sum.or(md5),
        }
    }

    /// Adds the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sum { arrived, .. } => arrived.update(bytes),
            Self::Md5 { arrived, .. } => arrived.update(bytes),
            Self::Both(sum, md5) => {
                sum.update(bytes);
                md5.update(bytes);
            }
        }
    }

    /// Returns true if the bytes that have arrived match.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Sum { arrived, expected } => arrived.finish() == *expected,
            Self::Md5 { arrived, expected } => <[u8; 16]>::from(arrived.clone().finalize()) == *expected,
            Self::Both(sum, md5) => sum.holds() && md5.holds(),
        }
    }

    /// Returns the MD5 in the ETag and that of the bytes that have arrived, if they are compared by their MD5.
    pub(super) fn md5s(&self) -> Option<([u8; 16], [u8; 16])> {
        match self {
            Self::Sum { .. } | Self::Both(..) => None,
            Self::Md5 { arrived, expected } => Some((*expected, arrived.clone().finalize().into())),
        }
    }

    /// Starts again with no bytes.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Sum { arrived, expected } => **arrived = Checksummer::like(expected),
            Self::Md5 { arrived, .. } => *arrived = Md5::new(),
            Self::Both(sum, md5) => {
                sum.reset();
                md5.reset();
            }
        }
    }
}
