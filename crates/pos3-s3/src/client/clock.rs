//! The server's time, as far as it is known.
//!
//! A request is refused when it is signed a quarter of an hour off the server's clock, and machines whose clock is an hour
//! off are common enough. The server's answers carry its time, so the difference can be measured and made up for.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// A difference that explains a refusal: servers allow 15 minutes, or 5.
const SKEWED: Duration = Duration::from_secs(4 * 60);

/// A clock that can be set.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Seconds that the server's clock is ahead of this machine's.
    ahead: AtomicI64,
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
}
