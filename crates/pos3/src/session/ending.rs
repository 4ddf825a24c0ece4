//! How a session ends.
//!
//! A clean end uploads everything and takes the time it needs. An end by an error or a signal uploads only what was asked
//! to be uploaded then, never deletes, and has a deadline: the machine may be about to disappear. Whatever does not make
//! it is named.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use pos3_core::{Action, Event, Key, Observer, Plan, Report, SyncOptions};

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
    /// Where it is kept locally.
    pub local: PathBuf,
    /// What was done, where everything was.
    pub report: Option<Arc<Report>>,
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
    let watch = Watch::of(inner);
    let outcome = transfer::upload(inner, registration, |options| options.with_observer(watch.clone())).await;
    background::record(registration, &outcome);
    let (report, error) = match outcome {
        Ok(report) => (report, None),
        Err(error) => (None, Some(error)),
    };
    let mut missing = watch.undone();
    if let Some(SessionError::Transfer { report, .. }) = &error {
        missing.extend(report.0.skipped.iter().filter(|(_, why)| !why.is_policy()).map(|(key, _)| key.clone()));
    }
    ended(registration, report, error, missing)
}

fn ended(
    registration: &Registration,
    report: Option<Arc<Report>>,
    error: Option<SessionError>,
    missing: Vec<Key>,
) -> Ended {
    Ended { location: registration.location.to_string(), local: registration.local.clone(), report, error, missing }
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
    let late = |missing: &str| {
        let location = registration.location.to_string();
        Some(SessionError::Deadline { location, missing: missing.to_owned() })
    };
    let nothing_is_known = || ended(registration, None, late("all"), Vec::new());
    let _alone = tokio::select! {
        biased;
        () = inner.abort.cancelled() => return nothing_is_known(),
        alone = registration.running.lock() => alone,
    };
    let held = transfer::hold_for_upload(inner, registration).await;
    let watch = Watch::of(inner);
    let further = |options: SyncOptions| options.with_observer(watch.clone());
    let job = tokio::select! {
        biased;
        () = inner.abort.cancelled() => return nothing_is_known(),
        job = transfer::upload_job(inner, registration, &held, RemoteDelete::Never, further) => job,
    };
    let job = match job {
        Ok(Some(job)) => job.with_cancel(inner.abort.clone()),
        Ok(None) => return ended(registration, None, None, Vec::new()),
        Err(error) => return ended(registration, None, Some(error), Vec::new()),
    };
    let plan = match job.plan().await {
        Ok(plan) => plan,
        Err(_) if inner.abort.is_cancelled() => return nothing_is_known(),
        Err(stop) => return ended(registration, None, Some(transfer::stopped(registration, stop)), Vec::new()),
    };
    watch.expect(&plan);
    let report = job.execute(plan).await;
    let missing = watch.undone();
    if report.is_clean() {
        return ended(registration, Some(Arc::new(report)), None, missing);
    }
    let error = if inner.abort.is_cancelled() {
        late(&missing.len().to_string())
    } else {
        Some(transfer::transfer_error(registration, report))
    };
    ended(registration, None, error, missing)
}

/// Notes what is still to be copied, and passes events on.
#[derive(Clone)]
struct Watch {
    pending: Arc<Mutex<BTreeSet<Key>>>,
    inner: Option<Arc<dyn Observer>>,
}

impl Watch {
    fn of(inner: &Inner) -> Self {
        Self { pending: Arc::default(), inner: inner.observer.clone() }
    }

    fn pending(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, plan: &Plan) {
        self.pending().extend(plan.actions.iter().filter(|action| is_copy(action)).map(|action| action.key().clone()));
    }

    /// Returns what was to be copied and was not.
    fn undone(&self) -> Vec<Key> {
        self.pending().iter().cloned().collect()
    }
}

impl Observer for Watch {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Decided(action) if is_copy(action) => drop(self.pending().insert(action.key().clone())),
            Event::Done(action) => drop(self.pending().remove(action.key())),
            // Others may have brought the same meanwhile.
            Event::Unchanged(key, _) => drop(self.pending().remove(*key)),
            _ => {}
        }
        if let Some(inner) = &self.inner {
            inner.event(event);
        }
    }
}

fn is_copy(action: &Action) -> bool {
    matches!(action, Action::Copy { .. } | Action::Replace { .. })
}
