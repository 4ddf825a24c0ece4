//! How long a file must rest before its times can tell a later change.
//!
//! File systems stamp changes with a clock that ticks every few milliseconds, on some every two seconds. A file that is
//! changed twice within one tick has the same times after both changes, and with the same size the same fingerprint: who
//! read it in between would take the second content for the first, for ever. Git meets this when it compares, and reads
//! what is as young as its record again. Here it is met before content is read: the reader waits until the tick of the
//! last change is over. Then every later change has another time, so a fingerprint under which content was read belongs
//! to that content alone, and whoever keeps it need not know of ticks.
//!
//! What is not covered: a network file system whose clock is far behind this one and ticks coarsely. A file that was just
//! *written* here needs no wait: its modification time is set to the source's, which a change would move.

use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

use crate::facts;

/// Longer than a tick of the clocks that files are stamped with: at most 10 ms on Linux, and on exFAT.
const FINE: Duration = Duration::from_millis(20);

/// A tick of the coarsest file system, FAT.
const COARSE: Duration = Duration::from_secs(2);

/// Returns how long to wait, at the time `now`, until a later change must show in the times of a file; none if it must
/// already.
///
/// A change that lies in the future was made by another clock, or before this one was set back: a whole tick passes from
/// now on.
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
