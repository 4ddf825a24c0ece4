//! Ends a session.
//!
//! A clean end uploads everything and has no time limit. An end by an error or a signal uploads only outputs with
//! `sync_on_error`, never deletes, and has a deadline, because the machine may be about to disappear. A hurried clean
//! end also has a deadline and deletes nothing more. The result names every file that was not uploaded.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use pos3_core::Event;

use super::deletes::Occasion;
use super::ending::{End, Ended, Ending, EndingUnderWay};
use super::error::SessionError;
use super::inner::{Inner, LAST_WORDS};
use super::last_upload::last_upload;
use super::registration::Registration;
use super::unsaved;
use super::urgency::{Phase, Urgency};

/// The largest number of files in flight at the beginning of a hurried end. It grows with each file that is uploaded
/// quickly.
const HURRIED: usize = 4;

/// How long a hurried end waits for other processes that have locked its sync state, and the fraction of its deadline.
const LONGEST_LOCK: Duration = Duration::from_secs(10);
const SHARE_OF_LOCKS: u32 = 4;

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
            Err(_cut_short) => Ending { uploads: uploads.iter().map(|one| cut_short(one)).collect() },
        }
    };
    joined.boxed().shared()
}

/// Returns the known facts about an upload whose end was cut short.
fn cut_short(registration: &Registration) -> Ended {
    let location = registration.location.to_string();
    let history = registration.history();
    Ended {
        local: registration.local.clone(),
        report: None,
        uploaded: history.uploaded.files,
        uploaded_bytes: history.uploaded.bytes,
        deleted: history.uploaded.deleted,
        error: Some(SessionError::CutShort { location: location.clone() }),
        uploaded_at_end: 0,
        uploaded_bytes_at_end: 0,
        missing: Vec::new(),
        is_planned: false,
        is_gone: false,
        left_out: Vec::new(),
        replaced: registration.evidence.replaced.all(),
        withheld_for: None,
        deleted_later: 0,
        withheld_by_others: None,
        is_cut_off: true,
        location,
    }
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
        for registration in last_uploads(inner, how) {
            inner.blocking(&registration, unsaved::find_ended).await;
        }
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
        () = inner.abandoned() => {}
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
        () = inner.abandoned() => {}
    }
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

/// Uploads all registrations concurrently, and then deletes.
///
/// The program may have moved a file from one registration to another one. So if there are several, no object is deleted
/// before the copies of all of them are complete, neither by this session nor by others.
async fn side_by_side(inner: &Arc<Inner>) -> Ending {
    let uploads = last_uploads(inner, End::Clean);
    let deletes_wait = deletes_wait(inner, &uploads).await;
    let occasion = if deletes_wait { Occasion::EndCopies } else { Occasion::End };
    let ended = uploads.iter().map(|registration| last_upload(inner, registration, occasion));
    let mut ended = join_all(ended).await;
    if !inner.course.is_still_written() && ended.iter().all(Ended::is_certainly_uploaded) {
        uploads.iter().for_each(|registration| unsaved::settle(registration));
    }
    if deletes_wait {
        delete_last(inner, &uploads, &mut ended).await;
    }
    for (registration, ended) in uploads.iter().zip(&ended) {
        release(inner, registration, ended).await;
    }
    Ending { uploads: ended }
}

/// Returns true if the deletes must wait for the copies: there are several registrations, or another session writes to the
/// same output and waits for these copies, too.
async fn deletes_wait(inner: &Arc<Inner>, uploads: &[Arc<Registration>]) -> bool {
    let deleting = uploads.iter().find(|registration| registration.kind.deletes_remotely());
    match deleting.cloned() {
        None => false,
        Some(_) if uploads.len() > 1 => true,
        Some(registration) => {
            inner.blocking(&registration, |inner, registration| unsaved::others(inner, registration).is_some()).await
        }
    }
}

/// Releases the mark of an output if everything there is stored.
async fn release(inner: &Arc<Inner>, registration: &Arc<Registration>, ended: &Ended) {
    if ended.is_certainly_uploaded() && !inner.course.is_still_written() {
        unsaved::saved(inner, registration).await;
    }
}

/// Makes the deletes that wait for the copies of all registrations, unless any of these copies was not made.
async fn delete_last(inner: &Inner, uploads: &[Arc<Registration>], ended: &mut [Ended]) {
    let not_complete = |ended: &Ended| (!ended.is_uploaded()).then(|| ended.location.clone());
    let mut incomplete = ended.iter().find_map(not_complete);
    for (registration, first) in uploads.iter().zip(ended) {
        if first.withheld() == 0 || first.error.is_some() {
            continue;
        }
        if incomplete.is_some() {
            first.withheld_for.clone_from(&incomplete);
        } else if !inner.course.deletes().is_cancelled() {
            // It lists again, because both sides may have changed while it waited for the other registrations.
            first.add_second(last_upload(inner, registration, Occasion::End).await);
            incomplete = not_complete(first);
        }
    }
}

/// Uploads one registration after another.
async fn by_priority(inner: &Arc<Inner>) -> Ending {
    let mut ending = Ending::default();
    for registration in &last_uploads(inner, End::Error) {
        let ended = last_upload(inner, registration, Occasion::Failure).await;
        release(inner, registration, &ended).await;
        ending.uploads.push(ended);
    }
    ending
}
