//! How a session ends.
//!
//! A clean end uploads everything and takes the time it needs. An end by an error or a signal uploads only what was asked
//! to be uploaded then, never deletes, and has a deadline: the machine may be about to disappear. A clean end can be told
//! to hurry, and has a deadline and deletes nothing from then on. Whatever does not make it is named.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use pos3_core::{Key, Report, Stop};

use super::background;
use super::error::SessionError;
use super::inner::Inner;
use super::options::RemoteDelete;
use super::registration::Registration;
use super::transfer;
use super::watch::Watch;

/// How long transfers that are abandoned have to say what became of them.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
    /// What was done at the end, where everything was.
    pub report: Option<Arc<Report>>,
    /// Files uploaded while the session ran, each as often as it was; those at the end too.
    pub uploaded: u64,
    /// Their bytes.
    pub uploaded_bytes: u64,
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

    /// Returns true if nothing is left to do: everything was uploaded, and no delete was withheld.
    pub fn is_complete(&self) -> bool {
        self.uploads.iter().all(Ended::is_complete)
    }
}

impl Ended {
    /// Returns true if everything was uploaded, and no delete was withheld.
    pub fn is_complete(&self) -> bool {
        self.error.is_none() && self.missing.is_empty() && self.withheld() == 0
    }

    /// Returns how many remote files should have been deleted and were not, because the end was hurried or the local
    /// directory was empty.
    pub fn withheld(&self) -> u64 {
        self.report.as_ref().map_or(0, |report| report.withheld)
    }
}

/// Ends a session; a second time does nothing.
pub(super) async fn end(inner: &Arc<Inner>, how: End) -> Ending {
    if inner.closed.swap(true, Ordering::AcqRel) {
        return Ending::default();
    }
    inner.stop.cancel();
    if how == End::Error {
        inner.hurry.cancel();
    }
    let deadline = async {
        inner.hurry.cancelled().await;
        tokio::time::sleep(inner.deadline).await;
    };
    let ending = async {
        finish_background(inner).await;
        match how {
            End::Clean => side_by_side(inner).await,
            End::Error => by_priority(inner).await,
        }
    };
    let (mut deadline, mut ending) = (std::pin::pin!(deadline), std::pin::pin!(ending));
    tokio::select! {
        biased;
        ending = &mut ending => return ending,
        () = &mut deadline => inner.abort.cancel(),
    }
    // Everything in flight ends soon now, and says what it did not do.
    ending.await
}

async fn finish_background(inner: &Inner) {
    let background = inner.background.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut background) = background {
        tokio::select! {
            _ended = &mut background => {}
            () = abandoned(inner) => background.abort(),
        }
    }
}

/// Waits until nothing is waited for any more.
async fn abandoned(inner: &Inner) {
    inner.abandon.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// Uploads everything, each on its own.
async fn side_by_side(inner: &Inner) -> Ending {
    let uploads = inner.uploads();
    let ended = uploads.iter().map(|registration| last_upload(inner, registration, End::Clean));
    Ending { uploads: join_all(ended).await }
}

/// Uploads what was asked to be uploaded on an error, the most important first.
async fn by_priority(inner: &Inner) -> Ending {
    let mut uploads: Vec<_> = inner.uploads();
    uploads.retain(|registration| registration.kind.upload().is_some_and(|upload| upload.sync_on_error));
    uploads.sort_by_key(|registration| std::cmp::Reverse(registration.kind.upload().map(|upload| upload.priority)));
    let mut ending = Ending::default();
    for registration in &uploads {
        ending.uploads.push(last_upload(inner, registration, End::Error).await);
    }
    ending
}

/// Uploads by a plan, so that it is known what did not make it. After an error it deletes nothing.
async fn last_upload(inner: &Inner, registration: &Registration, how: End) -> Ended {
    let watch = Watch::new(inner.observer.clone());
    let mode = match (how, registration.kind.upload()) {
        (End::Clean, Some(upload)) => upload.delete,
        (End::Error, _) | (_, None) => RemoteDelete::Never,
    };
    let outcome = tokio::select! {
        biased;
        outcome = transfer::upload_watched(inner, registration, mode, Some(&watch)) => outcome,
        () = abandoned(inner) => Err(transfer::stopped(registration, Stop::Cancelled)),
    };
    if how == End::Clean {
        background::record(registration, &outcome);
    }
    let undone = watch.undone();
    let mut missing = undone.clone().unwrap_or_default();
    let (report, error) = match outcome {
        // What needed the place of something that was not deleted in a hurry.
        Ok(_) if !missing.is_empty() => {
            let location = registration.location.to_string();
            (None, Some(SessionError::Deadline { location, missing: Some(missing.len()) }))
        }
        Ok(report) => (report, None),
        Err(error) if inner.hurry.is_cancelled() && is_cancelled(&error) => {
            let location = registration.location.to_string();
            (None, Some(SessionError::Deadline { location, missing: undone.map(|keys| keys.len()) }))
        }
        Err(error) => {
            if let SessionError::Transfer { report, .. } = &error {
                let skipped = report.0.skipped.iter().flatten().filter(|(_, why)| !why.is_policy());
                missing.extend(skipped.map(|(key, _)| key));
            }
            (None, Some(error))
        }
    };
    let history = registration.history();
    Ended {
        uploaded: history.uploaded,
        uploaded_bytes: history.uploaded_bytes,
        location: registration.location.to_string(),
        local: registration.local.clone(),
        report,
        error,
        missing: missing.into_iter().collect(),
    }
}

fn is_cancelled(error: &SessionError) -> bool {
    matches!(error, SessionError::Transfer { report, .. } if matches!(report.0.stopped, Some(Stop::Cancelled)))
}
