//! What a server was found unable to do, so that it is not asked again.
//!
//! Servers that call themselves S3 differ in what came late to the protocol: checksums in headers, and conditions on
//! writes. What they refuse or ignore is noticed on the way, told once, and done without from then on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use http::HeaderMap;
use pos3_core::{Digest, Expect};

use super::S3Client;
use super::config::{Checksums, ConditionalWrites};
use crate::error::Failure;
use crate::etag;

/// How many objects must turn out to be right although their ETags have the form of an MD5 and are another: one could be
/// an accident.
const OPAQUE_ETAGS: u32 = 2;

/// How content is protected on its way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// By its CRC-64/NVME.
    Crc64Nvme,
    /// By its MD5.
    Md5,
    /// Not at all.
    None,
}

/// What a write asks of the server beside storing content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) protection: Protection,
    /// What is expected of the target is sent along.
    pub(crate) conditional: bool,
}

/// What one server cannot do.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    lacks_checksums: AtomicBool,
    lacks_conditions: AtomicBool,
    /// Objects that were right although their ETag looked like the MD5 of something else.
    opaque_etags: AtomicU32,
    lacks_tags: AtomicBool,
    /// It has been told that tags are lost.
    told_of_tags: AtomicBool,
}

impl S3Client {
    /// Returns how content is protected.
    pub(crate) fn protection(&self) -> Protection {
        match self.config().checksums {
            Checksums::Auto if self.0.habits.lacks_checksums.load(Ordering::Relaxed) => Protection::Md5,
            Checksums::Auto | Checksums::Crc64Nvme => Protection::Crc64Nvme,
            Checksums::Md5 => Protection::Md5,
            Checksums::Off => Protection::None,
        }
    }

    /// Returns true if what is read is compared with what the server knows of it.
    pub(crate) fn compares(&self) -> bool {
        self.config().checksums != Checksums::Off
    }

    /// Returns true if conditions on writes are sent.
    pub(crate) fn conditional(&self) -> bool {
        match self.config().conditional_writes {
            ConditionalWrites::Off => false,
            ConditionalWrites::On => true,
            ConditionalWrites::Auto => !self.0.habits.lacks_conditions.load(Ordering::Relaxed),
        }
    }

    /// Returns how a write with this expectation is asked for.
    pub(crate) fn manner(&self, expect: &Expect) -> Manner {
        Manner { protection: self.protection(), conditional: *expect != Expect::Anything && self.conditional() }
    }

    /// Returns how else the same write may be asked for where the server does not know what `manner` asks.
    pub(crate) fn plainer(&self, manner: Manner) -> Vec<Manner> {
        let auto_checksums = self.config().checksums == Checksums::Auto;
        let auto_conditions = self.config().conditional_writes == ConditionalWrites::Auto;
        let mut plainer = Vec::new();
        if auto_checksums && manner.protection == Protection::Crc64Nvme {
            plainer.push(Manner { protection: Protection::Md5, ..manner });
        }
        if auto_conditions && manner.conditional {
            let others: Vec<Manner> = std::iter::once(manner).chain(plainer.clone()).collect();
            plainer.extend(others.into_iter().map(|manner| Manner { conditional: false, ..manner }));
        }
        plainer
    }

    /// Notes that the server did in a plainer manner what it had refused to do in the usual one.
    pub(crate) fn learn(&self, usual: Manner, plainer: Manner) {
        if usual.protection != plainer.protection {
            self.lacks_checksums("refuses");
        }
        if usual.conditional && !plainer.conditional {
            self.lacks_conditions();
        }
    }

    /// Notes that the server does not check CRC-64/NVME: it `refuses` or `ignores` it.
    pub(crate) fn lacks_checksums(&self, does: &str) {
        let is_news =
            self.config().checksums == Checksums::Auto && !self.0.habits.lacks_checksums.swap(true, Ordering::Relaxed);
        if is_news {
            self.warn(&format!(
                "the server at {} {does} CRC-64/NVME checksums: MD5 is used, which costs more",
                self.endpoint()
            ));
        }
    }

    /// Notes that the server does not honour conditions on writes.
    pub(crate) fn lacks_conditions(&self) {
        let is_news = self.config().conditional_writes == ConditionalWrites::Auto
            && !self.0.habits.lacks_conditions.swap(true, Ordering::Relaxed);
        if is_news {
            self.warn(&format!(
                "the server at {} has no conditional writes: an object that appears in the moment it is written is overwritten",
                self.endpoint()
            ));
        }
    }

    /// Returns the digest that the ETag in an object's headers is, where the ETags of this server are digests.
    pub(crate) fn digest(&self, headers: &HeaderMap) -> Option<Digest> {
        etag::told(headers).filter(|_| self.has_digests())
    }

    /// Returns true if an ETag that looks like an MD5 is one on this server, as far as is known.
    pub(crate) fn has_digests(&self) -> bool {
        self.0.habits.opaque_etags.load(Ordering::Relaxed) < OPAQUE_ETAGS
    }

    /// Notes that an object was right although its ETag looked like the MD5 of something else.
    pub(crate) fn lacks_digests(&self) {
        if self.0.habits.opaque_etags.fetch_add(1, Ordering::Relaxed) + 1 == OPAQUE_ETAGS {
            self.warn(&format!(
                "the ETags of the server at {} look like MD5s but are not: pos3 ignores them when it compares content",
                self.endpoint()
            ));
        }
    }

    /// Returns true if the server knows tags, as far as is known.
    pub(crate) fn has_tags(&self) -> bool {
        !self.0.habits.lacks_tags.load(Ordering::Relaxed)
    }

    /// Notes that the server knows no tags.
    pub(crate) fn lacks_tags(&self) {
        self.0.habits.lacks_tags.store(true, Ordering::Relaxed);
    }

    /// Warns once that copies lose their tags, which `may not` be touched.
    pub(crate) fn loses_tags(&self, why: &str) {
        if !self.0.habits.told_of_tags.swap(true, Ordering::Relaxed) {
            self.warn(&format!(
                "objects that are copied in parts at {} lose their tags: tags {why} with these credentials",
                self.endpoint()
            ));
        }
    }

    /// Tells a person what they may want to know.
    pub(crate) fn warn(&self, warning: &str) {
        self.config().warnings.tell(warning);
    }
}

/// The manners in which one request is asked for, from the usual to plainer ones, while the server does not know what is
/// asked.
#[derive(Debug)]
pub(crate) struct Manners<'c> {
    client: &'c S3Client,
    usual: Manner,
    current: Manner,
    plainer: Vec<Manner>,
    unknown: Option<Failure>,
}

impl S3Client {
    /// Returns the manners to ask in.
    pub(crate) fn manners(&self, usual: Manner) -> Manners<'_> {
        let mut plainer = self.plainer(usual);
        plainer.reverse();
        Manners { client: self, usual, current: usual, plainer, unknown: None }
    }
}

impl Manners<'_> {
    /// Returns the manner to ask in now.
    pub(crate) fn current(&self) -> Manner {
        self.current
    }

    /// Takes what came of asking; nothing is returned if it is to be asked once more, in another manner.
    pub(crate) fn judge<T>(&mut self, asked: Result<T, Failure>) -> Option<Result<T, Failure>> {
        match asked {
            Err(failure) if is_unknown(&failure) => {
                let first = self.unknown.take().unwrap_or(failure);
                let Some(plainer) = self.plainer.pop() else { return Some(Err(first)) };
                self.unknown = Some(first);
                self.current = plainer;
                None
            }
            Err(failure) => Some(Err(failure)),
            Ok(value) => {
                self.client.learn(self.usual, self.current);
                Some(Ok(value))
            }
        }
    }
}

/// Returns true if a server may have refused for a header that it does not know.
pub(crate) fn is_unknown(failure: &Failure) -> bool {
    failure.refusal().is_some_and(|refusal| {
        let unknown = ["NotImplemented", "InvalidRequest", "InvalidArgument", "MethodNotAllowed"];
        unknown.contains(&refusal.code.as_str())
            || (refusal.code.is_empty() && matches!(refusal.status.as_u16(), 400 | 405 | 501))
    })
}
