//! The server's time, as far as it is known.
//!
//! A request is refused when it is signed a quarter of an hour off the server's clock, and machines whose clock is an hour
//! off are common enough. The server's answers carry its time, so the difference can be measured and made up for.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pos3_core::ClockSkew;

/// A difference that explains a refusal: servers allow 15 minutes, or 5.
const SKEWED: Duration = Duration::from_secs(4 * 60);

/// The longest that an answer may take for its date to tell the difference well.
const SLOW: Duration = Duration::from_secs(5);

/// A clock that can be set.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Seconds that the server's clock is ahead of this machine's.
    ahead: AtomicI64,
    /// The same as a range, by the last answer that tells it well.
    skew: Mutex<ClockSkew>,
}

impl Clock {
    /// Returns the server's time as far as it is known.
    pub(crate) fn now(&self) -> SystemTime {
        let ahead = self.ahead.load(Ordering::Relaxed);
        let offset = Duration::from_secs(ahead.unsigned_abs());
        let now = SystemTime::now();
        let moved = if ahead < 0 { now.checked_sub(offset) } else { now.checked_add(offset) };
        moved.unwrap_or(now)
    }

    /// Sets the clock by the time that a server told when it refused what was signed at `signed`. Returns false if the
    /// difference does not explain the refusal.
    pub(crate) fn set(&self, server: SystemTime, signed: SystemTime) -> bool {
        if distance(server, signed) < SKEWED {
            return false;
        }
        let now = SystemTime::now();
        let seconds = i64::try_from(distance(server, now).as_secs()).unwrap_or_default();
        self.ahead.store(if server < now { -seconds } else { seconds }, Ordering::Relaxed);
        true
    }

    /// Learns from an answer with a date how the server's clock differs from this machine's. `asked` is when it was asked
    /// for. An answer that took long leaves too much room, so it teaches nothing.
    pub(crate) fn learn(&self, asked: SystemTime, date: Option<SystemTime>) {
        let received = SystemTime::now();
        let Some(date) = date.filter(|_| distance(asked, received) <= SLOW) else { return };
        if let Some(skew) = ClockSkew::measured(asked, received, date) {
            *self.skew.lock().unwrap_or_else(PoisonError::into_inner) = skew;
        }
    }

    /// Returns how the server's clock differs from this machine's, as far as it is known.
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
