//! A limit on bytes per second.
//!
//! Without it, a background upload takes all the bandwidth of the machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A limit on bytes per second, shared by all clones: files, parts and runs together. Unused time earns no credit, so
/// there is no burst after a pause. Bytes that are sent again count again.
#[derive(Clone, Debug)]
pub struct Pace {
    bytes_per_second: f64,
    free_at: Arc<Mutex<Instant>>,
}

impl Pace {
    /// Returns a limit of this many bytes per second, or `None` if that is not a positive finite number.
    pub fn new(bytes_per_second: f64) -> Option<Self> {
        let is_positive = bytes_per_second.is_finite() && bytes_per_second > 0.0;
        is_positive.then(|| Self { bytes_per_second, free_at: Arc::new(Mutex::new(Instant::now())) })
    }

    /// Waits until `bytes` more bytes are within the limit.
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
