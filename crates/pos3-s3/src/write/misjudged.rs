//! Determines whether a server refuses conditions that are met.
//!
//! Some servers respond to `If-Match` with 412 whatever ETag it contains. A correct server responds in the same way if
//! another writer has changed the object and restores it before pos3 looks it up. Without this module, that would end
//! the use of conditions, and later writes would overwrite objects of other writers.

use std::time::{Duration, SystemTime};

use pos3_core::{Expect, Fingerprint, Key, Operation};
use tokio::time::sleep;

use crate::bucket::Bucket;
use crate::client::habits::Manner;
use crate::client::habits::lack::Evidence;
use crate::headers::header;
use crate::time::parse_http_date;

/// The number of refusals between equal lookups after which the server is known to misjudge conditions. A single one
/// could be an object with versions whose latest version was added and removed again.
const REFUSALS: u32 = 2;

/// The largest number of times that a refused write is sent again.
const MOST_REPEATS: u32 = 4;

/// The age that an object must exceed at the first lookup. The times of objects are whole seconds, so a younger object
/// could be written again without a change of its time.
const SETTLED: Duration = Duration::from_secs(2);

/// The longest time to wait until an object is old enough. Only a wrong clock in the server needs more.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// The evidence about the refusals of one write.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    /// The time of the object at the first lookup, if a later write would have changed it.
    since: Option<SystemTime>,
    /// The number of refusals between lookups that showed this time.
    refusals: u32,
    repeats: u32,
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
    /// Returns how to repeat a write that the server refused because of its condition: with the condition, or without
    /// it if the server is found to misjudge conditions. Returns `None` if the refusal must be reported.
    pub(crate) async fn after_refusal(
        &self,
        key: &Key,
        expect: &Expect,
        manner: Manner,
        doubt: &mut Doubt,
    ) -> Option<Manner> {
        let Expect::Unchanged(seen) = expect else { return None };
        if !manner.conditional || !self.client.may_drop_conditions() || doubt.repeats == MOST_REPEATS {
            return None;
        }
        doubt.repeats += 1;
        let mut look = self.look_after_refusal(key, seen).await?;
        if doubt.since.is_some() && doubt.since == look.modified {
            doubt.refusals += 1;
        } else {
            if let Some(wait) = look.until_settled().filter(|wait| !wait.is_zero()) {
                sleep(wait.min(LONGEST_WAIT)).await;
                look = self.look_after_refusal(key, seen).await?;
            }
            doubt.refusals = 0;
            doubt.since = look.modified.filter(|_| look.until_settled() == Some(Duration::ZERO));
        }
        if doubt.refusals == REFUSALS {
            self.client.lacks_conditions(Evidence::sufficient());
        }
        Some(Manner { conditional: self.client.conditional(), ..manner })
    }

    /// Looks up an object. Returns `None` if it does not have the expected ETag or cannot be looked up.
    async fn look_after_refusal(&self, key: &Key, seen: &Fingerprint) -> Option<Look> {
        let (entry, headers) = self.head_if(key, None, Operation::LookUp).await.ok()?;
        // The response of a cache has the server's time of an earlier request.
        let date = parse_http_date(header(&headers, "date")).filter(|_| !headers.contains_key("age"));
        (entry.fingerprint.as_ref() == Some(seen)).then_some(Look { modified: entry.modified, now: date })
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
