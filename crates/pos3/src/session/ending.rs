//! How a session ends.
//!
//! A clean end uploads everything and takes the time it needs. An end by an error or a signal uploads only what was asked
//! to be uploaded then, never deletes, and has a deadline: the machine may be about to disappear. Whatever does not make
//! it is named.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use pos3_core::{Action, Event, Key, Observer, Plan, Report};

use super::background;
use super::error::SessionError;
use super::inner::Inner;
use super::options::RemoteDelete;
use super::registration::Registration;
use super::transfer;

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The work is done.
    Clean,
    /// The work failed or was interrupted.
    Error,
}

/// What became of each upload at the end of a session.
#[must_use = "it says what was not uploaded"]
#[derive(Debug, Default)]
pub struct Ending {
    /// Each registration that was to be uploaded, in the order in which it was tried.
    pub uploads: Vec<Ended>,
}

/// What became of one upload at the end of a session.
#[derive(Debug)]
pub struct Ended {
    /// The remote place, as it was registered.
    pub location: String,
    /// What was done, where anything was.
    pub report: Option<Report>,
    /// Why not everything was done.
    pub error: Option<SessionError>,
    /// The keys that are known not to have made it.
    pub missing: Vec<Key>,
}

impl Ending {
    /// Returns all errors as one, if there are any; what was done is in [`uploads`](Self::uploads).
    ///
    /// # Errors
    ///
    /// Every upload that did not do all it was to do.
    pub fn into_result(self) -> Result<(), SessionError> {
        let errors: Vec<_> = self.uploads.into_iter().filter_map(|ended| ended.error).collect();
        if errors.is_empty() { Ok(()) } else { Err(SessionError::Several(errors)) }
    }
}

/// Ends a session; a second time does nothing.
pub(super) async fn end(inner: &Arc<Inner>, how: End) -> Ending {
    if inner.closed.swap(true, Ordering::AcqRel) {
        return Ending::default();
    }
    inner.stop.cancel();
    match how {
        End::Clean => {
            finish_background(inner).await;
            let uploads = inner.uploads();
            Ending { uploads: join_all(uploads.iter().map(|registration| clean(inner, registration))).await }
        }
        End::Error => {
            let deadline = tokio::time::sleep(inner.deadline);
            let ending = async {
                finish_background(inner).await;
                hurry(inner).await
            };
            let (mut deadline, mut ending) = (std::pin::pin!(deadline), std::pin::pin!(ending));
            tokio::select! {
                ending = &mut ending => return ending,
                () = &mut deadline => inner.abort.cancel(),
            }
            // Everything in flight ends soon now, and says what it did not do.
            ending.await
        }
    }
}

async fn finish_background(inner: &Inner) {
    let background = inner.background.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(background) = background {
        let _ended = background.await;
    }
}

async fn clean(inner: &Inner, registration: &Registration) -> Ended {
    let outcome = transfer::upload(inner, registration, inner.abort.clone()).await;
    background::record(registration, &outcome);
    let location = registration.location.to_string();
    match outcome {
        Ok(report) => Ended { location, report, error: None, missing: Vec::new() },
        Err(error) => {
            let missing = match &error {
                SessionError::Transfer { report, .. } => {
                    report.0.failed.iter().map(|failure| failure.key.clone()).collect()
                }
                _ => Vec::new(),
            };
            Ended { location, report: None, error: Some(error), missing }
        }
    }
}

/// Uploads what was asked to be uploaded on an error, the most important first.
async fn hurry(inner: &Inner) -> Ending {
    let mut uploads: Vec<_> = inner.uploads();
    uploads.retain(|registration| registration.kind.upload().is_some_and(|upload| upload.sync_on_error));
    uploads.sort_by_key(|registration| std::cmp::Reverse(registration.kind.upload().map(|upload| upload.priority)));
    let mut ending = Ending::default();
    for registration in &uploads {
        ending.uploads.push(last_upload(inner, registration).await);
    }
    ending
}

/// Uploads by a plan, so that it is known what did not make it. Deletes nothing.
async fn last_upload(inner: &Inner, registration: &Registration) -> Ended {
    let location = registration.location.to_string();
    let ended = |report, error, missing| Ended { location: location.clone(), report, error, missing };
    let nothing_is_known =
        || ended(None, Some(SessionError::Deadline { location: location.clone(), missing: "all".into() }), Vec::new());
    let _alone = tokio::select! {
        biased;
        () = inner.abort.cancelled() => return nothing_is_known(),
        alone = registration.running.lock() => alone,
    };
    let held = transfer::hold_for_upload(inner, registration).await;
    let done = Done::default();
    let observer = Watched { done: done.clone(), inner: inner.observer.clone() };
    let never = RemoteDelete::Never;
    let job = transfer::upload_job(inner, registration, &held, never, |options| options.with_observer(observer)).await;
    let job = match job {
        Ok(Some(job)) => job.with_cancel(inner.abort.clone()),
        Ok(None) => return ended(None, None, Vec::new()),
        Err(error) => return ended(None, Some(error), Vec::new()),
    };
    let plan = match job.plan().await {
        Ok(plan) => plan,
        Err(_) if inner.abort.is_cancelled() => return nothing_is_known(),
        Err(stop) => {
            let mut report = Report::default();
            report.stopped = Some(stop);
            return ended(None, Some(transfer::transfer_error(registration, report)), Vec::new());
        }
    };
    let planned = copies(&plan);
    let report = job.execute(plan).await;
    let missing: Vec<Key> = planned.into_iter().filter(|key| !done.has(key)).collect();
    if report.is_clean() {
        return ended(Some(report), None, missing);
    }
    let error = if inner.abort.is_cancelled() {
        SessionError::Deadline { location: location.clone(), missing: missing.len().to_string() }
    } else {
        transfer::transfer_error(registration, report)
    };
    ended(None, Some(error), missing)
}

fn copies(plan: &Plan) -> Vec<Key> {
    let is_copy = |action: &&Action| matches!(action, Action::Copy { .. } | Action::Replace { .. });
    plan.actions.iter().filter(is_copy).map(|action| action.key().clone()).collect()
}

/// The keys that were copied.
#[derive(Clone, Default)]
struct Done(Arc<Mutex<HashSet<Key>>>);

impl Done {
    fn has(&self, key: &Key) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

/// Notes what is done and passes events on.
struct Watched {
    done: Done,
    inner: Option<Arc<dyn Observer>>,
}

impl Observer for Watched {
    fn event(&self, event: &Event<'_>) {
        if let Event::Done(action) = event {
            self.done.0.lock().unwrap_or_else(PoisonError::into_inner).insert(action.key().clone());
        }
        if let Some(inner) = &self.inner {
            inner.event(event);
        }
    }
}
