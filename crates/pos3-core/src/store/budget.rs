//! Limits what a run does at once: requests in flight and bytes in flight.
//!
//! Without one budget for the whole run, the number of parallel files and of parallel parts would multiply, and so
//! would the memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::files::{most_requests, open_file_limit};

/// Bytes are counted in units of 4 KiB, so that the permits of a semaphore suffice for terabytes.
const UNIT: u64 = 4096;

/// The requests and bytes in flight of one run. Clones share the limits.
#[derive(Clone, Debug)]
pub struct Budget {
    slots: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    byte_units: u32,
    concurrency: usize,
}

/// Permission to have one more request in flight, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// Permission to hold some bytes in memory, until it is dropped.
#[derive(Debug)]
pub struct Reservation {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// The default number of requests in flight.
    pub const CONCURRENCY: usize = 64;

    /// The default number of bytes of content in memory: 128 MiB.
    pub const BYTES: u64 = 128 << 20;

    /// Returns a budget of `concurrency` requests and `bytes` bytes in flight. The number of requests is at least one
    /// and at most what the current limit of open files of this process allows.
    pub fn new(concurrency: usize, bytes: u64) -> Self {
        let concurrency = concurrency.min(most_requests(open_file_limit())).clamp(1, Semaphore::MAX_PERMITS);
        let byte_units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4);
        Self {
            slots: Arc::new(Semaphore::new(concurrency)),
            bytes: Arc::new(Semaphore::new(byte_units as usize)),
            byte_units,
            concurrency,
        }
    }

    /// Returns the number of requests that may be in flight.
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Waits for a slot.
    pub async fn slot(&self) -> Slot {
        Slot { _permit: acquire(&self.slots, 1).await }
    }

    /// Returns a slot if one is free. Use it for the second and further parts of one object.
    ///
    /// The first part uses the slot that its copy already holds, so every copy can make progress. Parts must not wait
    /// for further slots: copies that each hold one slot and wait for another would block each other forever.
    pub fn try_slot(&self) -> Option<Slot> {
        self.slots.clone().try_acquire_owned().ok().map(|permit| Slot { _permit: permit })
    }

    /// Waits until `bytes` more bytes may be in memory. More than the whole budget is treated as the whole budget.
    ///
    /// A task must hold at most one reservation at a time, or two tasks could wait for each other forever.
    pub async fn reserve(&self, bytes: u64) -> Reservation {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.byte_units);
        Reservation { _permit: if units == 0 { None } else { Some(acquire(&self.bytes, units).await) } }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Self::CONCURRENCY, Self::BYTES)
    }
}

async fn acquire(semaphore: &Arc<Semaphore>, permits: u32) -> OwnedSemaphorePermit {
    match semaphore.clone().acquire_many_owned(permits).await {
        Ok(permit) => permit,
        Err(_closed) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn slots_and_bytes_come_back_when_dropped() {
        let budget = Budget::new(2, 8192);
        let first = budget.slot().await;
        let second = budget.try_slot();
        assert!(second.is_some());
        assert!(budget.try_slot().is_none());
        drop(first);
        assert!(budget.try_slot().is_some());

        let all = budget.reserve(1 << 40).await;
        assert_eq!(budget.bytes.available_permits(), 0, "more than the budget counts as all of it");
        drop(all);
        assert_eq!(budget.bytes.available_permits(), 2);
    }
}
