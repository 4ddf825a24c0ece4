//! The capabilities that a server has been found to lack, so that the client does not use them again.
//!
//! Servers that implement S3 differ in the newer parts of the protocol: checksums in headers and conditional writes.
//! When a server refuses or ignores one of them, the client warns once and continues without it. [`lack`] decides which
//! responses are sufficient evidence for that.

pub(crate) mod lack;
mod manners;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use pos3_core::{Digest, Expect, Key};

use super::S3Client;
use crate::etag;
use crate::settings::{Checksums, ConditionalWrites, Etags};
use lack::{Evidence, Lack, News};

/// After this number of times, content with another MD5 than its ETag was not damaged on its way.
const SAME_EACH_TIME: u32 = 3;

/// The largest number of contradicted ETags that are kept.
const MOST_CONTRADICTED: usize = 1024;

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

/// The condition of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// There is no object: `If-None-Match: *`.
    Absent,
    /// The object has the expected ETag: `If-Match`.
    Unchanged,
}

impl Condition {
    /// Returns the condition for an expectation.
    fn of(expect: &Expect) -> Option<Self> {
        match expect {
            Expect::Anything => None,
            Expect::Absent => Some(Self::Absent),
            Expect::Unchanged(_) => Some(Self::Unchanged),
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Absent => Self::Unchanged,
            Self::Unchanged => Self::Absent,
        }
    }
}

/// The optional features of a write request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) protection: Protection,
    /// The condition as which the expectation about the target is sent.
    pub(crate) condition: Option<Condition>,
}

/// The capabilities that a server lacks.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    /// Requests with a CRC-64/NVME.
    checksums: Lack,
    /// Responses with a CRC-64/NVME. A server without them does not verify content.
    verification: Lack,
    /// The right CRC-64/NVME of whole objects.
    calculation: Lack,
    /// Writes on condition that there is no object.
    creations: Lack,
    /// Writes on condition that the object is unchanged. Some servers support only the other condition.
    replacements: Lack,
    conditional_deletes: Lack,
    /// ETags that are MD5s if they look like one. An object with correct content and the MD5 of other content as its ETag
    /// is evidence against that.
    digests: Lack,
    /// The received contents that differ from the MD5s in their ETags, which are the keys.
    contradicted: Mutex<HashMap<[u8; 16], Received>>,
    tags: Lack,
    /// The warning about lost tags has been given.
    told_of_tags: AtomicBool,
}

/// What a server does instead of verifying a CRC-64/NVME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// Its response has no CRC-64/NVME.
    Ignores,
    /// Its response has a wrong one, although the content is right.
    Miscalculates,
}

/// Content whose MD5 differs from its ETag, and how often it was received in succession.
#[derive(Debug)]
struct Received {
    md5: [u8; 16],
    times: u32,
}

impl S3Client {
    /// Returns how content is protected.
    pub(crate) fn protection(&self) -> Protection {
        match self.config().checksums {
            Checksums::Auto if self.lacks_checksums() => Protection::Md5,
            Checksums::Auto | Checksums::Crc64Nvme => Protection::Crc64Nvme,
            Checksums::Md5 => Protection::Md5,
            Checksums::Off => Protection::None,
        }
    }

    /// Returns how the content of one upload is protected if the server ignores its checksums.
    pub(crate) fn protection_without_checksums(&self) -> Protection {
        if self.config().checksums == Checksums::Auto { Protection::Md5 } else { self.protection() }
    }

    fn lacks_checksums(&self) -> bool {
        let Habits { checksums, verification, calculation, .. } = &self.0.habits;
        [checksums, verification, calculation].into_iter().any(Lack::is_known)
    }

    /// Returns true if downloads are compared with the checksum that the server stores.
    pub(crate) fn compares(&self) -> bool {
        self.config().checksums != Checksums::Off
    }

    /// Returns true if writes are sent with conditions of both kinds.
    pub(crate) fn conditional(&self) -> bool {
        self.sends(Condition::Absent) && self.sends(Condition::Unchanged)
    }

    fn sends(&self, condition: Condition) -> bool {
        match self.config().conditional_writes {
            ConditionalWrites::Off => false,
            ConditionalWrites::On => true,
            ConditionalWrites::Auto => !self.writes_with(condition).is_known(),
        }
    }

    fn writes_with(&self, condition: Condition) -> &Lack {
        match condition {
            Condition::Absent => &self.0.habits.creations,
            Condition::Unchanged => &self.0.habits.replacements,
        }
    }

    /// Returns true if the server has executed a write with this condition. If it refuses another one, it does not lack
    /// such conditions.
    pub(crate) fn has_obeyed(&self, condition: Condition) -> bool {
        self.writes_with(condition).is_refuted()
    }

    /// Returns true if the ETags of objects are sent with their deletes.
    pub(crate) fn conditional_deletes(&self) -> bool {
        match self.config().conditional_writes {
            ConditionalWrites::Off => false,
            ConditionalWrites::On => true,
            ConditionalWrites::Auto => !self.0.habits.conditional_deletes.is_known(),
        }
    }

    /// Returns true if conditions may be omitted after a server has refused them.
    pub(crate) fn may_drop_conditions(&self) -> bool {
        self.config().conditional_writes == ConditionalWrites::Auto
    }

    /// Returns true if a write with this expectation has no condition because the server does not support conditions.
    /// Only a lookup right before the write then protects the objects of other writers.
    pub(crate) fn is_unguarded(&self, expect: &Expect, manner: Manner) -> bool {
        *expect != Expect::Anything && manner.condition.is_none() && self.may_drop_conditions()
    }

    /// Records that the server deletes only without conditions. This needs no warning: pos3 looks up each object before
    /// the delete anyway, and a server that silently ignores conditions is no better.
    pub(crate) fn lacks_conditional_deletes(&self, evidence: Evidence) {
        self.0.habits.conditional_deletes.record(evidence);
    }

    /// Records that the server executed a delete with a condition.
    pub(crate) fn has_conditional_deletes(&self) {
        self.0.habits.conditional_deletes.refute();
    }

    /// Returns true if the server has executed a delete with a condition.
    pub(crate) fn has_obeyed_deletes(&self) -> bool {
        self.0.habits.conditional_deletes.is_refuted()
    }

    /// Returns the features of a write with this expectation.
    pub(crate) fn manner(&self, expect: &Expect) -> Manner {
        Manner { protection: self.protection(), condition: self.condition(expect) }
    }

    /// Returns the condition that is sent for an expectation.
    pub(crate) fn condition(&self, expect: &Expect) -> Option<Condition> {
        Condition::of(expect).filter(|condition| self.sends(*condition))
    }

    /// Returns the alternatives to `manner`, with fewer features, for a server that does not support it.
    pub(crate) fn plainer(&self, manner: Manner) -> Vec<Manner> {
        let auto_checksums = self.config().checksums == Checksums::Auto;
        let auto_conditions = self.config().conditional_writes == ConditionalWrites::Auto;
        let mut plainer = Vec::new();
        if auto_checksums && manner.protection == Protection::Crc64Nvme {
            plainer.push(Manner { protection: Protection::Md5, ..manner });
        }
        if auto_conditions && manner.condition.is_some() {
            let others: Vec<Manner> = std::iter::once(manner).chain(plainer.clone()).collect();
            plainer.extend(others.into_iter().map(|manner| Manner { condition: None, ..manner }));
        }
        plainer
    }

    /// Records that the server accepted a request about the object at `key` with fewer features, or with the usual ones.
    pub(crate) fn learn(&self, key: &Key, usual: Manner, accepted: Manner, evidence: Evidence) {
        match (usual.protection, accepted.protection) {
            (Protection::Crc64Nvme, Protection::Crc64Nvme) => self.0.habits.checksums.refute(),
            (usual, accepted) if usual != accepted => {
                self.note_checksums(&self.0.habits.checksums, "refuses", evidence);
            }
            _ => {}
        }
        match (usual.condition, accepted.condition) {
            (Some(condition), Some(_)) => self.writes_with(condition).refute(),
            (Some(condition), None) => self.lacks_conditions(key, condition, evidence),
            (None, _) => {}
        }
    }

    /// Records that the server has not verified the CRC-64/NVME of the object at `key`. A single response could be
    /// damaged, or come from a proxy.
    pub(crate) fn lacks_verification(&self, does: Unverified, key: &Key) {
        let (lack, does) = match does {
            Unverified::Ignores => (&self.0.habits.verification, "ignores"),
            Unverified::Miscalculates => (&self.0.habits.calculation, "miscalculates"),
        };
        self.note_checksums(lack, does, Evidence::of(key));
    }

    /// Records that the server returned the right CRC-64/NVME of content that it received.
    pub(crate) fn has_verified(&self) {
        self.0.habits.verification.refute();
    }

    /// Records that the server computed the CRC-64/NVME of a whole object correctly from its parts or its source.
    pub(crate) fn has_calculated(&self) {
        self.0.habits.calculation.refute();
    }

    /// Records evidence that the server lacks a part of the checksums. `does` is the verb for the warning.
    fn note_checksums(&self, lack: &Lack, does: &str, evidence: Evidence) {
        if self.config().checksums == Checksums::Auto && lack.record(evidence) == News::Known {
            self.warn(&format!(
                "the server at {} {does} CRC-64/NVME checksums: MD5 is used, which costs more",
                self.endpoint()
            ));
        }
    }

    /// Records that the server accepted a write of the object at `key` only without this condition.
    fn lacks_conditions(&self, key: &Key, condition: Condition, evidence: Evidence) {
        if self.config().conditional_writes != ConditionalWrites::Auto {
            return;
        }
        let news = self.writes_with(condition).record(evidence);
        if evidence.names_feature() {
            self.writes_with(condition.other()).record(evidence);
        }
        match news {
            News::None => {}
            News::Suspected => self.warn(&format!(
                "the server at {} refused a conditional write of '{key}', which was then sent without its condition",
                self.endpoint()
            )),
            News::Known => self.warn(&format!(
                "the server at {} does not support conditional writes: an object that {} during a write is \
                 overwritten",
                self.endpoint(),
                match condition {
                    Condition::Absent => "appears",
                    Condition::Unchanged => "changes",
                }
            )),
        }
    }

    /// Returns the digest in the ETag of an object's headers, if this server's ETags are digests.
    pub(crate) fn digest(&self, headers: &HeaderMap) -> Option<Digest> {
        etag::told(headers).filter(|_| self.has_digests())
    }

    /// Returns true unless this server is known to have ETags that look like an MD5 but are not.
    pub(crate) fn has_digests(&self) -> bool {
        self.config().etags == Etags::Auto && !self.0.habits.digests.is_known()
    }

    /// Records an object with correct content whose ETag looks like the MD5 of other content. A single one could be an
    /// accident.
    pub(crate) fn lacks_digests(&self, key: &Key) {
        if self.0.habits.digests.record(Evidence::of(key)) == News::Known {
            self.warn(&format!(
                "the ETags of the server at {} look like MD5s but are not: pos3 ignores them when it compares content",
                self.endpoint()
            ));
        }
    }

    /// Records content whose MD5 differs from its ETag, and returns true if it was received with the same MD5 each time.
    /// Then it was not damaged on its way.
    pub(crate) fn is_received_again(&self, etag: [u8; 16], received: [u8; 16]) -> bool {
        let mut contradicted = self.0.habits.contradicted.lock().unwrap_or_else(PoisonError::into_inner);
        if contradicted.len() >= MOST_CONTRADICTED && !contradicted.contains_key(&etag) {
            contradicted.clear();
        }
        let last = contradicted.entry(etag).or_insert(Received { md5: received, times: 0 });
        let times = if last.md5 == received { last.times + 1 } else { 1 };
        *last = Received { md5: received, times };
        times >= SAME_EACH_TIME
    }

    /// Returns true unless the server is known not to support tags.
    pub(crate) fn has_tags(&self) -> bool {
        !self.0.habits.tags.is_known()
    }

    /// Records that the server refused to return tags. If it may have some nevertheless, this warns that a copy loses
    /// them.
    pub(crate) fn lacks_tags(&self, evidence: Evidence) {
        if self.0.habits.tags.record(evidence) == News::Suspected {
            self.loses_tags("cannot be read");
        }
    }

    /// Records that the server returned tags.
    pub(crate) fn returns_tags(&self) {
        self.0.habits.tags.refute();
    }

    /// Warns once that copies lose their tags. `why` completes the sentence "tags …", for example `may not be read`.
    pub(crate) fn loses_tags(&self, why: &str) {
        if !self.0.habits.told_of_tags.swap(true, Ordering::Relaxed) {
            self.warn(&format!(
                "objects that are copied in parts at {} lose their tags: tags {why} with these credentials",
                self.endpoint()
            ));
        }
    }

    /// Passes a warning to the user.
    pub(crate) fn warn(&self, warning: &str) {
        self.config().warnings.tell(warning);
    }
}
