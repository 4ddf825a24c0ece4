//! Ends a session.
//!
//! A clean end uploads everything and has no time limit. An end by an error or a signal uploads only outputs with
//! `sync_on_error`, never deletes, and has a deadline, because the machine may be about to disappear. A hurried clean
//! end also has a deadline and deletes nothing more. The result names every file that was not uploaded.

use std::io::ErrorKind::NotFound;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};
use pos3_core::{ErrorKind, Key, Report, SkipReason, Stop, StoreError};

use super::background;
use super::deletes::Occasion;
use super::error::SessionError;
use super::inner::Inner;
use super::left_out::{self, LeftOut};
use super::options::Shape;
use super::place;
use super::registration::Registration;
use super::transfer;
use super::unknown;
use super::unsaved;
use super::watch::Watch;
use crate::error::Error;

/// How long abandoned transfers may take to return a report.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The largest number of files in flight at the beginning of a hurried end. It grows with each file that is uploaded
/// quickly.
const HURRIED: usize = 4;

/// How long a hurried end waits for other processes that have locked its sync state, and the fraction of its deadline.
const LONGEST_LOCK: Duration = Duration::from_secs(10);
const SHARE_OF_LOCKS: u32 = 4;

/// The pause before a failed last upload is retried.
const PAUSE: Duration = Duration::from_secs(2);

/// How long a failed last upload without a deadline is retried.
const PATIENCE: Duration = Duration::from_secs(180);

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

/// The result of every upload at the end of a session.
#[must_use = "it contains the files that were not uploaded"]
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// One entry for each registration that had to be uploaded, in the order of the uploads.
    pub uploads: Vec<Ended>,
}

/// The result of one upload at the end of a session.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The remote location, as it was registered.
    pub location: String,
    /// The local path.
    pub local: PathBuf,
    /// The report of the last upload, if everything was uploaded.
    pub report: Option<Arc<Report>>,
    /// The number of files uploaded during the session, including the end. Each upload of the same file counts.
    pub uploaded: u64,
    /// The size of these uploads in bytes.
    pub uploaded_bytes: u64,
    /// The number of objects deleted during the session, including the end.
    pub deleted: u64,
    /// Why not everything was uploaded.
    pub error: Option<SessionError>,
    /// The number of files uploaded at the end.
    pub uploaded_at_end: u64,
    /// The size of these uploads in bytes.
    pub uploaded_bytes_at_end: u64,
    /// The keys that were not uploaded. If [`is_planned`](Self::is_planned) is false, the keys of all local files whose
    /// current content is not known to be stored.
    pub missing: Vec<Key>,
    /// Whether both sides could be compared at the end, so that the missing keys are known.
    pub is_planned: bool,
    /// Whether the output did not exist at the end, so that nothing was uploaded.
    pub is_gone: bool,
    /// The entries that were skipped because of their kind: symbolic links that are not followed, special files, and
    /// unreadable files.
    pub left_out: Vec<LeftOut>,
}

impl Ending {
    /// Converts all errors to one. [`uploads`](Self::uploads) contains what was uploaded despite them.
    ///
    /// # Errors
    ///
    /// Returns the errors of all uploads that are not complete.
    pub fn into_result(self) -> Result<(), SessionError> {
        let errors: Vec<_> = self.uploads.into_iter().filter_map(|ended| ended.error).collect();
        if errors.is_empty() { Ok(()) } else { Err(SessionError::Several(errors)) }
    }

    /// Returns true if everything was uploaded, nothing was skipped, and no delete was withheld.
    pub fn is_complete(&self) -> bool {
        self.uploads.iter().all(Ended::is_complete)
    }
}

impl Ended {
    /// Returns true if everything was uploaded, nothing was skipped, and no delete was withheld.
    pub fn is_complete(&self) -> bool {
        self.is_uploaded() && self.left_out.is_empty() && self.withheld() == 0
    }

    /// Returns true if all content was uploaded. A link to an entry of the same output has no content of its own. If
    /// the output is gone, this returns false, because its content is unknown.
    pub fn is_uploaded(&self) -> bool {
        self.error.is_none()
            && !self.is_gone
            && self.missing.is_empty()
            && !self.left_out.iter().any(LeftOut::lacks_content)
    }

    /// Returns true if all content was uploaded and no delete was withheld.
    pub(super) fn is_done(&self) -> bool {
        self.is_uploaded() && self.withheld() == 0
    }

    /// Returns the known facts about an upload whose end was cut short.
    fn cut_short(registration: &Registration) -> Self {
        let location = registration.location.to_string();
        let history = registration.history();
        Self {
            local: registration.local.clone(),
            report: None,
            uploaded: history.uploaded,
            uploaded_bytes: history.uploaded_bytes,
            deleted: history.deleted,
            error: Some(SessionError::CutShort { location: location.clone() }),
            uploaded_at_end: 0,
            uploaded_bytes_at_end: 0,
            missing: Vec::new(),
            is_planned: false,
            is_gone: false,
            left_out: Vec::new(),
            location,
        }
    }

    /// Returns the number of objects that were not deleted because the end was hurried or the local directory was
    /// empty.
    pub fn withheld(&self) -> u64 {
        self.report.as_ref().map_or(0, |report| report.withheld)
    }

    /// Returns the report of the last upload, even if not everything was uploaded.
    pub fn done(&self) -> Option<&Report> {
        match (&self.report, &self.error) {
            (Some(report), _) => Some(report),
            (None, Some(SessionError::Transfer { report, .. })) => Some(&report.0),
            (None, _) => None,
        }
    }

    /// Returns the keys that were not uploaded because another writer replaced or removed the object, and the local
    /// file has not changed since its last transfer.
    pub fn left_to_others(&self) -> impl Iterator<Item = (Key, SkipReason)> {
        let is_theirs = |why: &SkipReason| matches!(why, SkipReason::Newer | SkipReason::Removed);
        // If the temporary file of a long report cannot be read, only the keys in memory are returned.
        let skipped =
            self.done().filter(|report| report.skipped.any(is_theirs)).map(|report| report.skipped.iter().flatten());
        skipped.into_iter().flatten().filter(move |(_, why)| is_theirs(why))
    }
}

/// Ends a session, or waits for an end that is running or has finished.
pub(super) async fn end(inner: &Arc<Inner>, how: End) -> Ending {
    if how == End::Error {
        inner.hurry.cancel();
    }
    let ending = {
        let mut ending = inner.ending.lock().unwrap_or_else(PoisonError::into_inner);
        ending.get_or_insert_with(|| begin(inner, how)).clone()
    };
    ending.await
}

/// Starts the end as a separate task, so that it continues if the caller no longer waits for it.
fn begin(inner: &Arc<Inner>, how: End) -> EndingUnderWay {
    inner.closed.store(true, Ordering::Release);
    inner.stop.cancel();
    let uploads = inner.uploads();
    let inner = inner.clone();
    let task = tokio::spawn(async move {
        let ending = perform(&inner, how).await;
        inner.is_over.store(true, Ordering::Release);
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
        inner.hurry.cancelled().await;
        inner.budget.narrow(HURRIED);
        if !last_uploads(inner, how).is_empty() {
            inner.passes.cancel();
        }
        let locks = LONGEST_LOCK.min(inner.deadline / SHARE_OF_LOCKS);
        tokio::time::sleep(locks).await;
        inner.unlocked.cancel();
        tokio::time::sleep(inner.deadline.saturating_sub(locks)).await;
    };
    let ending = async {
        tokio::join!(finish_background(inner), stop_downloads(inner));
        match how {
            End::Clean => side_by_side(inner).await,
            End::Error => by_priority(inner).await,
        }
    };
    let (mut deadline, mut ending) = (std::pin::pin!(deadline), std::pin::pin!(ending));
    tokio::select! {
        biased;
        // This branch is first because it narrows the budget before any upload starts.
        () = &mut deadline => inner.abort.cancel(),
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

/// Stops the downloads that still run. They hold what the last uploads need, and continue only while a caller waits for
/// them, so this waits for them too.
async fn stop_downloads(inner: &Inner) {
    inner.downloads.cancel();
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
        inner.passes.cancelled().await;
        tokio::time::sleep(inner.share_of_passes() + LAST_WORDS).await;
    };
    tokio::select! {
        () = passes => {}
        () = abandoned(inner) => {}
    }
}

/// Waits until abandoned transfers have had their time to return a report.
async fn abandoned(inner: &Inner) {
    inner.abandon.cancelled().await;
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

/// Uploads by a plan, so that the missing keys are known. Deletes nothing after an error.
async fn last_upload(inner: &Inner, registration: &Registration, how: End) -> Ended {
    let before = registration.history().clone();
    let is_gone = std::fs::symlink_metadata(&registration.local).is_err_and(|error| error.kind() == NotFound);
    let watch = Watch::new(inner.observer.clone(), inner.budget.clone());
    let occasion = match how {
        End::Clean => Occasion::End,
        End::Error => Occasion::Failure,
    };
    let mut cause = None;
    let outcome = tokio::select! {
        biased;
        outcome = upload_patiently(inner, registration, occasion, &watch, &mut cause) => outcome,
        () = abandoned(inner) => Err(transfer::stopped(registration, Stop::Cancelled)),
    };
    if how == End::Clean {
        background::record(registration, &outcome);
    }
    let undone = watch.undone();
    let is_planned = undone.is_some() || outcome.as_ref().map_or_else(is_about_the_place, |_| true);
    let mut missing = undone.clone().unwrap_or_default();
    let left_out = match &outcome {
        Ok(report) => report.as_ref().map(|report| left_out::of(registration, report)),
        Err(SessionError::Transfer { report, .. }) => Some(left_out::of(registration, &report.0)),
        Err(_) => None,
    };
    let (report, error) = match outcome {
        // Files that needed the path of an entry whose delete was withheld by the hurry.
        Ok(_) if !missing.is_empty() => {
            let location = registration.location.to_string();
            let cause = cause_of_delay(inner, registration, cause).await;
            (None, Some(SessionError::Deadline { location, missing: Some(missing.len()), cause }))
        }
        // If the program failed, a missing file is not another error.
        Ok(None) if how == End::Clean && registration.kind.shape() == Shape::File => {
            let location = registration.location.to_string();
            (None, Some(SessionError::NotMade { location, path: registration.local.clone() }))
        }
        Ok(report) => (report, None),
        Err(error) if inner.hurry.is_cancelled() && is_cancelled(&error) => {
            let location = registration.location.to_string();
            let missing = undone.map(|keys| keys.len());
            let cause = cause_of_delay(inner, registration, first_failure(&error).or(cause)).await;
            (None, Some(SessionError::Deadline { location, missing, cause }))
        }
        Err(error) => {
            if let SessionError::Transfer { report, .. } = &error {
                let skipped =
                    report.0.skipped.iter().flatten().filter(|(_, why)| !why.is_policy() && !why.is_target_only());
                missing.extend(skipped.map(|(key, _)| key));
            }
            (None, Some(error))
        }
    };
    if !is_planned {
        missing.extend(unknown::files(registration).await);
    }
    let history = registration.history().clone();
    let ended = Ended {
        uploaded_at_end: history.uploaded.saturating_sub(before.uploaded),
        uploaded_bytes_at_end: history.uploaded_bytes.saturating_sub(before.uploaded_bytes),
        is_planned,
        uploaded: history.uploaded,
        uploaded_bytes: history.uploaded_bytes,
        deleted: history.deleted,
        location: registration.location.to_string(),
        local: registration.local.clone(),
        report,
        error,
        missing: missing.into_iter().collect(),
        is_gone,
        left_out: left_out.unwrap_or_default(),
    };
    if ended.is_uploaded() && !inner.outlived.load(Ordering::Acquire) {
        unsaved::saved(registration).await;
    }
    ended
}

/// Uploads until this succeeds, fails permanently, or runs out of time. Sets `cause` to the failure of the previous
/// attempt.
async fn upload_patiently(
    inner: &Inner,
    registration: &Registration,
    occasion: Occasion,
    watch: &Watch,
    cause: &mut Option<String>,
) -> Result<Option<Arc<Report>>, SessionError> {
    let begun = tokio::time::Instant::now();
    loop {
        let outcome = transfer::upload_watched(inner, registration, occasion, Some(watch)).await;
        let Err(error) = &outcome else { return outcome };
        let has_time = inner.hurry.is_cancelled() || begun.elapsed() < PATIENCE;
        if !has_time || inner.abort.is_cancelled() || !may_pass(error) {
            return outcome;
        }
        *cause = first_failure(error);
        tracing::info!(location = %registration.location, %error, "the last upload failed and is retried");
        tokio::select! {
            biased;
            () = inner.abort.cancelled() => return Err(transfer::stopped(registration, Stop::Cancelled)),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Returns why an upload is late: the current failures of requests, otherwise the known cause of an earlier attempt.
async fn cause_of_delay(inner: &Inner, registration: &Registration, earlier: Option<String>) -> Option<String> {
    place::trouble(&inner.registry, &registration.location).await.or(earlier)
}

/// Returns true if a retry of the same upload may succeed.
fn may_pass(error: &SessionError) -> bool {
    failures(error).any(|error| error.is_temporary() && error.kind() != ErrorKind::Precondition)
}

/// Returns the cause of the first failed file.
fn first_failure(error: &SessionError) -> Option<String> {
    failures(error).next().map(StoreError::cause)
}

fn failures(error: &SessionError) -> impl Iterator<Item = &StoreError> {
    let report = if let SessionError::Transfer { report, .. } = error { Some(&report.0) } else { None };
    let stopped = report.and_then(|report| match &report.stopped {
        Some(Stop::Fatal(failure)) => Some(&failure.error),
        Some(Stop::Listing { error, .. }) => Some(error),
        _ => None,
    });
    let failed = report.into_iter().flat_map(|report| report.failed.head());
    let opening = match error {
        SessionError::Open(error) => match &**error {
            Error::Store { source, .. } => Some(source),
            _ => None,
        },
        _ => None,
    };
    opening.into_iter().chain(stopped).chain(failed.map(|failure| &failure.error))
}

/// Returns true for an error about the output itself. Such an error states why nothing was uploaded.
fn is_about_the_place(error: &SessionError) -> bool {
    !matches!(error, SessionError::Transfer { .. } | SessionError::Open(_) | SessionError::Waiting { .. })
}

/// Returns true if pos3 cancelled the transfer itself.
pub(super) fn is_cancelled(error: &SessionError) -> bool {
    match error {
        SessionError::Waiting { .. } => true,
        SessionError::Transfer { report, .. } => matches!(report.0.stopped, Some(Stop::Cancelled)),
        _ => false,
    }
}
