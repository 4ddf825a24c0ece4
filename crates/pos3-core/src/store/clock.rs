//! The difference between a store's clock and this machine's.
//!
//! A store dates its entries by its own clock. To compare the time of a local file with that of an object, the
//! difference must be known. An error of a second can make the older one look newer, so the difference is a range.

use std::time::{Duration, SystemTime};

/// The resolution of the compared times: those of HTTP dates, and of objects on most servers.
const RESOLUTION: Duration = Duration::from_secs(1);

/// How far a store's clock is ahead of this machine's, as a range. Default: no difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockSkew {
    /// Milliseconds; negative if the store's clock is behind.
    least: i64,
    most: i64,
}

impl ClockSkew {
    /// Returns the difference that follows from one response: the request was sent and the response received at these
    /// times of this machine, and the response has this date, in whole seconds. Returns `None` if the times are
    /// contradictory, because the clock was set in between.
    pub fn measured(asked: SystemTime, received: SystemTime, date: SystemTime) -> Option<Self> {
        let (least, most) = (ahead(date, received)?, ahead(date + RESOLUTION, asked)?);
        (least <= most).then_some(Self { least, most })
    }

    /// Returns the bounds in milliseconds.
    pub fn bounds(self) -> (i64, i64) {
        (self.least, self.most)
    }

    /// Returns the difference with these bounds in milliseconds.
    pub fn between(least: i64, most: i64) -> Self {
        Self { least, most }
    }

    /// Returns the earliest and the latest time that this machine's clock may have shown when the store's clock showed
    /// `time`. The store may have truncated `time` to whole seconds.
    pub fn range(self, time: SystemTime) -> (SystemTime, SystemTime) {
        (earlier(time, self.most), earlier(time + RESOLUTION, self.least))
    }
}

/// Returns the milliseconds that `one` is ahead of `other`.
fn ahead(one: SystemTime, other: SystemTime) -> Option<i64> {
    match one.duration_since(other) {
        Ok(ahead) => i64::try_from(ahead.as_millis()).ok(),
        Err(behind) => i64::try_from(behind.duration().as_millis()).ok().map(|millis| -millis),
    }
}

fn earlier(time: SystemTime, millis: i64) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    let moved = if millis < 0 { time.checked_add(distance) } else { time.checked_sub(distance) };
    moved.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_251_600_000 + millis)
    }

    #[test]
    fn the_true_difference_lies_within_the_measured_one() {
        for ahead in [-3_600_000i64, -900, 0, 900, 3_600_000] {
            // The response was made at 200 by this machine's clock; its date has no fraction of a second.
            let theirs = 1_795_251_600_200i64 + ahead;
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(theirs / 1000).unwrap());
            let skew = ClockSkew::measured(at(100), at(300), date).unwrap();
            let (least, most) = skew.bounds();
            assert!(least <= ahead && ahead <= most && most - least <= 1200, "{ahead}: {skew:?}");
            let (earliest, latest) = skew.range(date);
            assert!(earliest <= at(200) && at(200) <= latest, "{ahead}: {skew:?}");
        }
    }

    #[test]
    fn a_clock_that_was_set_between_question_and_answer_measures_nothing() {
        assert_eq!(ClockSkew::measured(at(60_000), at(0), at(0)), None);
    }

    #[test]
    fn without_a_measurement_only_the_resolution_is_in_doubt() {
        assert_eq!(ClockSkew::default().range(at(0)), (at(0), at(1000)));
    }
}
