//! When a request is sent again, and how long that waits.
//!
//! Pauses grow and are random (full jitter), so that many clients do not come back in step. A server that says it is
//! overloaded slows all requests of a client at once: with each backing off on its own, the others would go on at
//! full speed.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::error::Failure;

/// The first pause is up to this long, and each further one up to twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Attempts beyond the usual number that a server gets which says that it is overloaded: together at least half a minute.
const OVERLOADED: u32 = 5;

/// Counts the attempts of one request.
#[derive(Debug)]
pub(crate) struct Attempts {
    limit: u32,
    longest_pause: Duration,
    made: u32,
    ambiguous: bool,
    wrong_digest_is_final: bool,
}

impl Attempts {
    pub(crate) fn new(limit: u32, longest_pause: Duration) -> Self {
        Self { limit, longest_pause, made: 0, ambiguous: false, wrong_digest_is_final: false }
    }

    /// Returns the same count for a request whose digest is not of its own body: sent again, it would still be wrong.
    pub(crate) fn once_for_a_wrong_digest(mut self) -> Self {
        self.wrong_digest_is_final = true;
        self
    }

    /// Returns true if an earlier attempt may have done what was asked.
    pub(crate) fn may_be_done(&self) -> bool {
        self.ambiguous
    }

    /// Starts counting again, after progress.
    pub(crate) fn renew(&mut self) {
        self.made = 0;
    }

    /// Waits until the request may be sent again.
    ///
    /// # Errors
    ///
    /// The failure itself, if sending again is of no use or has been done often enough.
    pub(crate) async fn again(&mut self, failure: Failure, brake: &Brake) -> Result<(), Failure> {
        self.ambiguous |= failure.is_ambiguous();
        self.made += 1;
        let is_final = self.wrong_digest_is_final && failure.is_wrong_digest();
        let limit = self.limit + if failure.is_throttling() { OVERLOADED } else { 0 };
        if is_final || !failure.is_temporary() || self.made >= limit {
            return Err(failure);
        }
        let mut pause = self.pause(failure.retry_after());
        if failure.is_throttling() {
            // No server recovers from an overload in no time.
            pause = pause.max(self.bound() / 2);
        }
        tracing::debug!(attempt = self.made, ?pause, ?failure, "a request failed and is sent again");
        if failure.is_throttling() {
            brake.hold(pause);
        } else {
            sleep(pause).await;
        }
        Ok(())
    }

    /// Returns the pause before the next attempt: random up to a growing bound, and no shorter than the server asked
    /// for, within the longest allowed.
    fn pause(&self, asked: Option<Duration>) -> Duration {
        random_up_to(self.bound()).max(asked.unwrap_or_default().min(self.longest_pause))
    }

    fn bound(&self) -> Duration {
        FIRST_PAUSE.saturating_mul(1 << self.made.saturating_sub(1).min(16)).min(self.longest_pause)
    }
}

/// Holds back all requests of a client while the server is overloaded.
#[derive(Debug)]
pub(crate) struct Brake {
    start: Instant,
    /// Milliseconds after `start` before which no request is sent.
    until: AtomicU64,
}

impl Brake {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), until: AtomicU64::new(0) }
    }

    /// Lets no request out for so long.
    pub(crate) fn hold(&self, pause: Duration) {
        let until = (self.start.elapsed() + pause).as_millis();
        self.until.fetch_max(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits until requests may go out, a little longer for some than for others.
    pub(crate) async fn wait(&self) {
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return;
        }
        let until = self.start + Duration::from_millis(until);
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            sleep_until(until + random_up_to(left / 4)).await;
        }
    }
}

/// Returns a random duration: the standard library's hash keys are random, which is enough to spread requests.
fn random_up_to(bound: Duration) -> Duration {
    let random = RandomState::new().hash_one(());
    let nanoseconds = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random % nanoseconds.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

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
        assert!(attempts.again(refused(403), &brake).await.is_err());

        let mut attempts = Attempts::new(3, Duration::from_secs(1));
        assert!(attempts.again(refused(500), &brake).await.is_ok());
        assert!(attempts.again(refused(500), &brake).await.is_ok());
        assert!(attempts.again(refused(500), &brake).await.is_err());
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
        brake.wait().await;
        assert!(start.elapsed() >= Duration::from_millis(4999));
        let held = start.elapsed();
        brake.wait().await;
        assert_eq!(start.elapsed(), held);
    }
}
