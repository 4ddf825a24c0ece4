//! The server's time.
//!
//! A server refuses a request if its signing time differs from the server's clock by more than 15 minutes. Machines
//! whose clock is an hour off are common. The refusal contains the server's time, so the client can correct the signing
//! time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The smallest difference that can explain a refusal. Servers tolerate 15 minutes, some only 5.
const SKEWED: Duration = Duration::from_secs(4 * 60);

/// A clock that can be set to the server's time.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// How far the server's clock is ahead of this machine's, in seconds. It is set when a server refuses the signing
    /// time.
    ahead: AtomicI64,
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
