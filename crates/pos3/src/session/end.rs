//! Ends a session.
//!
//! A clean end uploads everything and has no time limit. An end by an error or a signal uploads only outputs with
//! `sync_on_error`, never deletes, and has a deadline, because the machine may be about to disappear. A hurried clean
//! end also has a deadline and deletes nothing more. The result names every file that was not uploaded.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};
use pos3_core::Event;

use super::Session;
use super::ending::{Ended, Ending};
use super::inner::Inner;
use super::last_upload::last_upload;
use super::registration::Registration;
use super::urgency::{Phase, Urgency};

/// How long abandoned transfers may take to return a report.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The largest number of files in flight at the beginning of a hurried end. It grows with each file that is uploaded
/// quickly.
const HURRIED: usize = 4;

/// How long a hurried end waits for other processes that have locked its sync state, and the fraction of its deadline.
const LONGEST_LOCK: Duration = Duration::from_secs(10);
const SHARE_OF_LOCKS: u32 = 4;

/// An end that several callers may wait for.
pub(super) type EndingUnderWay = Shared<BoxFuture<'static, Ending>>;

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The work succeeded.
    Clean,
    /// The work failed or was interrupted.
    Error,
}

impl Session {
    /// Uploads everything and ends the session.
    ///
    /// The end continues if this call is dropped, for example by a timeout. A second call waits for it and returns the
    /// same result.
    pub async fn close(&self) -> Ending {
        end(&self.inner, End::Clean).await
    }

    /// Ends the session as after an error: uploads only registrations with `sync_on_error`, deletes nothing, and stops
    /// at the deadline. If an end is already running, this call waits for it and [hurries](Urgency::Hurry) it.
    pub async fn give_up(&self) -> Ending {
        end(&self.inner, End::Error).await
    }

    /// Makes the end more urgent, whether it is running or begins later. [`Urgency::Stop`] and [`Urgency::Abandon`]
    /// also stop the transfers that run before it. The urgency never falls. The session must still be ended.
    pub fn urge(&self, urgency: Urgency) {
        self.inner.course.urge(urgency);
    }

    /// Reports that other processes may still write to the outputs. The end then deletes nothing remotely and counts
    /// the withheld deletes, because such a process may be about to write a file again. The outputs stay marked as not
    /// uploaded.
    pub fn still_written(&self) {
        self.inner.course.still_written();
    }

    /// Ends the session without uploading anything and without a warning. Changes since the last upload stay local.
    pub fn discard(self) {
        self.inner.course.discard();
    }
}

/// Ends a session when its last clone is dropped.
pub(super) struct Dropped(pub(super) Arc<Inner>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if matches!(self.0.course.phase(), Phase::Discarded | Phase::Ended) {
            return;
        }
        self.0.course.discard();
        for upload in self.0.uploads() {
            let (location, local) = (upload.location.to_string(), upload.local.display());
            let warning = format!(
                "'{location}': the session was dropped before its end, so changes in '{local}' since its last upload \
                 may not be uploaded"
            );
            tracing::error!("{warning}");
            self.0.tell(Some(&upload), &Event::Warning(&warning));
        }
    }
}

/// Ends a session, or waits for an end that is running or has finished.
pub(super) async fn end(inner: &Arc<Inner>, how: End) -> Ending {
    if how == End::Error {
        inner.course.urge(Urgency::Hurry);
    }
    let ending = {
        let mut ending = inner.ending.lock().unwrap_or_else(PoisonError::into_inner);
        ending.get_or_insert_with(|| begin(inner, how)).clone()
    };
    ending.await
}

/// Starts the end as a separate task, so that it continues if the caller no longer waits for it.
fn begin(inner: &Arc<Inner>, how: End) -> EndingUnderWay {
    inner.course.enter(Phase::Ending);
    let uploads = inner.uploads();
    let inner = inner.clone();
    let task = tokio::spawn(async move {
        let ending = perform(&inner, how).await;
        inner.course.enter(Phase::Ended);
        ending
    });
    let joined = async move {
        match task.await {
            Ok(ending) => ending,
            Err(_cut_short) => Ending { uploads: uploads.iter().map(|one| Ended::cut_short(one)).collect() },
        }
    };
    joined.boxed().shared()
}

async fn perform(inner: &Arc<Inner>, how: End) -> Ending {
    let deadline = async {
        inner.course.hurried().await;
        inner.budget.narrow(HURRIED);
        if !last_uploads(inner, how).is_empty() {
            inner.course.make_room();
        }
        let locks = LONGEST_LOCK.min(inner.deadline / SHARE_OF_LOCKS);
        tokio::time::sleep(locks).await;
        inner.course.stop_waiting_for_locks();
        tokio::time::sleep(inner.deadline.saturating_sub(locks)).await;
    };
    let ending = async {
        tokio::join!(finish_background(inner), finish_downloads(inner));
        match how {
            End::Clean => side_by_side(inner).await,
            End::Error => by_priority(inner).await,
        }
    };
    let (mut deadline, mut ending) = (std::pin::pin!(deadline), std::pin::pin!(ending));
    tokio::select! {
        biased;
        // This branch is first because it narrows the budget before any upload starts.
        () = &mut deadline => inner.course.urge(Urgency::Stop),
        ending = &mut ending => return ending,
    }
    // Every transfer in flight ends soon and reports what it did not do.
    ending.await
}

async fn finish_background(inner: &Inner) {
    let background = inner.background.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut background) = background {
        tokio::select! {
            _ended = &mut background => {}
            () = is_overdue(inner) => {
                background.abort();
                // The last uploads must not start before the background task has ended.
                let _aborted = background.await;
            }
        }
    }
}

/// Waits for the downloads, which the beginning of the end has stopped. They hold what the last uploads need, and
/// continue only while a caller waits for them.
async fn finish_downloads(inner: &Inner) {
    let registrations = inner.registrations().clone();
    let lock = |registration: &Registration| {
        let downloading = registration.downloading.lock().unwrap_or_else(PoisonError::into_inner);
        downloading.clone()
    };
    let running: Vec<_> = registrations.iter().filter_map(|registration| lock(registration)).collect();
    tokio::select! {
        _ended = join_all(running) => return,
        () = tokio::time::sleep(inner.share_of_passes() + LAST_WORDS) => {}
        () = abandoned(inner) => {}
    }
    for registration in registrations {
        *registration.downloading.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Waits until background uploads should have ended, because the end needs their time or is abandoned.
async fn is_overdue(inner: &Inner) {
    let passes = async {
        inner.course.other_uploads().cancelled().await;
        tokio::time::sleep(inner.share_of_passes() + LAST_WORDS).await;
    };
    tokio::select! {
        () = passes => {}
        () = abandoned(inner) => {}
    }
}

/// Waits until abandoned transfers have had their time to return a report.
pub(super) async fn abandoned(inner: &Inner) {
    inner.course.abandoned().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// Returns the uploads of the end: all of them, or after an error those with `sync_on_error`, highest priority first.
fn last_uploads(inner: &Inner, how: End) -> Vec<Arc<Registration>> {
    let mut uploads = inner.uploads();
    if how == End::Error {
        uploads.retain(|registration| registration.kind.upload().is_some_and(|upload| upload.sync_on_error));
        uploads.sort_by_key(|registration| std::cmp::Reverse(registration.kind.upload().map(|upload| upload.priority)));
    }
    uploads
}

/// Uploads all registrations concurrently.
async fn side_by_side(inner: &Inner) -> Ending {
    let uploads = last_uploads(inner, End::Clean);
    let ended = uploads.iter().map(|registration| last_upload(inner, registration, End::Clean));
    Ending { uploads: join_all(ended).await }
}

/// Uploads one registration after another.
async fn by_priority(inner: &Inner) -> Ending {
    let mut ending = Ending::default();
    for registration in &last_uploads(inner, End::Error) {
        ending.uploads.push(last_upload(inner, registration, End::Error).await);
    }
    ending
}
