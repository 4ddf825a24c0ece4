//! Compares an object as it arrives with what its store knows of it.
//!
//! TCP's own checksum lets one damaged packet in some millions pass, and a proxy or a server's memory can damage bytes
//! where TCP does not look at all.

use http::HeaderMap;
use md5::{Digest as _, Md5};
use pos3_core::{Checksum, Checksummer, Digest};

use crate::checksum;

/// What is known of an object, and what has arrived of it.
pub(super) enum Proof {
    Sum { arrived: Box<Checksummer>, expected: Checksum },
    Md5 { arrived: Md5, expected: [u8; 16] },
}

impl Proof {
    /// Returns the proof that an answer with a whole object allows: by its checksum, or by its digest where that is the MD5.
    pub(super) fn of(headers: &HeaderMap, digest: Option<Digest>) -> Option<Self> {
        if let Some(expected) = checksum::told(headers) {
            return Some(Self::Sum { arrived: Box::new(Checksummer::like(&expected)), expected });
        }
        match digest? {
            Digest::Md5(expected) => Some(Self::Md5 { arrived: Md5::new(), expected }),
            _ => None,
        }
    }

    /// Takes the next bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sum { arrived, .. } => arrived.update(bytes),
            Self::Md5 { arrived, .. } => arrived.update(bytes),
        }
    }

    /// Returns true if what has arrived is what is known.
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Sum { arrived, expected } => arrived.finish() == *expected,
            Self::Md5 { arrived, expected } => <[u8; 16]>::from(arrived.clone().finalize()) == *expected,
        }
    }

    /// Forgets what has arrived.
    pub(super) fn reset(&mut self) {
        match self {
            Self::Sum { arrived, expected } => **arrived = Checksummer::like(expected),
            Self::Md5 { arrived, .. } => *arrived = Md5::new(),
        }
    }
}
