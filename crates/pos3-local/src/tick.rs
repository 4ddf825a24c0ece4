//! Determines how long a file must be unchanged before its times would show a later change.
//!
//! File systems take times from a clock that ticks every few milliseconds, and on some file systems every two seconds.
//! If a file is changed twice in one tick, both states have the same times and, with the same size, the same
//! fingerprint. A reader between the two changes would then never detect the second one. Git has the same problem and
//! reads files again that are as young as its index. pos3 waits before it reads the content, until the tick of the last
//! change is over. Every later change then has another time, so a fingerprint belongs to one content.
//!
//! This does not cover network file systems whose clock is far behind this one and ticks slowly. A file that was just
//! *written* here needs no wait: its modification time is set to that of the source, and a change would move it.

use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

use crate::facts;

/// More than one tick of a common file system: at most 10 ms on Linux and exFAT.
const FINE: Duration = Duration::from_millis(20);

/// One tick of the coarsest file system, FAT.
const COARSE: Duration = Duration::from_secs(2);

/// Returns how long to wait, at the time `now`, until the times of the file would show a later change. Returns `None`
/// if they already do.
///
/// If the last change is in the future, it was made by another clock, or this clock was set back. The wait is then a
/// whole tick.
pub(crate) fn until_over(stat: &Stat, now: SystemTime) -> Option<Duration> {
    let tick = if stat.st_mtime_nsec == 0 && stat.st_ctime_nsec == 0 { COARSE } else { FINE };
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
}
