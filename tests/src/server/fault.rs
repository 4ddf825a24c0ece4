//! Requests that fail deliberately.
//!
//! The error handling of a client runs only if the network or the server misbehaves, which does not happen on a
//! loopback interface. A fault selects the requests to hit and defines the failure.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;

use super::operation::{Operation, Target};

/// The response to a request that is hit by a fault, instead of the normal response or in addition to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// This status with this S3 error code, for example 503 and `SlowDown`. The request is not executed.
    Error {
        /// The HTTP status.
        status: StatusCode,
        /// The S3 error code.
        code: &'static str,
    },
    /// 503 with this S3 error code and this number of seconds in `Retry-After`. The request is not executed.
    RetryAfter {
        /// The seconds.
        seconds: u16,
        /// The S3 error code.
        code: &'static str,
    },
    /// An S3 error with this message. The request is not executed.
    ErrorWithMessage {
        /// The HTTP status.
        status: StatusCode,
        /// The S3 error code.
        code: &'static str,
        /// The text for users.
        message: &'static str,
    },
    /// Status 200 with an error in the body, as S3 responds to a copy or a completion that fails late. The request is
    /// not executed.
    ErrorInOk {
        /// The S3 error code.
        code: &'static str,
    },
    /// Status 200 with a web page, as a proxy or the login page of a network answers. The request is not executed.
    WebPage,
    /// This status with this body and without an S3 error, as a proxy answers. The request is not executed.
    Page {
        /// The HTTP status.
        status: StatusCode,
        /// The body, which may be empty.
        body: &'static str,
    },
    /// A response that is not from S3, as a proxy sends it. It has an `ETag`, like the pages of many web servers.
    Foreign {
        /// The HTTP status.
        status: StatusCode,
        /// The value of `Content-Type`. If it is empty, there is no such header.
        media_type: &'static str,
        /// The body, which may be empty.
        body: &'static str,
        /// Whether the request is executed nevertheless.
        performs: bool,
    },
    /// The connection is reset. The request is not executed.
    Reset,
    /// The request is executed, then the connection is reset. The client cannot know whether it was executed.
    ResetAfterPerforming,
    /// The request is executed, then nothing is sent and the connection stays open.
    SilenceAfterPerforming,
    /// The body ends after this many bytes and the connection is closed, whatever the declared length is.
    CutBody {
        /// The number of bytes that are sent.
        after: usize,
    },
    /// The body stops after this many bytes and the connection stays open.
    StallBody {
        /// The number of bytes that are sent.
        after: usize,
    },
    /// One byte of the response body arrives inverted.
    FlipByte {
        /// The offset of that byte in the body.
        at: usize,
    },
    /// One byte of the request body arrives inverted.
    FlipSentByte {
        /// The offset of that byte in the body.
        at: usize,
    },
    /// The normal response is delayed by this time.
    Delay(Duration),
    /// A get with a range gets status 200 and the whole object.
    IgnoreRange,
    /// The `ETag`, in the header and in the document, belongs to no content.
    WrongEtag,
    /// There is no `ETag` header.
    NoEtag,
    /// The response has this CRC-64/NVME, or no checksum and no algorithm of one.
    Checksum(Option<&'static str>),
    /// The request is executed, and the response is a success without a body and an `ETag`.
    Empty,
    /// The response is a success with an `ETag` that belongs to no content, and the object is not stored.
    Forget,
    /// A get with a range gets the bytes that are this many bytes later, with the `Content-Range` of the requested
    /// range.
    ShiftRange {
        /// The distance in bytes.
        by: usize,
    },
    /// A get with a range gets the bytes that are this many bytes later, with the `Content-Range` of those bytes.
    OtherRange {
        /// The distance in bytes.
        by: usize,
    },
    /// Right before the request is performed, another client stores an object in its bucket.
    Overtaken {
        /// The key of that object.
        key: &'static str,
        /// The content.
        content: &'static str,
    },
    /// Right before the request is performed, another client replaces or deletes its object. Right after it, that client
    /// restores the object.
    Restored {
        /// The content during the request, or `None` if there is no object.
        meanwhile: Option<&'static str>,
        /// Whether the restored object has its earlier time, as after the removal of a version.
        keeps_time: bool,
    },
    /// Right after the request is performed, another client stores this content at its key.
    Overwritten {
        /// The content of the other client.
        content: &'static str,
        /// The response, or its ETag.
        answered: AnsweredEtag,
    },
    /// Right before the request is performed, the content of its object is replaced behind the server's back: the object
    /// has another time and the same `ETag`, as on a gateway that keeps the `ETag` beside the file.
    ReplacedBehind {
        /// The new content.
        content: Bytes,
    },
    /// The response declares and has only this many bytes of the body.
    Shortened {
        /// The number of bytes.
        to: usize,
    },
    /// The body is sent in pieces of this many bytes with a pause before each piece.
    Trickle {
        /// The size of a piece.
        piece: usize,
        /// The pause before each piece.
        pause: Duration,
    },
    /// This status with an S3 error, whose body is sent byte by byte. The request is not executed.
    TrickledError {
        /// The HTTP status.
        status: StatusCode,
        /// The S3 error code.
        code: &'static str,
        /// The pause before each byte.
        pause: Duration,
    },
}

/// The ETag in the response to a write whose object was replaced immediately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnsweredEtag {
    /// There is none, and no body.
    Missing,
    /// That of the object that is there now.
    Current,
    /// There is no response: the connection is reset.
    Reset,
    /// The response is 500 `InternalError`.
    Failed,
}

impl Answer {
    /// Returns 503 `SlowDown`, which means that the client sends too many requests.
    #[must_use]
    pub fn slow_down() -> Self {
        Self::Error { status: StatusCode::SERVICE_UNAVAILABLE, code: "SlowDown" }
    }

    /// Returns 500 `InternalError`.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::Error { status: StatusCode::INTERNAL_SERVER_ERROR, code: "InternalError" }
    }

    /// Returns 403 `AccessDenied`.
    #[must_use]
    pub fn access_denied() -> Self {
        Self::Error { status: StatusCode::FORBIDDEN, code: "AccessDenied" }
    }

    /// Returns 400 `RequestTimeout`, the only client error that S3 clients should retry.
    #[must_use]
    pub fn request_timeout() -> Self {
        Self::Error { status: StatusCode::BAD_REQUEST, code: "RequestTimeout" }
    }
}

/// Selects the requests that a fault hits. [`FaultPattern::answer`] turns it into a [`Fault`].
#[derive(Debug, Clone)]
pub struct FaultPattern {
    operation: Option<Operation>,
    key: KeyPattern,
    first: usize,
    times: usize,
}

#[derive(Debug, Clone)]
enum KeyPattern {
    Any,
    Is(String),
    Contains(String),
}

impl FaultPattern {
    /// Selects one exact key, or one exact prefix of listings.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = KeyPattern::Is(key.into());
        self
    }

    /// Selects keys, or prefixes of listings, that contain this text.
    #[must_use]
    pub fn key_contains(mut self, part: impl Into<String>) -> Self {
        self.key = KeyPattern::Contains(part.into());
        self
    }

    /// Hits the n-th matching request first, counted from 1, instead of the first one.
    #[must_use]
    pub fn nth(mut self, n: usize) -> Self {
        self.first = n.max(1);
        self
    }

    /// Hits this many consecutive requests instead of one.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Hits every matching request, starting with the first to hit.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Returns the fault that gives this response to the selected requests.
    #[must_use]
    pub fn answer(self, answer: Answer) -> Fault {
        Fault { pattern: self, answer, seen: 0 }
    }

    fn fits(&self, target: &Target) -> bool {
        let key_fits = match &self.key {
            KeyPattern::Any => true,
            KeyPattern::Is(key) => target.key == *key,
            KeyPattern::Contains(part) => target.key.contains(part),
        };
        key_fits && self.operation.is_none_or(|operation| operation == target.operation)
    }
}

/// A selection of requests, and the response that they get.
///
/// ```
/// use pos3_tests::server::{Answer, Fault, Operation};
///
/// // The second and third get of a key under `logs/` get `SlowDown`.
/// let fault = Fault::on(Operation::GetObject).key_contains("logs/").nth(2).times(2).answer(Answer::slow_down());
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    pattern: FaultPattern,
    answer: Answer,
    seen: usize,
}

impl Fault {
    /// Returns a pattern that matches the first request of one operation.
    #[must_use]
    pub fn on(operation: Operation) -> FaultPattern {
        FaultPattern { operation: Some(operation), key: KeyPattern::Any, first: 1, times: 1 }
    }

    /// Returns a pattern that matches the first request of any operation.
    #[must_use]
    pub fn on_any() -> FaultPattern {
        FaultPattern { operation: None, key: KeyPattern::Any, first: 1, times: 1 }
    }

    /// Counts a matching request and returns whether it is hit.
    fn hits(&mut self, target: &Target) -> bool {
        if !self.pattern.fits(target) {
            return false;
        }
        self.seen += 1;
        self.seen >= self.pattern.first && self.seen - self.pattern.first < self.pattern.times
    }

    fn has_hit(&self) -> bool {
        self.seen >= self.pattern.first
    }
}

/// The faults of one server.
#[derive(Debug, Default)]
pub(super) struct FaultTable(Mutex<Vec<Fault>>);

impl FaultTable {
    pub(super) fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the number of faults that have not hit a request yet.
    pub(super) fn waiting(&self) -> usize {
        self.lock().iter().filter(|fault| !fault.has_hit()).count()
    }

    /// Passes a request to every fault and returns the response of the first one that hits it.
    pub(super) fn answer(&self, target: &Target) -> Option<Answer> {
        let mut answer = None;
        for fault in self.lock().iter_mut() {
            if fault.hits(target) && answer.is_none() {
                answer = Some(fault.answer.clone());
            }
        }
        answer
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(key: &str) -> Target {
        Target { operation: Operation::GetObject, key: key.to_owned() }
    }

    #[test]
    fn a_fault_hits_the_requests_it_names() {
        let table = FaultTable::default();
        table.add(Fault::on(Operation::GetObject).key_contains("x").nth(2).times(2).answer(Answer::Reset));
        let put = Target { operation: Operation::PutObject, key: "x".to_owned() };
        assert_eq!(table.answer(&put), None);
        assert_eq!(table.waiting(), 1);
        let hits: Vec<_> = ["x", "y", "ax", "x", "x"].map(|key| table.answer(&get(key)).is_some()).to_vec();
        assert_eq!(hits, [false, false, true, true, false]);
        assert_eq!(table.waiting(), 0);
    }

    #[test]
    fn the_first_fault_wins() {
        let table = FaultTable::default();
        table.add(Fault::on_any().answer(Answer::Reset));
        table.add(Fault::on_any().key("k").always().answer(Answer::WrongEtag));
        assert_eq!(table.answer(&get("k")), Some(Answer::Reset));
        assert_eq!(table.answer(&get("k")), Some(Answer::WrongEtag));
    }
}
