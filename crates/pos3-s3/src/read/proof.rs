//! Compares an object while it arrives with the checksum or digest that its store reports.
//!
//! The checksum of TCP misses one damaged packet in several million, and a proxy or a server's memory can damage data
//! before or after TCP checks it.

use http::HeaderMap;
use md5::{Digest as _, Md5};
use pos3_core::{Checksum, Checksummer, Digest};

use crate::checksum;

/// The expected checksum or digest, and the state of the computation over the bytes that have arrived.
pub(super) enum Proof {
    Sum { arrived: Box<Checksummer>, expected: Checksum },
    Md5 { arrived: Md5, expected: [u8; 16] },
}

impl Proof {
    /// Returns the comparison for a response with a whole object: by its checksum, or by its digest if that is an MD5.
    pub(super) fn of(headers: &HeaderMap, digest: Option<Digest>) -> Option<Self> {
        if let Some(expected) = checksum::told(headers) {
            return Some(Self::Sum { arrived: Box::new(Checksummer::like(&expected)), expected });
        }
        match digest? {
            Digest::Md5(expected) => Some(Self::Md5 { arrived: Md5::new(), expected }),
            _ => None,
        }
    }

    /// Adds the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sum { arrived, .. } => arrived.update(bytes),
            Self::Md5 { arrived, .. } => arrived.update(bytes),
        }
    }

    /// Returns true if the bytes that have arrived match.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Sum { arrived, expected } => arrived.finish() == *expected,
            Self::Md5 { arrived, expected } => <[u8; 16]>::from(arrived.clone().finalize()) == *expected,
        }
    }

    /// Returns the MD5 in the ETag and that of the bytes that have arrived, if they are compared by their MD5.
    pub(super) fn md5s(&self) -> Option<([u8; 16], [u8; 16])> {
        match self {
            Self::Sum { .. } => None,
            Self::Md5 { arrived, expected } => Some((*expected, arrived.clone().finalize().into())),
        }
    }

    /// Starts again with no bytes.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Sum { arrived, expected } => **arrived = Checksummer::like(expected),
            Self::Md5 { arrived, .. } => *arrived = Md5::new(),
        }
    }
}
