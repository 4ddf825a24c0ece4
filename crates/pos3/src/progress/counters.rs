//! The counts of runs in progress.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pos3_core::{Action, Event};

use crate::human;

/// The counts. Any thread can add to them.
#[derive(Debug)]
pub(super) struct Counters {
    begin: Instant,
    files_total: AtomicU64,
    bytes_total: AtomicU64,
    files_done: AtomicU64,
    bytes_done: AtomicU64,
    bytes_moved: AtomicU64,
    deletes_total: AtomicU64,
    deletes_done: AtomicU64,
    unchanged: AtomicU64,
    in_flight: AtomicU64,
    /// The number of events of any kind. If it grows, the run makes progress.
    activity: AtomicU64,
    complete: AtomicBool,
    /// Whether the last event was that the run waits for another process.
    is_waiting: AtomicBool,
    /// The text about this wait.
    waiting: Mutex<String>,
}

/// The counts of a [`Progress`](super::Progress) at one moment. Their text is one line, such as
/// `1/2 files, 1 unchanged, 4.0 KiB of 8.0 KiB, 1.0 KiB/s, 4.0 s left`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgressCounts {
    /// The number of bytes copied so far.
    pub bytes: u64,
    /// The number of bytes of all files to copy, as far as it is known.
    pub bytes_total: u64,
    /// The number of files that were copied or have failed.
    pub files: u64,
    /// The number of files to copy, as far as it is known.
    pub files_total: u64,
    /// The number of deletes that were made or have failed.
    pub deletes: u64,
    /// The number of deletes, as far as it is known.
    pub deletes_total: u64,
    /// The number of keys that were found to be equal on both sides.
    pub unchanged: u64,
    /// The number of files that are being copied.
    pub in_flight: u64,
    /// The number of events of any kind. If it grows, there is progress.
    pub activity: u64,
    /// Whether the totals are final.
    pub is_planned: bool,
    /// The time since the progress began.
    pub elapsed: Duration,
    /// The reason why nothing happens now, such as `waiting 20 s because the server asked for it (503 SlowDown)` or
    /// `waiting for another process (123) that uses 's3://bucket/data'`.
    pub waiting: Option<String>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            begin: Instant::now(),
            files_total: AtomicU64::default(),
            bytes_total: AtomicU64::default(),
            files_done: AtomicU64::default(),
            bytes_done: AtomicU64::default(),
            bytes_moved: AtomicU64::default(),
            deletes_total: AtomicU64::default(),
            deletes_done: AtomicU64::default(),
            unchanged: AtomicU64::default(),
            in_flight: AtomicU64::default(),
            activity: AtomicU64::default(),
            complete: AtomicBool::default(),
            is_waiting: AtomicBool::default(),
            waiting: Mutex::default(),
        }
    }
}

impl Counters {
    pub(super) fn count(&self, event: &Event<'_>) {
        let add = |counter: &AtomicU64, count: u64| {
            counter.fetch_add(count, Relaxed);
        };
        add(&self.activity, 1);
        self.note_wait(event);
        match event {
            Event::Started(_) => add(&self.in_flight, 1),
            Event::Done(action) | Event::Failed(action, _) if !matches!(action, Action::Delete { .. }) => {
                let _none = self.in_flight.fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
            }
            _ => {}
        }
        match event {
            Event::Unchanged(..) => add(&self.unchanged, 1),
            Event::Decided(Action::Copy { source, .. } | Action::Replace { source, .. }) => {
                add(&self.files_total, 1);
                add(&self.bytes_total, source.size);
            }
            Event::Decided(Action::Delete { .. }) => add(&self.deletes_total, 1),
            Event::PlanComplete => self.complete.store(true, Relaxed),
            Event::Moved(bytes) => add(&self.bytes_moved, *bytes),
            Event::Done(Action::Copy { source, .. } | Action::Replace { source, .. })
            | Event::Failed(Action::Copy { source, .. } | Action::Replace { source, .. }, _) => {
                add(&self.files_done, 1);
                add(&self.bytes_done, source.size);
            }
            Event::Done(Action::Delete { .. }) | Event::Failed(Action::Delete { .. }, _) => add(&self.deletes_done, 1),
            // A new plan is made, without the files that have been copied by then.
            Event::Disorder(..) => {
                self.files_total.store(self.files_done.load(Relaxed), Relaxed);
                self.bytes_total.store(self.bytes_done.load(Relaxed), Relaxed);
                self.unchanged.store(0, Relaxed);
            }
            _ => {}
        }
    }

    /// A wait for another process ends with the next event.
    fn note_wait(&self, event: &Event<'_>) {
        if let Event::Waiting(place, process) = event {
            *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = words_of_wait(place, *process);
            self.is_waiting.store(true, Relaxed);
        } else if self.is_waiting.load(Relaxed) {
            self.is_waiting.store(false, Relaxed);
        }
    }

    /// Returns the text about the process that the run waits for, if it does.
    pub(super) fn waiting(&self) -> Option<String> {
        let text = || self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.is_waiting.load(Relaxed).then(text)
    }

    pub(super) fn now(&self) -> ProgressCounts {
        let bytes_total = self.bytes_total.load(Relaxed);
        // Bytes that were sent again were counted again. A copy inside a server moves no bytes.
        let bytes = self.bytes_moved.load(Relaxed).max(self.bytes_done.load(Relaxed)).min(bytes_total);
        ProgressCounts {
            bytes,
            bytes_total,
            files: self.files_done.load(Relaxed),
            files_total: self.files_total.load(Relaxed),
            deletes: self.deletes_done.load(Relaxed),
            deletes_total: self.deletes_total.load(Relaxed),
            unchanged: self.unchanged.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            activity: self.activity.load(Relaxed),
            is_planned: self.complete.load(Relaxed),
            elapsed: self.begin.elapsed(),
            waiting: self.waiting(),
        }
    }
}

impl ProgressCounts {
    /// Returns true if everything that was planned was done or has failed.
    pub fn is_done(&self) -> bool {
        self.is_planned && self.files >= self.files_total && self.deletes >= self.deletes_total
    }

    /// Returns the number of deletes that remain, if nothing else does.
    pub fn deletes_left(&self) -> Option<u64> {
        let left = self.deletes_total.saturating_sub(self.deletes);
        (self.is_planned && self.in_flight == 0 && self.files >= self.files_total && left > 0).then_some(left)
    }

    /// Returns the number of files done, such as `3/10 files`. A `+` after the total means that it may still grow.
    fn files(&self) -> String {
        let open = if self.is_planned { "" } else { "+" };
        let mut text = format!("{}/{}{open} files", human::count(self.files), human::count(self.files_total));
        if self.deletes_total > 0 {
            let (done, total) = (human::count(self.deletes), human::count(self.deletes_total));
            text.push_str(&format!(", {done}/{total} deletes"));
        }
        if self.unchanged > 0 {
            text.push_str(&format!(", {} unchanged", human::count(self.unchanged)));
        }
        text
    }

    /// Returns the remaining time at the average speed so far. It is known only when the totals are final.
    fn left(&self) -> Option<Duration> {
        if !self.is_planned || self.bytes == 0 || self.bytes == self.bytes_total {
            return None;
        }
        let rest = (self.bytes_total - self.bytes) as f64 / self.bytes as f64;
        Duration::try_from_secs_f64(self.elapsed.as_secs_f64() * rest).ok()
    }
}

impl ProgressCounts {
    fn has_nothing(&self) -> bool {
        self.files_total == 0 && self.unchanged == 0 && !self.is_planned
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.files_total == 0 && !self.is_planned {
            return write!(f, "comparing, {} unchanged so far", human::count(self.unchanged));
        }
        write!(f, "{}, {} of {}", self.files(), human::bytes(self.bytes), human::bytes(self.bytes_total))?;
        if let Some(rate) = human::rate(self.bytes, self.elapsed).filter(|_| self.bytes > 0) {
            write!(f, ", {rate}")?;
        }
        match self.left() {
            Some(left) => write!(f, ", {} left", human::time(left)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ProgressCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.waiting {
            Some(waiting) if self.has_nothing() => f.write_str(waiting),
            waiting => {
                self.write_counts(f)?;
                waiting.as_ref().map_or(Ok(()), |waiting| write!(f, ", {waiting}"))
            }
        }
    }
}

/// Returns the text about a run that waits for another process.
fn words_of_wait(place: &str, process: Option<u32>) -> String {
    let process = process.map(|id| format!(" ({id})")).unwrap_or_default();
    format!("waiting for another process{process} that uses '{place}'")
}

#[cfg(test)]
mod tests {
    use pos3_core::{Change, Entry, Proof};

    use super::*;

    #[test]
    fn totals_grow_until_the_plan_is_complete() {
        let counters = Counters::default();
        assert_eq!(counters.now().to_string(), "comparing, 0 unchanged so far");
        let copy = Action::Copy { source: Entry::file("a", 4096), target: None, why: Change::New };
        let other = Action::Copy { source: Entry::file("b", 4096), target: None, why: Change::New };
        for event in [
            Event::Unchanged(&copy.key().clone(), Proof::Size),
            Event::Decided(&copy),
            Event::Decided(&other),
            Event::Moved(8),
        ] {
            counters.count(&event);
        }
        assert_eq!(counters.now().files(), "0/2+ files, 1 unchanged");
        counters.count(&Event::Done(&copy));
        counters.count(&Event::PlanComplete);
        let now = ProgressCounts { elapsed: Duration::from_secs(4), ..counters.now() };
        assert_eq!(now.to_string(), "1/2 files, 1 unchanged, 4.0 KiB of 8.0 KiB, 1.0 KiB/s, 4.0 s left");
        counters.count(&Event::Moved(1 << 20));
        assert_eq!(counters.now().bytes, 8192, "what is sent twice is no progress beyond the end");
    }
}
