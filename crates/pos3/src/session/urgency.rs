//! How urgently a session ends: [`Urgency`], and the [`Course`] of a session.
//!
//! Every reason to stop a transfer is a fact about the course, and this module alone derives the tokens that stop
//! transfers from these facts. Facts never become untrue, so a later, weaker request cannot revive a stopped transfer.

use pos3_core::CancellationToken;
use tokio::sync::watch;

/// How urgently a session ends; see [`Session::urge`](super::Session::urge). Each level stops what the lower ones stop.
///
/// | level | new transfers | files in flight | remote deletes | duration of the end |
/// | --- | --- | --- | --- | --- |
/// | none | start | complete | after work that succeeded | no limit |
/// | `Hurry` | start until the deadline | complete until then | none | the deadline, then as `Stop` |
/// | `Stop` | none | have ten seconds; outside the last uploads at most three | none | about ten seconds |
/// | `Abandon` | none | are cancelled | none | about a second |
///
/// No level leaves a file or an object incomplete, and the end names the files that were not uploaded. Large files are
/// resumed later if there is a sync state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// The end deletes nothing more remotely and has the [deadline](super::SessionBuilder::deadline), even after work
    /// that succeeded. The deadline begins with the end. Before the end, transfers go on.
    ///
    /// The first signal during the end of a [`scope`](super::Session::scope) has this effect, and so has
    /// [`give_up`](super::Session::give_up). An upload that misses the deadline fails with
    /// [`SessionError::Deadline`](super::SessionError::Deadline).
    Hurry,
    /// No transfer starts, now or later, and files in flight have a short time to complete. A session that was hurried
    /// reaches this level at its deadline.
    ///
    /// Without `Hurry`, the calls that wait for the transfers fail with
    /// [`SessionError::Transfer`](super::SessionError::Transfer), whose report contains what was done.
    Stop,
    /// As `Stop`, and the end cancels the files in flight. The second signal during the end of a
    /// [`scope`](super::Session::scope) has this effect.
    Abandon,
}

/// The phases of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    #[default]
    Open,
    /// It ended without a last upload.
    Discarded,
    /// Its end has begun.
    Ending,
    /// Its end has finished.
    Ended,
}

/// The course of a session from its work to its end, and the tokens that stop its transfers.
#[derive(Debug)]
pub(super) struct Course {
    facts: watch::Sender<Facts>,
    last_uploads: CancellationToken,
    /// A child of `last_uploads`.
    other_uploads: CancellationToken,
    /// A child of `last_uploads`.
    downloads: CancellationToken,
    deletes: CancellationToken,
    locks: CancellationToken,
}

#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    phase: Phase,
    urgency: Option<Urgency>,
    /// Whether the end has a deadline. A session that is only stopped has none, so its transfers return their reports.
    has_deadline: bool,
    /// Whether other processes may still write to the outputs when the session ends.
    is_still_written: bool,
}

impl Course {
    pub(super) fn new() -> Self {
        let last_uploads = CancellationToken::new();
        Self {
            facts: watch::Sender::default(),
            other_uploads: last_uploads.child_token(),
            downloads: last_uploads.child_token(),
            last_uploads,
            deletes: CancellationToken::new(),
            locks: CancellationToken::new(),
        }
    }

    /// Raises the urgency to at least this level.
    pub(super) fn urge(&self, urgency: Urgency) {
        self.add(|facts| {
            facts.urgency = facts.urgency.max(Some(urgency));
            facts.has_deadline |= urgency != Urgency::Stop;
        });
    }

    /// Enters a phase, unless a later one has been entered.
    pub(super) fn enter(&self, phase: Phase) {
        self.add(|facts| facts.phase = facts.phase.max(phase));
    }

    /// Ends the session without a last upload, unless its end has begun.
    pub(super) fn discard(&self) {
        self.enter(Phase::Discarded);
        self.urge(Urgency::Stop);
    }

    /// Records that other processes may still write to the outputs.
    pub(super) fn still_written(&self) {
        self.add(|facts| facts.is_still_written = true);
    }

    /// Stops the uploads of the background and of a flush, because the last uploads need the time.
    pub(super) fn make_room(&self) {
        self.other_uploads.cancel();
    }

    /// Lets no transfer wait any longer for another process that has locked its sync state.
    pub(super) fn stop_waiting_for_locks(&self) {
        self.locks.cancel();
    }

    pub(super) fn phase(&self) -> Phase {
        self.facts.borrow().phase
    }

    /// Returns true if the session accepts no more calls.
    pub(super) fn is_closed(&self) -> bool {
        self.phase() > Phase::Open
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.facts.borrow().is(Urgency::Stop)
    }

    pub(super) fn has_deadline(&self) -> bool {
        self.facts.borrow().has_deadline
    }

    pub(super) fn is_still_written(&self) -> bool {
        self.facts.borrow().is_still_written
    }

    /// Waits until the session accepts no more calls.
    pub(super) async fn closed(&self) {
        self.until(|facts| facts.phase > Phase::Open).await;
    }

    /// Waits until the end has a deadline.
    pub(super) async fn hurried(&self) {
        self.until(|facts| facts.has_deadline).await;
    }

    /// Waits until files in flight are cancelled.
    pub(super) async fn abandoned(&self) {
        self.until(|facts| facts.is(Urgency::Abandon)).await;
    }

    /// Stops the last uploads, and plans.
    pub(super) fn last_uploads(&self) -> &CancellationToken {
        &self.last_uploads
    }

    /// Stops the uploads of the background and of a flush.
    pub(super) fn other_uploads(&self) -> &CancellationToken {
        &self.other_uploads
    }

    /// Stops downloads, also when the end begins: the last uploads need the time and the local paths.
    pub(super) fn downloads(&self) -> &CancellationToken {
        &self.downloads
    }

    /// Stops remote deletes.
    pub(super) fn deletes(&self) -> &CancellationToken {
        &self.deletes
    }

    /// Stops waiting for other processes that have locked a sync state.
    pub(super) fn locks(&self) -> &CancellationToken {
        &self.locks
    }

    fn add(&self, change: impl FnOnce(&mut Facts)) {
        self.facts.send_modify(change);
        let facts = *self.facts.borrow();
        // A stopped upload returns a cancelled report. If its deletes were withheld first, it could return another one.
        if facts.is(Urgency::Stop) {
            self.last_uploads.cancel();
        }
        if facts.is(Urgency::Hurry) || facts.is_still_written {
            self.deletes.cancel();
        }
        if facts.phase >= Phase::Ending {
            self.downloads.cancel();
        }
    }

    async fn until(&self, is_true: impl Fn(&Facts) -> bool) {
        // This does not yield if it is already true, so the order of a biased `select` is preserved.
        if is_true(&self.facts.borrow()) {
            return;
        }
        let mut facts = self.facts.subscribe();
        // The sender is not dropped while it is borrowed.
        let _reached = facts.wait_for(is_true).await;
    }
}

impl Facts {
    /// Returns true if the urgency has reached this level.
    fn is(&self, urgency: Urgency) -> bool {
        self.urgency >= Some(urgency)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// Everything that is derived from the course, by name.
    fn effects(course: &Course) -> Vec<&'static str> {
        let all = [
            ("last", course.last_uploads().is_cancelled()),
            ("other", course.other_uploads().is_cancelled()),
            ("downloads", course.downloads().is_cancelled()),
            ("deletes", course.deletes().is_cancelled()),
            ("locks", course.locks().is_cancelled()),
            ("stopped", course.is_stopped()),
            ("deadline", course.has_deadline()),
            ("abandoned", course.abandoned().now_or_never().is_some()),
            ("closed", course.is_closed()),
        ];
        assert_eq!(course.hurried().now_or_never().is_some(), course.has_deadline());
        assert_eq!(course.closed().now_or_never().is_some(), course.is_closed());
        all.into_iter().filter_map(|(name, is_true)| is_true.then_some(name)).collect()
    }

    #[test]
    fn each_level_of_urgency_stops_what_the_lower_ones_stop_and_never_falls() {
        let stop = ["last", "other", "downloads", "deletes", "stopped"];
        let stop_late = ["last", "other", "downloads", "deletes", "stopped", "deadline"];
        let abandon = ["last", "other", "downloads", "deletes", "stopped", "deadline", "abandoned"];
        let cases: [(&[Urgency], &[&str]); 7] = [
            (&[], &[]),
            (&[Urgency::Hurry], &["deletes", "deadline"]),
            (&[Urgency::Stop], &stop),
            (&[Urgency::Hurry, Urgency::Stop], &stop_late),
            (&[Urgency::Stop, Urgency::Hurry], &stop_late),
            (&[Urgency::Abandon], &abandon),
            (&[Urgency::Abandon, Urgency::Stop, Urgency::Hurry], &abandon),
        ];
        for (urged, expected) in cases {
            let course = Course::new();
            urged.iter().for_each(|urgency| course.urge(*urgency));
            assert_eq!(effects(&course), expected, "{urged:?}");
        }
    }

    #[test]
    fn the_phase_of_a_session_stops_only_what_its_end_needs() {
        let course = Course::new();
        course.enter(Phase::Ending);
        assert_eq!(effects(&course), ["downloads", "closed"]);
        course.enter(Phase::Ended);
        course.enter(Phase::Ending);
        assert_eq!(course.phase(), Phase::Ended);

        let course = Course::new();
        course.still_written();
        assert_eq!(effects(&course), ["deletes"]);
        course.make_room();
        assert_eq!(effects(&course), ["other", "deletes"]);
        course.stop_waiting_for_locks();
        assert_eq!(effects(&course), ["other", "deletes", "locks"]);

        let course = Course::new();
        course.discard();
        assert_eq!(effects(&course), ["last", "other", "downloads", "deletes", "stopped", "closed"]);
        assert_eq!(course.phase(), Phase::Discarded);
    }

    #[tokio::test]
    async fn a_higher_level_wakes_all_that_wait_for_a_lower_one() {
        let course = Course::new();
        let urge = async {
            tokio::task::yield_now().await;
            course.urge(Urgency::Abandon);
            course.enter(Phase::Ending);
        };
        tokio::join!(course.hurried(), course.abandoned(), course.closed(), urge);
    }
}
