//! Counts the requests in flight to one server, and limits them to a number that the server can handle.
//!
//! A request has a slot only while it waits for the server. If it waits for this program instead (for content to send,
//! credentials, or the reader of its response), another request can take the slot after a second. So every slot becomes
//! free within the time limits of a request, and requests that depend on each other cannot block each other forever.

mod body;
mod growth;

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pos3_core::Budget;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::error::Failure;
use growth::Growth;

/// The time after which a request that waits for this program loses its slot if another request needs one.
const LONGEST_IDLE: Duration = Duration::from_secs(1);

tokio::task_local! {
    /// The limit whose slot the current task has while it opens the content of a request.
    static OPENING: usize;
}

/// The requests in flight to one server. Clones share the limit; the clients of one server should share one.
///
/// The limit starts at 16. It doubles per round trip as long as the throughput grows. When the server reports an
/// overload (`SlowDown`, status 503 or 429) or cuts a connection, it is halved; from then on it grows by one per round
/// trip. It never exceeds the maximum.
#[derive(Clone, Debug)]
pub struct RequestLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The free slots.
    free: Semaphore,
    state: Mutex<State>,
    start: Instant,
    most: usize,
}

#[derive(Debug)]
struct State {
    growth: Growth,
    /// The activity of each request that has a slot.
    held: HashMap<u64, Activity>,
    next: u64,
    /// The number of slots that exist.
    slots: usize,
    /// The number of slots that are used beyond the limit. They vanish when they become free.
    excess: usize,
    reclaimed: Instant,
}

/// The place of one request among those in flight, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    shared: Arc<Shared>,
    number: u64,
    begun: Instant,
    waited: bool,
    activity: Activity,
}

/// Whether a request waits for the server or for this program.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    /// The time since when it waits for this program, in milliseconds after `start`, plus 1; 0 if it waits for the
    /// server.
    idle_since: Arc<AtomicU64>,
    start: Instant,
}

impl RequestLimit {
    /// Returns a limit that never exceeds `most` requests; at least one.
    pub fn new(most: usize) -> Self {
        let (start, most) = (Instant::now(), most.clamp(1, Semaphore::MAX_PERMITS));
        let growth = Growth::new(most, start);
        let slots = growth.limit();
        let state = State { growth, held: HashMap::new(), next: 0, slots, excess: 0, reclaimed: start };
        Self(Arc::new(Shared { free: Semaphore::new(slots), state: Mutex::new(state), start, most }))
    }

    /// Returns how many requests may be in flight now.
    pub fn current(&self) -> usize {
        self.0.lock().growth.limit()
    }

    /// Returns the largest number of requests that will ever be in flight, except for those that provide the content
    /// of another request.
    pub fn most(&self) -> usize {
        self.0.most
    }

    /// Returns true if both are the same limit.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Waits for a slot. The requests get theirs in the order of these calls.
    ///
    /// A request that provides content for another one does not wait, because that one already has a slot.
    pub(crate) async fn slot(&self) -> Slot {
        if OPENING.try_with(|limit| *limit == self.id()).unwrap_or(false) {
            return self.0.take();
        }
        if let Ok(permit) = self.0.free.try_acquire() {
            permit.forget();
            return self.0.occupy(false);
        }
        let mut free = std::pin::pin!(self.0.free.acquire());
        loop {
            match timeout(LONGEST_IDLE, &mut free).await {
                Ok(Ok(permit)) => {
                    permit.forget();
                    return self.0.occupy(true);
                }
                Ok(Err(_closed)) => std::future::pending().await,
                Err(_) => self.0.reclaim(),
            }
        }
    }

    /// Runs a future that opens the content of a request that has a slot.
    pub(crate) async fn opening<T>(&self, open: impl Future<Output = T>) -> T {
        OPENING.scope(self.id(), open).await
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl Default for RequestLimit {
    /// Returns a limit with the maximum of a default [`Budget`].
    fn default() -> Self {
        Self::new(Budget::default().concurrency())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a slot beyond the limit, unless one is free.
    fn take(self: &Arc<Self>) -> Slot {
        let mut state = self.lock();
        match self.free.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) => state.excess += 1,
        }
        self.occupy_in(&mut state, false)
    }

    fn occupy(self: &Arc<Self>, waited: bool) -> Slot {
        self.occupy_in(&mut self.lock(), waited)
    }

    fn occupy_in(self: &Arc<Self>, state: &mut State, waited: bool) -> Slot {
        let begun = Instant::now();
        let activity = Activity { idle_since: Arc::default(), start: self.start };
        if state.held.is_empty() {
            state.growth.resume(begun);
        }
        state.next += 1;
        let number = state.next;
        state.held.insert(number, activity.clone());
        Slot { shared: self.clone(), number, begun, waited, activity }
    }

    /// Frees the slots of requests that have been waiting for this program.
    fn reclaim(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        if now.saturating_duration_since(state.reclaimed) < LONGEST_IDLE / 2 {
            return;
        }
        state.reclaimed = now;
        let before = state.held.len();
        state.held.retain(|_, activity| !activity.is_idle(now));
        for _ in state.held.len()..before {
            self.free_one(&mut state);
        }
    }

    fn free_one(&self, state: &mut State) {
        if state.excess > 0 {
            state.excess -= 1;
        } else {
            self.free.add_permits(1);
        }
    }

    /// Changes the number of slots to the current limit.
    fn adjust(&self, state: &mut State) {
        let limit = state.growth.limit();
        for _ in state.slots..limit {
            self.free_one(state);
        }
        let surplus = state.slots.saturating_sub(limit);
        state.excess += surplus - self.free.forget_permits(surplus);
        state.slots = limit;
    }
}

impl Slot {
    /// Returns the record of whether the request waits for the server. The code that handles the request updates it.
    pub(crate) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Ends the request after a complete response: `bytes` were sent and received.
    pub(crate) fn responded(self, bytes: u64) {
        let mut state = self.shared.lock();
        state.growth.responded(bytes, self.waited, Instant::now());
        self.shared.adjust(&mut state);
    }

    /// Ends the request after a failure. A server that refuses it for another reason than an overload has responded.
    pub(crate) fn failed(self, failure: &Failure) {
        if failure.is_overload() {
            self.overloaded();
        } else if failure.refusal().is_some() {
            self.responded(0);
        }
    }

    /// Ends the request after the server reported an overload or cut the connection.
    pub(crate) fn overloaded(self) {
        let mut state = self.shared.lock();
        state.growth.overloaded(self.begun, Instant::now());
        self.shared.adjust(&mut state);
        tracing::debug!(limit = state.slots, "the server is overloaded, so fewer requests are sent at once");
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.held.remove(&self.number).is_some() {
            self.shared.free_one(&mut state);
        }
    }
}

impl Activity {
    /// Records that the request waits for the server from now on.
    pub(crate) fn waits_for_server(&self) {
        self.idle_since.store(0, Ordering::Relaxed);
    }

    /// Records that the request waits for this program from now on.
    pub(crate) fn waits_for_program(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        // The first of several calls counts.
        let _ = self.idle_since.compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn is_idle(&self, now: Instant) -> bool {
        let since = self.idle_since.load(Ordering::Relaxed);
        since > 0 && now.saturating_duration_since(self.start + Duration::from_millis(since - 1)) >= LONGEST_IDLE
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::{StreamExt, stream};
    use tokio::time::sleep;

    use super::*;

    /// Returns a limit of one request, and the slot of that request.
    async fn full() -> (RequestLimit, Slot) {
        let limit = RequestLimit::new(1);
        let slot = limit.slot().await;
        (limit, slot)
    }

    async fn is_free(limit: &RequestLimit, within: Duration) -> bool {
        timeout(within, limit.slot()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_free_when_its_request_has_ended() {
        let (limit, slot) = full().await;
        assert!(!is_free(&limit, Duration::from_secs(3600)).await, "it waits for the server");
        slot.responded(1);
        assert!(is_free(&limit, Duration::ZERO).await);
        let (limit, slot) = full().await;
        slot.overloaded();
        assert!(is_free(&limit, Duration::ZERO).await);
        let (limit, slot) = full().await;
        drop(slot);
        assert!(is_free(&limit, Duration::ZERO).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_for_the_program_loses_its_slot_after_a_while() {
        let (limit, slot) = full().await;
        slot.activity().waits_for_program();
        assert!(!is_free(&limit, LONGEST_IDLE / 2).await);
        assert!(is_free(&limit, LONGEST_IDLE * 3).await);
        let second = limit.slot().await;
        drop(slot);
        assert!(!is_free(&limit, Duration::from_secs(3600)).await, "its slot does not come back twice");
        drop(second);

        let (limit, slot) = full().await;
        for _ in 0..20 {
            slot.activity().waits_for_program();
            tokio::time::sleep(LONGEST_IDLE / 4).await;
            slot.activity().waits_for_server();
        }
        assert!(!is_free(&limit, Duration::from_secs(3600)).await, "it never waited for long");
    }

    #[tokio::test(start_paused = true)]
    async fn the_content_of_a_request_does_not_wait_for_that_request() {
        let (limit, slot) = full().await;
        let content = limit.opening(limit.slot()).await;
        drop(slot);
        assert!(!is_free(&limit, Duration::from_secs(60)).await, "there was one slot too many");
        drop(content);
        assert!(is_free(&limit, Duration::ZERO).await);
        let (first, second) = (full().await, full().await);
        let other = first.0.opening(timeout(Duration::from_secs(60), second.0.slot())).await;
        assert!(other.is_err(), "the limit of another server holds");
    }

    #[tokio::test(start_paused = true)]
    async fn slots_follow_the_limit() {
        let limit = RequestLimit::new(256);
        let slots = futures::future::join_all((0..16).map(|_| limit.slot())).await;
        assert!(!is_free(&limit, Duration::from_secs(3600)).await);
        let mut slots = slots.into_iter();
        slots.next().unwrap().overloaded();
        assert_eq!(limit.current(), 8);
        let half: Vec<_> = slots.by_ref().take(7).collect();
        drop(half);
        assert!(!is_free(&limit, Duration::from_secs(3600)).await, "eight are still in flight");
        slots.next().unwrap();
        assert!(is_free(&limit, Duration::ZERO).await);
        drop(slots);
        let held = futures::future::join_all((0..8).map(|_| limit.slot())).await;
        assert!(!is_free(&limit, Duration::from_secs(3600)).await);
        drop(held);
    }

    /// Sends requests to a server that executes `most` at once, each in `time`, and refuses others. Returns the mean number
    /// of requests that were executed at once, and the number of refusals.
    async fn send(limit: &RequestLimit, requests: usize, most: usize, time: Duration) -> (f64, usize) {
        let (in_flight, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let request = async |number: usize| {
            loop {
                let slot = limit.slot().await;
                let is_accepted = in_flight.fetch_add(1, Ordering::Relaxed) < most;
                let share = if is_accepted { 90 + number * 7 % 20 } else { 10 };
                sleep(time * u32::try_from(share).unwrap() / 100).await;
                in_flight.fetch_sub(1, Ordering::Relaxed);
                if is_accepted {
                    return slot.responded(0);
                }
                slot.overloaded();
                refused.fetch_add(1, Ordering::Relaxed);
                sleep(time).await;
            }
        };
        let begin = Instant::now();
        stream::iter(0..requests).map(request).buffer_unordered(512).collect::<()>().await;
        let mean = requests as f64 * time.as_secs_f64() / begin.elapsed().as_secs_f64();
        (mean, refused.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_settles_near_what_a_server_executes_at_once() {
        for (most, allowed) in
            [(3, 256), (20, 256), (40, 256), (100, 256), (200, 256), (40, 30), (300, 256), (600, 500)]
        {
            let (mean, refused) = send(&RequestLimit::new(allowed), 20_000, most, Duration::from_millis(50)).await;
            let expected = most.min(allowed) as f64;
            assert!((expected * 0.5..=expected * 1.01).contains(&mean), "{most} of {allowed}: {mean}");
            assert!(refused < 20_000 / 10, "{most} of {allowed}: {refused} refused");
            assert_eq!(refused == 0, most >= allowed, "{most} of {allowed}: {refused} refused");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_cancelled_takes_nothing() {
        let (limit, slot) = full().await;
        for _ in 0..10 {
            assert!(!is_free(&limit, Duration::from_millis(10)).await);
        }
        drop(slot);
        assert!(is_free(&limit, Duration::ZERO).await);
    }
}
