//! Determines whether a server refuses conditions that are met.
//!
//! Some servers respond to `If-Match` with 412 whatever ETag it contains. A correct server responds in the same way if
//! another writer has changed the object and restores it before pos3 looks it up, or if a cache answers a HEAD request
//! with an old state. Without this module, that would end the use of conditions, and later writes would overwrite objects
//! of other writers.

use std::time::{Duration, SystemTime};

use pos3_core::{ErrorKind, Expect, Fingerprint, Key, Operation};
use tokio::time::sleep;

use crate::bucket::Bucket;
use crate::client::habits::Manner;
use crate::client::habits::lack::{Evidence, Trial};
use crate::headers::header;
use crate::time::parse_http_date;

/// The number of refusals between equal lookups after which the refusals are wrong. A single one could be an object with
/// versions whose latest version was added and removed again.
const REFUSALS: u32 = 2;

/// The largest number of times that a refused write is sent again.
const MOST_REPEATS: u32 = 4;

/// The pause before the first repeat. The next pause is twice as long. In this time, a lookup that returned an old state
/// catches up.
const PAUSE: Duration = Duration::from_secs(1);

/// The message for a write that the server refuses although the object has the ETag that the condition names.
const UNCHANGED: &str =
    "the server refuses to replace the object because it has changed (If-Match), but it is unchanged";

/// The message for a write that the server refuses although there is no object.
const ABSENT: &str = "the server refuses to create the object because it exists (If-None-Match), but it does not exist";

/// The age that an object must exceed at the first lookup. The times of objects are whole seconds, so a younger object
/// could be written again without a change of its time.
const SETTLED: Duration = Duration::from_secs(2);

/// The longest time to wait until an object is old enough. Only a wrong clock in the server needs more.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// What follows the refusal of a condition.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The write is sent again with these features.
    Repeat(Manner),
    /// The object is not as expected, or this cannot be determined.
    Justified,
    /// The server refuses a condition that is met. The message states which one.
    Misjudged(&'static str),
}

/// The evidence about the refusals of one write.
#[derive(Debug)]
pub(crate) struct Doubt {
    trial: Trial,
    /// The time of the object at the first lookup, if a later write would have changed it.
    since: Option<SystemTime>,
    /// The number of refusals between lookups that showed this time.
    refusals: u32,
    repeats: u32,
}

impl Doubt {
    pub(crate) fn new() -> Self {
        Self { trial: Trial::new(), since: None, refusals: 0, repeats: 0 }
    }

    /// Returns the evidence for a write that succeeded only without its condition.
    pub(crate) fn evidence(&self, key: &Key) -> Evidence {
        self.trial.evidence(key.as_str())
    }
}

/// A lookup that found the expected ETag.
struct Look {
    modified: Option<SystemTime>,
    /// The server's time at the lookup.
    now: Option<SystemTime>,
}

impl Look {
    /// Returns how long to wait until a write would change the time of the object. Returns `None` if that is unknown.
    fn until_settled(&self) -> Option<Duration> {
        let settled = self.modified?.checked_add(SETTLED)?;
        match self.now?.duration_since(settled) {
            Ok(more) if !more.is_zero() => Some(Duration::ZERO),
            Ok(_) => Some(Duration::from_secs(1)),
            Err(less) => Some(less.duration().saturating_add(Duration::from_secs(1))),
        }
    }
}

impl Bucket {
    /// Returns what follows after the server refused a write because of its condition.
    ///
    /// A HEAD request is evidence only if a listing confirms it. Without a listing, the refusal is treated as justified.
    ///
    /// If the object stays as expected, the write is repeated with the condition. If that fails too, the condition is
    /// omitted, for this object only, unless the server has executed a write with such a condition before. After that,
    /// it is known to evaluate them.
    pub(crate) async fn after_refusal(&self, key: &Key, expect: &Expect, manner: Manner, doubt: &mut Doubt) -> Verdict {
        let Some(condition) = manner.condition.filter(|_| self.client.may_drop_conditions()) else {
            return Verdict::Justified;
        };
        if doubt.repeats == MOST_REPEATS {
            return Verdict::Justified;
        }
        doubt.repeats += 1;
        let (is_as_expected, message) = match expect {
            Expect::Unchanged(seen) => (self.is_unchanged(key, seen, doubt).await, UNCHANGED),
            Expect::Absent => (self.is_absent(key, doubt).await, ABSENT),
            Expect::Anything => return Verdict::Justified,
        };
        if !is_as_expected {
            return Verdict::Justified;
        }
        let next = self.client.condition(expect);
        if doubt.refusals < REFUSALS || next.is_none() {
            sleep((PAUSE * doubt.repeats).min(self.client.config().longest_pause)).await;
            return Verdict::Repeat(Manner { condition: next, ..manner });
        }
        if *expect == Expect::Absent || self.client.has_obeyed(condition) {
            return Verdict::Misjudged(message);
        }
        Verdict::Repeat(Manner { condition: None, ..manner })
    }

    /// Returns true if the object has the expected ETag, and counts the refusals since it was last written.
    async fn is_unchanged(&self, key: &Key, seen: &Fingerprint, doubt: &mut Doubt) -> bool {
        let Some(mut look) = self.look_after_refusal(key, seen).await else { return false };
        if doubt.since.is_some() && doubt.since == look.modified {
            doubt.refusals += 1;
            return true;
        }
        if let Some(wait) = look.until_settled().filter(|wait| !wait.is_zero()) {
            sleep(wait.min(LONGEST_WAIT)).await;
            match self.look_after_refusal(key, seen).await {
                Some(later) => look = later,
                None => return false,
            }
        }
        doubt.refusals = 0;
        doubt.since = look.modified.filter(|_| look.until_settled() == Some(Duration::ZERO));
        true
    }

    /// Returns true if there is no object, and counts the refusals.
    async fn is_absent(&self, key: &Key, doubt: &mut Doubt) -> bool {
        let is_absent = self.head(key).await.is_err_and(|error| error.kind() == ErrorKind::NotFound);
        doubt.refusals = doubt.repeats - 1;
        is_absent && self.is_confirmed(key, None).await
    }

    /// Looks up an object. Returns `None` if it does not have the expected ETag, if a listing does not confirm it, or if
    /// it cannot be looked up.
    async fn look_after_refusal(&self, key: &Key, seen: &Fingerprint) -> Option<Look> {
        let (entry, headers) = self.head_if(key, None, Operation::LookUp).await.ok()?;
        if entry.fingerprint.as_ref() != Some(seen) || !self.is_confirmed(key, Some(&entry)).await {
            return None;
        }
        // The response of a cache has the server's time of an earlier request.
        let date = parse_http_date(header(&headers, "date")).filter(|_| !headers.contains_key("age"));
        Some(Look { modified: entry.modified, now: date })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_evidence_once_a_write_would_change_its_time() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (modified, now, wait) in [
            (at(100), at(103), seconds(0)),
            (at(100), at(1000), seconds(0)),
            (at(100), at(102), seconds(1)),
            (at(100), at(100), seconds(3)),
            (at(100), at(90), seconds(13)),
            (None, at(100), None),
            (at(100), None, None),
        ] {
            assert_eq!(Look { modified, now }.until_settled(), wait, "{modified:?} {now:?}");
        }
    }
}
