//! The server's time.
//!
//! A server refuses a request if its signing time differs from the server's clock by more than 15 minutes. Machines
//! whose clock is an hour off are common. The responses contain the server's time, so the client can measure the
//! difference and correct the signing time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pos3_core::ClockSkew;

/// The smallest difference that can explain a refusal. Servers tolerate 15 minutes, some only 5.
const SKEWED: Duration = Duration::from_secs(4 * 60);

/// The longest duration of a request whose response is used to measure the difference.
const SLOW: Duration = Duration::from_secs(5);

/// A clock that can be set to the server's time.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// How far the server's clock is ahead of this machine's, in seconds. It is set when a server refuses the signing
    /// time.
    ahead: AtomicI64,
    /// The difference as a range, from the last response that was fast enough to measure it.
    skew: Mutex<ClockSkew>,
}

impl Clock {
    /// Returns the server's time, or this machine's time if no difference is known.
    pub(crate) fn now(&self) -> SystemTime {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let offset = Duration::from_secs(ahead.unsigned_abs());
        let now = SystemTime::now();
        let moved = if ahead < 0 { now.checked_sub(offset) } else { now.checked_add(offset) };
        moved.unwrap_or(now)
    }

    /// Sets the clock to the time in the refusal of a request that was signed at `signed`. Returns false if the
    /// difference is too small to explain the refusal.
    pub(crate) fn set(&self, server: SystemTime, signed: SystemTime) -> bool {
        if distance(server, signed) < SKEWED {
            return false;
        }
        let now = SystemTime::now();
        let seconds = i64::try_from(distance(server, now).as_secs()).unwrap_or_default();
        self.ahead.store(if server < now { -seconds } else { seconds }, Ordering::Relaxed);
        true
    }

    /// Measures the difference between the clocks from the date of a response. `asked` is the time when the request was
    /// sent. A slow response is ignored, because its measurement would be too inaccurate.
    pub(crate) fn learn(&self, asked: SystemTime, date: Option<SystemTime>) {
        let received = SystemTime::now();
        let Some(date) = date.filter(|_| distance(asked, received) <= SLOW) else { return };
        if let Some(skew) = ClockSkew::measured(asked, received, date) {
            *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = skew;
        }
    }

    /// Returns the difference between the server's clock and this machine's, as measured so far.
    pub(crate) fn skew(&self) -> ClockSkew {
        *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_server_in_both_directions() {
        let hour = Duration::from_secs(3600);
        let clock = Clock::default();
        for server in [SystemTime::now() + hour, SystemTime::now() - hour] {
            assert!(clock.set(server, SystemTime::now()));
            assert!(distance(clock.now(), server) < SKEWED);
            assert!(!clock.set(server, clock.now()), "nothing is left to be explained");
        }
    }

    #[test]
    fn an_answer_tells_the_difference_and_a_slow_one_does_not() {
        let clock = Clock::default();
        let now = SystemTime::now();
        clock.learn(now, Some(now + Duration::from_secs(3600)));
        let (least, most) = clock.skew().bounds();
        assert!((3_500_000..=3_600_000).contains(&least) && (3_600_000..=3_602_000).contains(&most));
        let learned = clock.skew();
        clock.learn(now - Duration::from_secs(60), Some(now));
        clock.learn(now, None);
        assert_eq!(clock.skew(), learned);
    }
}
