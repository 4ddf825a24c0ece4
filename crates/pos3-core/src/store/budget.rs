//! Limits what a run does at once: copies and parts, files that are compared, batches of deletes, and bytes in memory.
//!
//! Without one budget for the whole run, the number of parallel files and of parallel parts would multiply, and so
//! would the memory. A store may send fewer requests at once than this, if its server cannot handle them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::files::{most_requests, open_file_limit};
use super::space::{address_space_limit, most_in_flight};

/// Bytes are counted in units of 4 KiB, so that the permits of a semaphore suffice for terabytes.
const UNIT: u64 = 4096;

/// The limits of what one run does at once. Clones share the slots and the bytes.
///
/// | limit | default |
/// | --- | --- |
/// | slots: copies and their parts, files that are compared by content, and calls that delete | 256 |
/// | copies of files larger than 1 MiB | 64 |
/// | bytes of content in memory | 128 MiB |
/// | files that are compared by content | 16 |
/// | batches of deletes | 8 |
///
/// The number of slots is also the maximum of the other numbers.
#[derive(Clone, Debug)]
pub struct Budget {
    slots: Arc<Semaphore>,
    large: Arc<Semaphore>,
    narrowing: Arc<Mutex<Narrowing>>,
    bytes: Arc<Semaphore>,
    byte_units: u32,
    concurrency: usize,
    reads: usize,
    delete_batches: usize,
}

/// The slots that a budget has withdrawn for a while.
#[derive(Debug, Default)]
struct Narrowing {
    withdrawn: usize,
    /// How many of them are still used by requests in flight.
    in_use: usize,
}

/// Permission to do one thing more at once, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    /// The place among the copies of large files.
    large: Option<OwnedSemaphorePermit>,
    narrowing: Arc<Mutex<Narrowing>>,
}

impl Slot {
    /// Pauses for a time without the slot, and then waits for one again.
    pub async fn pause(&mut self, budget: &Budget, time: Duration) {
        let large = self.large.take();
        *self = Self { permit: None, large, narrowing: self.narrowing.clone() };
        tokio::time::sleep(time).await;
        let mut slot = budget.slot().await;
        slot.large = self.large.take();
        *self = slot;
    }
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
    /// The default number of slots. Over a connection with a long round trip, fewer would leave the server idle.
    pub const CONCURRENCY: usize = 256;

    /// The default number of bytes of content in memory: 128 MiB.
    pub const BYTES: u64 = 128 << 20;

    /// The default number of copies of files larger than [`SMALL`](Self::SMALL). A large file uses further slots for its
    /// parts, and fewer files that are complete are worth more than many that are not.
    pub const LARGE_COPIES: usize = 64;

    /// The largest size of a small file: 1 MiB.
    pub const SMALL: u64 = 1 << 20;

    /// The default number of files that are compared by content at once. A disk is not faster with more, and the plan
    /// must keep its order.
    pub const READS: usize = 16;

    /// The default number of batches of deletes in flight. Each is work for up to a thousand keys in the store.
    pub const DELETE_BATCHES: usize = 8;

    /// Returns a budget of `concurrency` slots and `bytes` bytes in flight. The number of slots is at least one and at most what the current limits of open files and of the address space of this process allow.
    pub fn new(concurrency: usize, bytes: u64) -> Self {
        let (most, most_bytes) = most_in_flight(address_space_limit());
        let concurrency = concurrency.min(most).min(most_requests(open_file_limit())).clamp(1, Semaphore::MAX_PERMITS);
        let byte_units =
            u32::try_from(bytes.min(most_bytes).div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4);
        Self {
            slots: Arc::new(Semaphore::new(concurrency)),
            large: Arc::new(Semaphore::new(Self::LARGE_COPIES)),
            narrowing: Arc::default(),
            bytes: Arc::new(Semaphore::new(byte_units as usize)),
            byte_units,
            concurrency,
            reads: Self::READS,
            delete_batches: Self::DELETE_BATCHES,
        }
    }

    /// Sets how many copies of files larger than [`SMALL`](Self::SMALL) are in progress at once; at least one.
    #[must_use]
    pub fn with_large_copies(mut self, copies: usize) -> Self {
        self.large = Arc::new(Semaphore::new(copies.clamp(1, Semaphore::MAX_PERMITS)));
        self
    }

    /// Sets how many files are compared by content at once; at least one.
    #[must_use]
    pub fn with_reads(mut self, files: usize) -> Self {
        self.reads = files.max(1);
        self
    }

    /// Sets how many batches of deletes may be in flight; at least one.
    #[must_use]
    pub fn with_delete_batches(mut self, batches: usize) -> Self {
        self.delete_batches = batches.max(1);
        self
    }

    /// Returns the number of slots.
    pub fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Returns how many files are compared by content at once.
    pub fn reads(&self) -> usize {
        self.reads.min(self.concurrency)
    }

    /// Returns how many batches of deletes may be in flight.
    pub fn delete_batches(&self) -> usize {
        self.delete_batches.min(self.concurrency)
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
        Slot { permit, large: None, narrowing: self.narrowing.clone() }
    }

    /// Waits for the slot of a copy of this many bytes.
    pub async fn slot_for(&self, size: u64) -> Slot {
        let large = if size > Self::SMALL { Some(acquire(&self.large, 1).await) } else { None };
        let mut slot = self.slot().await;
        slot.large = large;
        slot
    }

    /// Returns a slot if one is free. Use it for the second and further parts of one object.
    ///
    /// The first part uses the slot that its copy already holds, so every copy can make progress. Parts must not wait
    /// for further slots: copies that each hold one slot and wait for another would block each other forever.
    pub fn try_slot(&self) -> Option<Slot> {
        let permit = self.slots.clone().try_acquire_owned().ok()?;
        Some(Slot { permit: Some(permit), large: None, narrowing: self.narrowing.clone() })
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

    #[tokio::test(start_paused = true)]
    async fn a_pause_has_no_slot() {
        let budget = Budget::new(1, 8192);
        let mut slot = budget.slot().await;
        let other = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let other = budget.try_slot();
            assert!(other.is_some());
            tokio::time::sleep(Duration::from_secs(9)).await;
        };
        let begin = tokio::time::Instant::now();
        tokio::join!(slot.pause(&budget, Duration::from_secs(5)), other);
        assert_eq!(begin.elapsed().as_secs(), 10, "then it waits for one");
        assert!(budget.try_slot().is_none());
        drop(slot);
        assert!(budget.try_slot().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn few_large_files_are_copied_at_once_and_small_ones_do_not_wait_for_them() {
        let budget = Budget::new(8, 8192).with_large_copies(2);
        let mut first = budget.slot_for(Budget::SMALL + 1).await;
        let _second = budget.slot_for(1 << 40).await;
        let wait = |size| tokio::time::timeout(Duration::from_secs(60), budget.slot_for(size));
        assert!(wait(Budget::SMALL + 1).await.is_err());
        assert!(wait(Budget::SMALL).await.is_ok());
        first.pause(&budget, Duration::from_secs(1)).await;
        assert!(wait(Budget::SMALL + 1).await.is_err(), "it is still in progress");
        drop(first);
        assert!(wait(Budget::SMALL + 1).await.is_ok());
    }

    #[test]
    fn no_limit_exceeds_the_number_of_slots() {
        let limits = |budget: Budget| (budget.reads(), budget.delete_batches());
        assert_eq!(limits(Budget::default()), (Budget::READS, Budget::DELETE_BATCHES));
        assert_eq!(limits(Budget::new(3, 1)), (3, 3));
        assert_eq!(limits(Budget::new(64, 1).with_reads(20).with_delete_batches(0)), (20, 1));
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
