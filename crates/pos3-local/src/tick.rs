//! Determines how long a file must be unchanged before its times would show a later change.
//!
//! File systems take times from a clock that ticks every few milliseconds, and on some file systems every two seconds.
//! If a file is changed twice in one tick, both states have the same times and, with the same size, the same
//! fingerprint. A reader between the two changes would then never detect the second one. Git has the same problem and
//! reads files again that are as young as its index. pos3 waits before it reads the content, until the tick of the last
//! change is over. Every later change then has another time, so a fingerprint belongs to one content.
//!
//! A file system that stores whole seconds may have another clock, such as that of a server, which may be behind this
//! one. [`Clocks`] has a lower bound of each such clock. This does not cover a clock with finer ticks that is behind.
//!
//! A file that was just *written* here needs no wait: its modification time is set to that of the source, and a change
//! would move it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::Stat;

use crate::facts;

/// More than one tick of a common file system: at most 10 ms on Linux and exFAT.
const FINE: Duration = Duration::from_millis(20);

/// One tick of the coarsest file system, FAT.
const COARSE: Duration = Duration::from_secs(2);

/// The largest difference that is expected between this clock and that of a file system.
const SKEW: Duration = Duration::from_secs(86_400);

/// The times that the clocks of the file systems have reached, for those that store whole seconds, by device.
///
/// A clock has reached the time of the last change of every file. From then on, it runs as fast as this one.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Mutex<HashMap<i128, Reached>>);

#[derive(Clone, Copy, Debug)]
struct Reached {
    time: SystemTime,
    at: Instant,
}

impl Clocks {
    /// Notes the time of a file's last change.
    pub(crate) fn note(&self, stat: &Stat) {
        if let Some(changed) = facts::status_changed(stat).filter(|_| is_coarse(stat)) {
            self.now(stat, changed, Instant::now());
        }
    }

    /// Returns how long to wait, as [`until_over`] does, whatever the clock of the file system shows.
    pub(crate) fn until_over(&self, stat: &Stat, (now, at): (SystemTime, Instant)) -> Option<Duration> {
        let by_this_clock = until_over(stat, now);
        let Some(changed) = facts::status_changed(stat) else { return by_this_clock };
        let is_old = now.duration_since(changed).is_ok_and(|age| age >= SKEW);
        let Some(over) = changed.checked_add(COARSE).filter(|_| is_coarse(stat) && !is_old) else {
            return by_this_clock;
        };
        let by_its_own = over.duration_since(self.now(stat, changed, at)).ok().filter(|wait| !wait.is_zero());
        by_this_clock.max(by_its_own)
    }

    /// Returns a time that the clock of the file's system has reached, which is not before `changed`.
    fn now(&self, stat: &Stat, changed: SystemTime, at: Instant) -> SystemTime {
        let mut clocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = clocks.entry(stat.st_dev.into()).or_insert(Reached { time: changed, at });
        let now = reached.time.checked_add(at.saturating_duration_since(reached.at)).unwrap_or(reached.time);
        if now < changed {
            *reached = Reached { time: changed, at };
        }
        now.max(changed)
    }
}

/// Returns true if the file system seems to store only whole seconds.
fn is_coarse(stat: &Stat) -> bool {
    stat.st_mtime_nsec == 0 && stat.st_ctime_nsec == 0
}

/// Returns how long to wait, at the time `now`, until the times of the file would show a later change. Returns `None`
/// if they already do.
///
/// If the last change is in the future, it was made by another clock, or this clock was set back. The wait is then a
/// whole tick.
pub(crate) fn until_over(stat: &Stat, now: SystemTime) -> Option<Duration> {
    let tick = if is_coarse(stat) { COARSE } else { FINE };
    let Some(changed) = facts::status_changed(stat) else { return Some(tick) };
    let age = now.duration_since(changed).unwrap_or_default();
    tick.checked_sub(age).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_young_file_is_waited_for_and_an_old_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        std::fs::write(&path, "x").unwrap();
        let fine = rustix::fs::stat(&path).unwrap();
        let mut coarse = fine;
        (coarse.st_mtime_nsec, coarse.st_ctime_nsec) = (0, 0);
        let millis = Duration::from_millis;
        let table = [
            (fine, millis(0), Some(millis(20))),
            (fine, millis(15), Some(millis(5))),
            (fine, millis(20), None),
            (fine, millis(86_400_000), None),
            (coarse, millis(20), Some(millis(1980))),
            (coarse, millis(2000), None),
        ];
        for (stat, age, wait) in table {
            let changed = facts::status_changed(&stat).unwrap();
            assert_eq!(until_over(&stat, changed + age), wait, "{age:?}");
        }
        let before = facts::status_changed(&fine).unwrap() - millis(3_600_000);
        assert_eq!(until_over(&fine, before), Some(millis(20)), "a change in the future");
    }

    #[test]
    fn a_clock_that_is_behind_does_not_shorten_the_wait() {
        let directory = tempfile::tempdir().unwrap();
        let fine = rustix::fs::stat(directory.path()).unwrap();
        let file = |seconds_later: i64| {
            let mut stat = fine;
            (stat.st_mtime_nsec, stat.st_ctime_nsec) = (0, 0);
            stat.st_ctime += seconds_later;
            stat
        };
        let (seconds, clocks, begin) = (Duration::from_secs, Clocks::default(), Instant::now());
        let changed = facts::status_changed(&file(0)).unwrap();
        // By this clock, the change was an hour ago.
        let at = |second| (changed + seconds(3600 + second), begin + seconds(second));
        assert_eq!(clocks.until_over(&file(0), at(0)), Some(seconds(2)));
        assert_eq!(clocks.until_over(&file(0), at(1)), Some(seconds(1)));
        assert_eq!(clocks.until_over(&file(0), at(2)), None);
        assert_eq!(clocks.until_over(&file(100), at(2)), Some(seconds(2)), "a later time on the same clock");
        assert_eq!(clocks.until_over(&file(99), at(2)), Some(seconds(1)));
        assert_eq!(clocks.until_over(&file(98), at(2)), None, "the clock is beyond it");
        let mut elsewhere = file(98);
        elsewhere.st_dev += 1;
        assert_eq!(clocks.until_over(&elsewhere, at(2)), Some(seconds(2)), "another clock");
        assert_eq!(clocks.until_over(&fine, at(2)), None);

        let clocks = Clocks::default();
        let a_day_later = (changed + SKEW, begin);
        assert_eq!(clocks.until_over(&file(0), a_day_later), None);
        clocks.note(&file(10));
        assert_eq!(clocks.until_over(&file(0), at(0)), None, "a listing has shown a later file");
        assert_eq!(clocks.until_over(&file(4000), at(0)), Some(seconds(2)), "in the future of this clock");
    }
}
