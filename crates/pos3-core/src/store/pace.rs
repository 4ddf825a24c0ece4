//! A limit on bytes per second.
//!
//! Without it a background upload takes the line from whatever else the machine does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A limit on bytes per second, shared by everything that holds a clone: files, parts and runs together. What is not
/// used is lost: no credit grows while nothing is moved, so there is no burst afterwards. Bytes that are sent again count
/// again.
#[derive(Clone, Debug)]
pub struct Pace {
    bytes_per_second: f64,
    free_at: Arc<Mutex<Instant>>,
}

impl Pace {
    /// Returns a limit of so many bytes per second, or nothing if that is no positive number.
    pub fn new(bytes_per_second: f64) -> Option<Self> {
        let is_positive = bytes_per_second.is_finite() && bytes_per_second > 0.0;
        is_positive.then(|| Self { bytes_per_second, free_at: Arc::new(Mutex::new(Instant::now())) })
    }

    /// Waits until `bytes` more bytes may have passed.
    pub async fn wait(&self, bytes: u64) {
        let until = self.book(bytes);
        tokio::time::sleep_until(until).await;
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is no count")]
    fn book(&self, bytes: u64) -> Instant {
        let time = Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_second).unwrap_or(Duration::MAX / 4);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = (*free_at).max(Instant::now());
        *free_at = begin.checked_add(time).unwrap_or(begin);
        *free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_positive_number_is_a_pace() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Pace::new(rate).is_none(), "{rate}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_holders_together_keep_the_pace_and_idleness_earns_nothing() {
        let pace = Pace::new(1000.0).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begin = Instant::now();
        let (first, second) = (pace.clone(), pace.clone());
        tokio::join!(first.wait(500), second.wait(500), pace.wait(1000));
        assert_eq!(begin.elapsed().as_millis(), 2000);
    }
}
