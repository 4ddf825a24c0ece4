//! Limits what a run does at once: requests in flight and bytes in flight.
//!
//! Without one budget for the whole run, the number of parallel files and of parallel parts would multiply, and so
//! would the memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::files::{most_requests, open_file_limit};
use super::space::{address_space_limit, most_in_flight};

/// Bytes are counted in units of 4 KiB, so that the permits of a semaphore suffice for terabytes.
const UNIT: u64 = 4096;

/// The requests and bytes in flight of one run. Clones share the limits.
#[derive(Clone, Debug)]
pub struct Budget {
    slots: Arc<Semaphore>,
    narrowing: Arc<Mutex<Narrowing>>,
    bytes: Arc<Semaphore>,
    byte_units: u32,
    concurrency: usize,
}

/// The slots that a budget has withdrawn for a while.
#[derive(Debug, Default)]
struct Narrowing {
    withdrawn: usize,
    /// How many of them are still used by requests in flight.
    in_use: usize,
}

/// Permission to have one more request in flight, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    narrowing: Arc<Mutex<Narrowing>>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut narrowing = locked(&self.narrowing);
        if narrowing.in_use > 0
            && let Some(permit) = self.permit.take()
        {
            narrowing.in_use -= 1;
            permit.forget();
        }
    }
}

fn locked(narrowing: &Mutex<Narrowing>) -> MutexGuard<'_, Narrowing> {
    narrowing.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// and at most what the current limits of open files and of the address space of this process allow.
    pub fn new(concurrency: usize, bytes: u64) -> Self {
        let (most, most_bytes) = most_in_flight(address_space_limit());
        let concurrency = concurrency.min(most).min(most_requests(open_file_limit())).clamp(1, Semaphore::MAX_PERMITS);
        let byte_units =
            u32::try_from(bytes.min(most_bytes).div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4);
        Self {
            slots: Arc::new(Semaphore::new(concurrency)),
            narrowing: Arc::default(),
            bytes: Arc::new(Semaphore::new(byte_units as usize)),
            byte_units,
            concurrency,
        }
    }

    /// Returns the number of requests that may be in flight.
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Limits the requests in flight to `most`, until [`widen`](Self::widen) raises the limit again. Requests that are
    /// already in flight continue.
    ///
    /// If time is short, a few complete requests are worth more than many incomplete ones.
    pub fn narrow(&self, most: usize) {
        let mut narrowing = locked(&self.narrowing);
        let more = self.concurrency.saturating_sub(most.max(1)).saturating_sub(narrowing.withdrawn);
        narrowing.withdrawn += more;
        narrowing.in_use += more - self.slots.forget_permits(more);
    }

    /// Allows one more request in flight, if the budget was narrowed.
    pub fn widen(&self) {
        let mut narrowing = locked(&self.narrowing);
        if narrowing.withdrawn == 0 {
            return;
        }
        narrowing.withdrawn -= 1;
        if narrowing.in_use > 0 {
            narrowing.in_use -= 1;
        } else {
            self.slots.add_permits(1);
        }
    }

    /// Waits for a slot.
    pub async fn slot(&self) -> Slot {
        let permit = Some(acquire(&self.slots, 1).await);
        Slot { permit, narrowing: self.narrowing.clone() }
    }

    /// Returns a slot if one is free. Use it for the second and further parts of one object.
    ///
    /// The first part uses the slot that its copy already holds, so every copy can make progress. Parts must not wait
    /// for further slots: copies that each hold one slot and wait for another would block each other forever.
    pub fn try_slot(&self) -> Option<Slot> {
        let permit = self.slots.clone().try_acquire_owned().ok()?;
        Some(Slot { permit: Some(permit), narrowing: self.narrowing.clone() })
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
    async fn a_budget_that_is_narrowed_has_fewer_slots_until_it_is_widened() {
        let free = |budget: &Budget| budget.slots.available_permits();
        let budget = Budget::new(8, 8192);
        let mut used = Vec::new();
        for _ in 0..6 {
            used.push(budget.slot().await);
        }
        budget.narrow(2);
        budget.narrow(2);
        assert_eq!(free(&budget), 0);
        used.truncate(2);
        assert_eq!(free(&budget), 0, "four of those in flight were too many");
        drop(used.pop());
        assert_eq!(free(&budget), 1);
        budget.widen();
        assert_eq!(free(&budget), 2);
        drop(used);
        (0..20).for_each(|_| budget.widen());
        assert_eq!(free(&budget), 8, "never more than at first");
    }

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
