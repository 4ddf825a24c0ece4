//! Records the requests that arrive at the server.
//!
//! "An unchanged tree costs one listing" and "deletes come last" are promises about requests. A test that checks only
//! the outcome would not detect a client that wastes a thousand requests.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::operation::{Operation, Target};

/// The number of requests in the log. The oldest are dropped first. The counts include all requests.
const LOG_LIMIT: usize = 65_536;

/// The number of requests of each operation that were received, including failed ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestCounts(BTreeMap<Operation, usize>);

impl RequestCounts {
    /// Returns the number of requests of one operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> usize {
        self.0.get(&operation).copied().unwrap_or_default()
    }

    /// Returns the number of all requests.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.values().sum()
    }

    /// Returns each operation that was requested at least once, and its count.
    pub fn iter(&self) -> impl Iterator<Item = (Operation, usize)> {
        self.0.iter().map(|(operation, count)| (*operation, *count))
    }
}

impl fmt::Display for RequestCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (operation, count)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(formatter, "{separator}{operation}: {count}")?;
        }
        Ok(())
    }
}

/// The record of one server: the counts, the log, and the number of requests in flight.
#[derive(Debug, Default)]
pub(super) struct Record(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counts: RequestCounts,
    log: VecDeque<Target>,
    in_flight: usize,
    most_in_flight: usize,
    connections: usize,
}

impl Record {
    /// Records the arrival of a request. It is in flight until the returned guard is dropped.
    pub(super) fn arrival(self: &Arc<Self>, target: &Target) -> InFlight {
        let mut inner = self.lock();
        *inner.counts.0.entry(target.operation).or_default() += 1;
        if inner.log.len() == LOG_LIMIT {
            inner.log.pop_front();
        }
        inner.log.push_back(target.clone());
        inner.in_flight += 1;
        inner.most_in_flight = inner.most_in_flight.max(inner.in_flight);
        InFlight { record: Arc::clone(self), position: inner.in_flight }
    }

    /// Records a connection.
    pub(super) fn connection(&self) {
        self.lock().connections += 1;
    }

    pub(super) fn connections(&self) -> usize {
        self.lock().connections
    }

    pub(super) fn counts(&self) -> RequestCounts {
        self.lock().counts.clone()
    }

    pub(super) fn log(&self) -> Vec<Target> {
        self.lock().log.iter().cloned().collect()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    pub(super) fn most_in_flight(&self) -> usize {
        self.lock().most_in_flight
    }

    /// Clears the counts and the log. Requests in flight are not affected.
    pub(super) fn reset(&self) {
        let mut inner = self.lock();
        inner.counts = RequestCounts::default();
        inner.log.clear();
        inner.most_in_flight = inner.in_flight;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose response has not been sent completely.
#[derive(Debug)]
pub(super) struct InFlight {
    record: Arc<Record>,
    position: usize,
}

impl InFlight {
    /// Returns how many requests were in flight when this one arrived, including itself.
    pub(super) fn position(&self) -> usize {
        self.position
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.record.lock().in_flight -= 1;
    }
}
