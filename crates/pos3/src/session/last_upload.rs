//! The last upload of one registration, with its retries and the cause of its delay.

use std::io::ErrorKind::NotFound;
use std::sync::Arc;
use std::time::Duration;

use pos3_core::{ErrorKind, Report, Stop, StoreError};

use super::deletes::Occasion;
use super::ending::Ended;
use super::error::SessionError;
use super::hiding;
use super::inner::Inner;
use super::left_out;
use super::moved;
use super::options::Shape;
use super::place;
use super::progress::Watch;
use super::registration::Registration;
use super::transfer;
use super::unknown;
use crate::error::Error;

/// The pause before a failed last upload is retried.
const PAUSE: Duration = Duration::from_secs(2);

/// How long a failed last upload without a deadline is retried.
const PATIENCE: Duration = Duration::from_secs(180);

/// Uploads by a plan, so that the missing keys are known. Deletes nothing after an error.
pub(super) async fn last_upload(inner: &Inner, registration: &Registration, occasion: Occasion) -> Ended {
    let before = registration.history().clone();
    let is_gone = std::fs::symlink_metadata(&registration.local).is_err_and(|error| error.kind() == NotFound);
    let watch = Watch::new(inner.observer_of(registration), inner.budget.clone());
    let is_clean = occasion != Occasion::Failure;
    let (mut cause, mut is_cut_off) = (None, false);
    let outcome = tokio::select! {
        biased;
        outcome = upload_patiently(inner, registration, occasion, &watch, &mut cause) => outcome,
        () = inner.abandoned() => {
            is_cut_off = true;
            cut_off(registration, &watch)
        }
    };
    if is_clean || outcome.is_ok() {
        registration.record(&outcome);
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
        Ok(None) if is_clean && registration.kind.shape() == Shape::File => {
            let location = registration.location.to_string();
            (None, Some(SessionError::NotMade { location, path: registration.local.clone() }))
        }
        Ok(Some(report)) => {
            let hidden = hiding::after_upload(inner, registration).await.err();
            (Some(report), hidden)
        }
        Ok(None) => (None, None),
        Err(error) if inner.course.has_deadline() && error.is_cancelled() => {
            let location = registration.location.to_string();
            let missing = undone.map(|keys| keys.len());
            let cause = cause_of_delay(inner, registration, first_failure(&error).or(cause)).await;
            (None, Some(SessionError::Deadline { location, missing, cause }))
        }
        Err(error) => {
            if let Some(report) = error.report() {
                let skipped =
                    report.skipped.iter().flatten().filter(|(_, why)| !why.is_policy() && !why.is_target_only());
                missing.extend(skipped.map(|(key, _)| key));
            }
            let is_uploaded = error.lacks_only_deletes();
            let hidden = if is_uploaded { hiding::after_upload(inner, registration).await.err() } else { None };
            (
                None,
                Some(match hidden {
                    Some(hidden) => SessionError::Several(vec![error, hidden]),
                    None => error,
                }),
            )
        }
    };
    if !is_planned {
        missing.extend(unknown::files(registration).await);
    }
    let history = registration.history().clone();
    Ended {
        uploaded_at_end: history.uploaded.files.saturating_sub(before.uploaded.files),
        uploaded_bytes_at_end: history.uploaded.bytes.saturating_sub(before.uploaded.bytes),
        is_planned,
        uploaded: history.uploaded.files,
        uploaded_bytes: history.uploaded.bytes,
        deleted: history.uploaded.deleted,
        location: registration.location.to_string(),
        local: registration.local.clone(),
        report,
        error,
        missing: missing.into_iter().collect(),
        is_gone,
        left_out: left_out.unwrap_or_default(),
        replaced: registration.evidence.replaced.all(),
        withheld_for: None,
        deleted_later: 0,
        withheld_by_others: history.withheld_by_others,
        is_cut_off,
    }
}

/// Returns the result of an upload that was abandoned. If all its copies were made and deletes remain, only these are
/// missing.
fn cut_off(registration: &Registration, watch: &Watch) -> Result<Option<Arc<Report>>, SessionError> {
    if !watch.is_done() || watch.deletes() == 0 {
        return Err(transfer::stopped(registration, Stop::Cancelled));
    }
    let mut report = Report::default();
    report.withheld = watch.deletes();
    Ok(Some(Arc::new(report)))
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
        let outcome = moved::upload_watched(inner, registration, occasion, Some(watch)).await;
        let Err(error) = &outcome else { return outcome };
        let has_time = inner.course.has_deadline() || begun.elapsed() < PATIENCE;
        if !has_time || inner.course.is_stopped() || !may_pass(error) {
            return outcome;
        }
        *cause = first_failure(error);
        tracing::info!(location = %registration.location, %error, "the last upload failed and is retried");
        tokio::select! {
            biased;
            () = inner.course.last_uploads().cancelled() => return Err(transfer::stopped(registration, Stop::Cancelled)),
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
