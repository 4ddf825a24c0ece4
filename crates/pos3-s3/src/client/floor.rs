//! Detects responses that are too slow.
//!
//! A body that sends one byte per second never stalls, but would take hours. The client measures only the time in which
//! it waits for the server. So a slow or throttled reader causes no failure.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::error::Failure;
use crate::settings::SlowestAnswer;

/// Watches one body.
#[derive(Debug)]
pub(crate) struct Floor {
    slowest: SlowestAnswer,
    idle: Duration,
    waited: Duration,
    arrived: u64,
}

impl Floor {
    /// Returns a watch on a body that may make no progress for `idle`.
    pub(crate) fn new(slowest: SlowestAnswer, idle: Duration) -> Self {
        Self { slowest, idle, waited: Duration::ZERO, arrived: 0 }
    }

    /// Waits for the next piece of the body, which is `size` bytes long.
    ///
    /// # Errors
    ///
    /// Fails if the server sends nothing, or too little.
    pub(crate) async fn next<T>(
        &mut self,
        next: impl Future<Output = T>,
        size: impl FnOnce(&T) -> usize,
    ) -> Result<T, Failure> {
        let begin = Instant::now();
        let piece = timeout(self.idle, next).await.map_err(|_| Failure::Stalled(self.idle))?;
        self.waited += begin.elapsed();
        self.arrived += size(&piece) as u64;
        if self.waited >= self.slowest.within {
            if self.arrived < self.slowest.bytes {
                return Err(Failure::Slow(self.slowest));
            }
            (self.waited, self.arrived) = (Duration::ZERO, 0);
        }
        Ok(piece)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    async fn feed(
        floor: &mut Floor,
        pieces: u32,
        size: usize,
        waits: Duration,
        reads: Duration,
    ) -> Result<(), Failure> {
        for _ in 0..pieces {
            floor.next(sleep(waits), |()| size).await?;
            sleep(reads).await;
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_server_that_sends_too_little_is_too_slow() {
        let slowest = SlowestAnswer { bytes: 4096, within: Duration::from_secs(60) };
        let second = Duration::from_secs(1);
        let floor = || Floor::new(slowest, Duration::from_secs(60));
        assert!(matches!(feed(&mut floor(), 100, 1, second, Duration::ZERO).await, Err(Failure::Slow(_))));
        assert!(feed(&mut floor(), 1000, 100, second, Duration::ZERO).await.is_ok());
        // A slow reader does not wait for the server.
        assert!(feed(&mut floor(), 1000, 1, Duration::ZERO, second).await.is_ok());
        // Fast data at the beginning does not compensate for a slow body later.
        let mut later = floor();
        feed(&mut later, 60, 1 << 20, second, Duration::ZERO).await.unwrap();
        assert!(feed(&mut later, 100, 1, second, Duration::ZERO).await.is_err());
        let mut unlimited = Floor::new(SlowestAnswer { bytes: 0, ..slowest }, Duration::from_secs(60));
        assert!(feed(&mut unlimited, 1000, 1, second, Duration::ZERO).await.is_ok());
    }
}
