//! Detects that a run makes no progress, so that a run that waits for a server does not look as if it hangs.

use std::time::Duration;

use pos3::ProgressCounts;
use tokio::time::Instant;

use crate::size;

/// The time without progress before the first message. It is doubled after each message.
const QUIET: Duration = Duration::from_secs(30);

/// The last state with progress, and the time of it.
pub(super) struct Standstill {
    seen: u64,
    since: Instant,
    due: Duration,
}

impl Standstill {
    pub(super) fn new(now: Instant) -> Self {
        Self { seen: 0, since: now, due: QUIET }
    }

    /// Returns a message if there was no progress for long enough.
    pub(super) fn look(&mut self, counts: &ProgressCounts, now: Instant) -> Option<String> {
        if counts.activity != self.seen {
            *self = Self { seen: counts.activity, ..Self::new(now) };
            return None;
        }
        let quiet = now - self.since;
        if quiet < self.due {
            return None;
        }
        self.due *= 2;
        let time = size::time(quiet);
        let doing = match (&counts.waiting, counts.in_flight, counts.deletes_left()) {
            (Some(waiting), _, _) => waiting.clone(),
            (None, _, Some(deletes)) => format!("{} left", size::counted(deletes, "delete")),
            (None, 0, None) => "listing or comparing".to_owned(),
            (None, files, None) => format!("{} in flight", size::counted(files, "file")),
        };
        Some(format!("nothing has moved for {time}: {doing}"))
    }
}

#[cfg(test)]
mod tests {
    use pos3::{Action, Change, Entry, Event, Observer, Progress, ProgressObserver, ServerPause};

    use super::*;

    #[test]
    fn the_reason_of_a_standstill_is_the_wait_if_there_is_one() {
        let pause = || Some(ServerPause::new(Duration::from_secs(18), "the server asked for it (503)"));
        let (progress, begin) = (Progress::hidden().with_pauses(pause), Instant::now());
        let mut standstill = Standstill::new(begin);
        let line = standstill.look(&progress.counts(), begin + Duration::from_secs(30)).unwrap();
        assert_eq!(line, "nothing has moved for 30 s: waiting 18 s because the server asked for it (503)");
    }

    #[test]
    fn a_wait_for_another_process_is_not_listing() {
        let (progress, begin) = (Progress::hidden(), Instant::now());
        let mut standstill = Standstill::new(begin);
        progress.observer().event(&Event::Waiting("s3://b/d", Some(12)));
        assert_eq!(standstill.look(&progress.counts(), begin), None);
        let line = standstill.look(&progress.counts(), begin + Duration::from_secs(30)).unwrap();
        assert_eq!(line, "nothing has moved for 30 s: waiting for another process (12) that uses 's3://b/d'");
    }

    #[test]
    fn a_standstill_is_told_after_half_a_minute_and_then_less_and_less_often() {
        let (counters, begin) = (Progress::hidden().observer(), Instant::now());
        let mut standstill = Standstill::new(begin);
        let mut look = |counters: &ProgressObserver, second: u64| {
            standstill.look(&counters.counts(), begin + Duration::from_secs(second))
        };
        assert_eq!(look(&counters, 29), None);
        assert!(look(&counters, 30).unwrap().ends_with(": listing or comparing"));
        let copy = Action::Copy { source: Entry::file("a", 4096), target: None, why: Change::New };
        counters.event(&Event::Decided(&copy));
        counters.event(&Event::Started(&copy));
        assert_eq!(look(&counters, 40), None);
        for (second, is_told) in [(69, false), (70, true), (99, false), (100, true), (159, false), (160, true)] {
            assert_eq!(look(&counters, second).is_some(), is_told, "{second}");
        }
        assert!(look(&counters, 280).unwrap().ends_with(": 1 file in flight"));
        counters.event(&Event::Done(&copy));
        let delete = Action::Delete { target: Entry::file("b", 1) };
        counters.event(&Event::Decided(&delete));
        counters.event(&Event::PlanComplete);
        assert_eq!(look(&counters, 281), None);
        assert!(look(&counters, 400).unwrap().ends_with(": 1 delete left"));
        counters.event(&Event::Moved(1));
        assert_eq!(look(&counters, 401), None);
        assert_eq!(look(&counters, 430), None);
        assert!(look(&counters, 431).is_some());
    }
}
