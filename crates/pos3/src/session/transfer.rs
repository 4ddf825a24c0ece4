//! One transfer of one registration: a download, an upload, or the plan of either.
//!
//! A registration has one transfer at a time, in this process by its own lock, on this machine by its database's.

use std::path::PathBuf;
use std::sync::Arc;

use pos3_core::{
    Deletable, Deletion, Filter, FilterError, Incomplete, Overwritable, Refusal, Report, Stop, SyncJob, SyncOptions,
};

use super::contention;
use super::error::SessionError;
use super::inner::Inner;
use super::memory::Held;
use super::options::{RemoteDelete, SyncBothOptions};
use super::place::{self, Ends};
use super::plan::TransferPlan;
use super::registration::{Kind, Registration};
use crate::error::Error;
use crate::location::Location;

/// Downloads, and returns where to.
pub(super) async fn download(inner: Arc<Inner>, registration: Arc<Registration>) -> Result<PathBuf, SessionError> {
    let _alone = registration.running.lock().await;
    let (delete, allow_missing) = match &registration.kind {
        Kind::Download(download) => (download.delete, download.allow_missing),
        Kind::Sync(sync) => (sync.delete_local, true),
        Kind::Upload(_) => (false, true),
    };
    let local = Location::Local(registration.local.clone());
    let held = Held::open(inner.state.as_ref(), &inner.registry, &registration.location, &local, &inner.abort).await;
    let opening = place::download(&inner.registry, &registration);
    let Ends { remote, local } = unless_aborted(&inner, &registration, opening).await?;
    let mut options = download_options(&inner, &registration, delete)?.with_pace(inner.download_pace.clone());
    if let Kind::Sync(_) = &registration.kind {
        // What a run made that died before it was uploaded must not be lost to what is older.
        options = options.with_overwritable(Overwritable::unless_newer()).with_deletable(Deletable::known());
    }
    let job = SyncJob::new(remote, local, held.remember(options, &registration.memory));
    let report = contention::run(&job.with_cancel(inner.abort.clone())).await;
    if is_empty(&report) && !allow_missing {
        return Err(SessionError::Missing { location: registration.location.to_string() });
    }
    finished(&registration, held, report).map(|_report| registration.local.clone())
}

/// Uploads what changed, with further options of the caller's, and returns what happened; nothing if there is nothing
/// local yet.
pub(super) async fn upload(
    inner: &Inner,
    registration: &Registration,
    further: impl FnOnce(SyncOptions) -> SyncOptions,
) -> Result<Option<Arc<Report>>, SessionError> {
    let _alone = registration.running.lock().await;
    let held = hold_for_upload(inner, registration).await;
    let delete = registration.kind.upload().map_or(RemoteDelete::Never, |upload| upload.delete);
    let opening = upload_job(inner, registration, &held, delete, further);
    let Some(job) = unless_aborted(inner, registration, opening).await? else { return Ok(None) };
    let report = contention::run(&job.with_cancel(inner.abort.clone())).await;
    finished(registration, held, report).map(Some)
}

/// Waits for what is needed before a transfer, until the session is stopped.
async fn unless_aborted<T>(
    inner: &Inner,
    registration: &Registration,
    opening: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    tokio::select! {
        biased;
        () = inner.abort.cancelled() => Err(stopped(registration, Stop::Cancelled)),
        opened = opening => opened,
    }
}

/// Opens the memory of an upload.
pub(super) async fn hold_for_upload(inner: &Inner, registration: &Registration) -> Held {
    let local = Location::Local(registration.local.clone());
    Held::open(inner.state.as_ref(), &inner.registry, &local, &registration.location, &inner.abort).await
}

/// Returns the job of an upload that deletes what `delete` allows, with further options of the caller's.
pub(super) async fn upload_job(
    inner: &Inner,
    registration: &Registration,
    held: &Held,
    delete: RemoteDelete,
    further: impl FnOnce(SyncOptions) -> SyncOptions,
) -> Result<Option<SyncJob>, SessionError> {
    let Some(Ends { remote, local }) = place::upload(&inner.registry, registration).await? else { return Ok(None) };
    let options = upload_options(inner, registration, delete)?.with_pace(inner.upload_pace.clone());
    Ok(Some(SyncJob::new(local, remote, further(held.remember(options, &registration.memory)))))
}

fn upload_options(
    inner: &Inner,
    registration: &Registration,
    delete: RemoteDelete,
) -> Result<SyncOptions, SessionError> {
    let options = options(inner, registration)?;
    Ok(match delete {
        RemoteDelete::Never => options,
        RemoteDelete::Seen => options.with_deletion(Deletion::Mirror).with_deletable(Deletable::known()),
        // Without a baseline nothing was registered yet: everything there is may go.
        RemoteDelete::Mirror => options
            .with_deletion(Deletion::Mirror)
            .with_deletable(registration.baseline.deletable().unwrap_or_default()),
    })
}

/// Takes note of what is at the remote place now, where that decides what may be deleted later.
pub(super) async fn take_baseline(inner: &Inner, registration: &Registration) -> Result<(), SessionError> {
    if registration.kind.upload().is_none_or(|upload| upload.delete != RemoteDelete::Mirror) {
        return Ok(());
    }
    if !registration.local.is_dir() {
        // One object: there is nothing beside it that could be deleted.
        return Ok(());
    }
    let Some(Ends { remote, .. }) = place::upload(&inner.registry, registration).await? else { return Ok(()) };
    let failed = |source| Error::Store { location: registration.location.to_string(), source };
    Ok(registration.baseline.take(&remote).await.map_err(failed)?)
}

/// Plans a download or an upload, and touches nothing.
pub(super) async fn plan(inner: &Inner, registration: &Registration) -> Result<TransferPlan, SessionError> {
    let local = Location::Local(registration.local.clone());
    let (source, target, options) = match &registration.kind {
        Kind::Upload(upload) | Kind::Sync(SyncBothOptions { upload, .. }) => {
            let held = Held::peek(inner.state.as_ref(), &inner.registry, &local, &registration.location).await;
            let ends = place::upload(&inner.registry, registration).await?;
            let Some(Ends { remote, local }) = ends else {
                return Err(SessionError::NoLocalPath(registration.local.clone()));
            };
            let options = upload_options(inner, registration, upload.delete)?;
            (local, remote, held.remember(options, &registration.memory))
        }
        Kind::Download(download) => {
            let held = Held::peek(inner.state.as_ref(), &inner.registry, &registration.location, &local).await;
            let Ends { remote, local } = place::download(&inner.registry, registration).await?;
            let options = download_options(inner, registration, download.delete)?;
            (remote, local, held.remember(options, &registration.memory))
        }
    };
    let job = SyncJob::new(source.clone(), target.clone(), options).with_cancel(inner.abort.clone());
    let plan = job.plan().await;
    let nothing = match &plan {
        Ok(plan) => plan.tally.source == 0,
        Err(stop) => matches!(stop, Stop::Refused(Refusal::SourceEmpty { .. })),
    };
    match &registration.kind {
        Kind::Download(download) if nothing && !download.allow_missing => {
            Err(SessionError::Missing { location: registration.location.to_string() })
        }
        _ => plan.map(|plan| TransferPlan::new(plan, source, target)).map_err(|stop| stopped(registration, stop)),
    }
}

fn download_options(inner: &Inner, registration: &Registration, delete: bool) -> Result<SyncOptions, SessionError> {
    let deletion = if delete { Deletion::Mirror } else { Deletion::Keep };
    Ok(options(inner, registration)?.with_deletion(deletion))
}

fn options(inner: &Inner, registration: &Registration) -> Result<SyncOptions, SessionError> {
    let mut filter = Filter::builder();
    let bad = |pattern: &str, cause: FilterError| SessionError::BadPattern {
        pattern: pattern.to_owned(),
        cause: cause.to_string(),
    };
    for pattern in registration.kind.exclude() {
        filter = filter.ignore_lines(pattern).map_err(|error| bad(pattern, error))?;
    }
    let filter = filter.build().map_err(|error| bad(&registration.kind.exclude().join(" "), error))?;
    let options = SyncOptions::default()
        .with_filter(filter)
        .with_guards(registration.kind.guards())
        .with_budget(inner.budget.clone());
    Ok(match &inner.observer {
        Some(observer) => options.with_observer(observer.clone()),
        None => options,
    })
}

/// True if the source had nothing, also where that is why nothing was done.
fn is_empty(report: &Report) -> bool {
    match &report.stopped {
        Some(stop) => matches!(stop, Stop::Refused(Refusal::SourceEmpty { .. })),
        None => report.tally.source == 0,
    }
}

/// Keeps what was done; what was not is an error.
fn finished(registration: &Registration, held: Held, mut report: Report) -> Result<Arc<Report>, SessionError> {
    report.warnings.extend(held.warning);
    for warning in &report.warnings {
        tracing::warn!(location = %registration.location, "{warning}");
    }
    let report = Arc::new(report.into_result().map_err(|incomplete| SessionError::Transfer {
        location: registration.location.to_string(),
        report: Arc::new(incomplete),
    })?);
    registration.history().last_report = Some(report.clone());
    Ok(report)
}

/// Returns the error of a transfer that was not begun.
pub(super) fn stopped(registration: &Registration, stop: Stop) -> SessionError {
    let mut report = Report::default();
    report.stopped = Some(stop);
    transfer_error(registration, report)
}

pub(super) fn transfer_error(registration: &Registration, report: Report) -> SessionError {
    SessionError::Transfer {
        location: registration.location.to_string(),
        report: Arc::new(Incomplete(Box::new(report))),
    }
}
