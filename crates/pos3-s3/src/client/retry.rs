//! Decides whether and when a request is sent again.
//!
//! Pauses grow and are random (full jitter), so that many clients do not retry at the same time. If a server reports an
//! overload, all requests of the client are delayed together. If each request backed off on its own, the others would
//! continue at full speed.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pos3_core::{Expect, ServerPause};
use tokio::time::{Instant, sleep, sleep_until};

use super::pause::Pauses;
use crate::error::Failure;

/// The upper bound of the first pause. Each further bound is twice the previous one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The number of extra attempts if the server reports an overload, or if a server that has answered before refuses or
/// cuts connections, as during a restart. All attempts together then take at least half a minute.
const PATIENT: u32 = 5;

/// After a pause of all requests, they are sent at random times in this fraction of it.
const SPREAD: u32 = 4;

/// Whether a server is known to exist. If it has never answered, its address is probably wrong, and a user wants to know
/// that soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    HasAnswered,
    IsUnknown,
}

/// The usual number of attempts. A configuration with fewer asks for quick failures.
pub(crate) const USUAL: u32 = 8;

/// Counts the attempts of one request.
#[derive(Debug)]
pub(crate) struct Attempts {
    limit: u32,
    longest_pause: Duration,
    made: u32,
    ambiguous: bool,
    was_received: bool,
    wrong_digest_is_final: bool,
}

impl Attempts {
    pub(crate) fn new(limit: u32, longest_pause: Duration) -> Self {
        Self { limit, longest_pause, made: 0, ambiguous: false, was_received: false, wrong_digest_is_final: false }
    }

    /// Returns the same counter, but treats a wrong digest as final. This is for a request whose digest covers other
    /// data than its body, so that sending it again cannot help.
    pub(crate) fn once_for_a_wrong_digest(mut self) -> Self {
        self.wrong_digest_is_final = true;
        self
    }

    /// Returns true if the server may have executed an earlier attempt.
    pub(crate) fn may_be_done(&self) -> bool {
        self.ambiguous
    }

    /// Returns true if the object must be looked up before a write with this expectation is repeated: an earlier attempt
    /// reached the server, which may have executed it. Even if it did not, as when it asks for fewer requests, another
    /// writer may have stored an object in the pause, and the server may ignore conditions.
    pub(crate) fn needs_a_look(&self, expect: &Expect) -> bool {
        self.was_received && *expect != Expect::Anything
    }

    /// Resets the number of attempts after progress.
    pub(crate) fn renew(&mut self) {
        self.made = 0;
    }

    /// Waits until the request may be sent again.
    ///
    /// # Errors
    ///
    /// Returns the failure if it is permanent or the maximum number of attempts is reached.
    pub(crate) async fn again(&mut self, failure: Failure, server: Server, brake: &Brake) -> Result<(), Failure> {
        self.ambiguous |= failure.is_ambiguous();
        self.was_received |= !failure.is_unsent();
        self.made += 1;
        let is_final = self.wrong_digest_is_final && failure.is_wrong_digest();
        let is_patient =
            failure.is_throttling() || (failure.is_cut_off() && server == Server::HasAnswered && self.limit >= USUAL);
        let limit = self.limit + if is_patient { PATIENT } else { 0 };
        if is_final || !failure.is_temporary() || self.made >= limit {
            return Err(failure);
        }
        let mut pause = self.pause(failure.retry_after());
        if is_patient {
            // The server needs time to recover, so the random pause gets a minimum.
            pause = pause.max(self.bound() / 2);
        }
        tracing::debug!(attempt = self.made, ?pause, ?failure, "a request failed and is sent again");
        if failure.is_throttling() {
            brake.pauses.note(pause, pause / SPREAD, &failure);
            brake.hold(pause);
        } else {
            brake.pauses.note(pause, Duration::ZERO, &failure);
            sleep(pause).await;
        }
        Ok(())
    }

    /// Returns the pause before the next attempt: a random time up to a growing bound, but at least the time that the
    /// server asked for. Neither exceeds the longest allowed pause.
    fn pause(&self, asked: Option<Duration>) -> Duration {
        random_up_to(self.bound()).max(asked.unwrap_or_default().min(self.longest_pause))
    }

    fn bound(&self) -> Duration {
        FIRST_PAUSE.saturating_mul(1 << self.made.saturating_sub(1).min(16)).min(self.longest_pause)
    }
}

/// Delays all requests of a client while the server is overloaded.
#[derive(Debug)]
pub(crate) struct Brake {
    start: Instant,
    /// The time before which no request is sent, in milliseconds after `start`.
    until: AtomicU64,
    pauses: Pauses,
}

impl Brake {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), until: AtomicU64::new(0), pauses: Pauses::default() }
    }

    /// Returns the pause of all requests, or of a single one, that ends last.
    pub(crate) fn pause(&self) -> Option<ServerPause> {
        self.pauses.current()
    }

    /// Delays all requests for this time. A shorter delay never replaces a longer one.
    pub(crate) fn hold(&self, pause: Duration) {
        let until = (self.start.elapsed() + pause).as_millis();
        self.until.fetch_max(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits until requests may be sent, plus a small random time, so that they do not all start at the same moment.
    pub(crate) async fn wait(&self) {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return;
        }
        let until = self.start + Duration::from_millis(until);
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            sleep_until(until + random_up_to(left / SPREAD)).await;
        }
    }

    /// Returns true if requests are delayed.
    pub(crate) fn is_held(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until > 0 && self.start + Duration::from_millis(until) > Instant::now()
    }
}

/// Returns a random number. The random hash keys of the standard library are good enough to spread requests.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}

fn random_up_to(bound: Duration) -> Duration {
    let nanoseconds = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random() % nanoseconds.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use object_store::client::{HttpError, HttpErrorKind};

    use super::*;
    use crate::error::Refusal;

    fn refused(status: u16) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        Failure::Refused(Box::new(Refusal::new(status, &HeaderMap::new(), b"")))
    }

    #[tokio::test(start_paused = true)]
    async fn only_temporary_failures_are_tried_again_and_not_for_ever() {
        let brake = Brake::new();
        let mut attempts = Attempts::new(3, Duration::from_secs(1));
        assert!(attempts.again(refused(403), Server::HasAnswered, &brake).await.is_err());

        let mut attempts = Attempts::new(3, Duration::from_secs(1));
        assert!(attempts.again(refused(500), Server::HasAnswered, &brake).await.is_ok());
        assert!(attempts.again(refused(500), Server::HasAnswered, &brake).await.is_ok());
        assert!(attempts.again(refused(500), Server::HasAnswered, &brake).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_has_answered_may_refuse_connections_for_half_a_minute() {
        let cut_off = |kind| Failure::Transport(HttpError::new(kind, std::io::Error::other("refused")));
        for kind in [HttpErrorKind::Connect, HttpErrorKind::Request, HttpErrorKind::Interrupted] {
            for (server, range) in [(Server::HasAnswered, 30..200), (Server::IsUnknown, 0..20)] {
                let (brake, start) = (Brake::new(), Instant::now());
                let mut attempts = Attempts::new(8, Duration::from_secs(20));
                while attempts.again(cut_off(kind), server, &brake).await.is_ok() {}
                assert!(range.contains(&start.elapsed().as_secs()), "{server:?}: {:?}", start.elapsed());
            }
        }
    }

    #[test]
    fn pauses_grow_to_the_longest_and_honour_the_server() {
        let mut attempts = Attempts::new(100, Duration::from_secs(20));
        for made in 1..100 {
            attempts.made = made;
            let bound = Duration::from_millis(100).saturating_mul(1 << (made - 1).min(16));
            assert!(attempts.pause(None) <= bound.min(Duration::from_secs(20)));
        }
        attempts.made = 1;
        assert!(attempts.pause(Some(Duration::from_secs(3))) >= Duration::from_secs(3));
        assert!(attempts.pause(Some(Duration::from_secs(300))) <= Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn an_overloaded_server_slows_every_request() {
        let brake = Brake::new();
        let start = Instant::now();
        brake.wait().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        brake.hold(Duration::from_secs(5));
        brake.hold(Duration::from_secs(2));
        assert!(brake.is_held());
        brake.wait().await;
        assert!(start.elapsed() >= Duration::from_millis(4999) && !brake.is_held());
        let held = start.elapsed();
        brake.wait().await;
        assert_eq!(start.elapsed(), held);
    }
}
