//! One transfer of one registration: a download, an upload, or the plan of either.
//!
//! A registration has one transfer at a time, in this process by its own lock, on this machine by its database's.

use std::path::PathBuf;
use std::sync::Arc;

use pos3_core::{
    CancellationToken, Deletable, Deletion, Filter, Incomplete, Plan, Refusal, Report, Stop, SyncJob, SyncOptions,
};

use super::error::SessionError;
use super::inner::Inner;
use super::memory::Held;
use super::options::RemoteDelete;
use super::place::{self, Ends};
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
    let held = Held::open(inner.state.as_ref(), &inner.registry, &registration.location, &local).await;
    let Ends { remote, local } = place::download(&inner.registry, &registration).await?;
    let deletion = if delete { Deletion::Mirror } else { Deletion::Keep };
    let options = options(&inner, &registration)?.with_deletion(deletion).with_pace(inner.download_pace.clone());
    let job = SyncJob::new(remote, local, held.remember(options, &registration.memory));
    let report = job.with_cancel(inner.abort.clone()).run().await;
    if is_empty(&report) && !allow_missing {
        return Err(SessionError::Missing { location: registration.location.to_string() });
    }
    note(&registration, &held, &report);
    finished(&registration, report).map(|_report| registration.local.clone())
}

/// Uploads what changed, and returns what happened; nothing if there is nothing local yet.
pub(super) async fn upload(
    inner: &Inner,
    registration: &Registration,
    cancel: CancellationToken,
) -> Result<Option<Report>, SessionError> {
    let _alone = registration.running.lock().await;
    let held = hold_for_upload(inner, registration).await;
    let delete = registration.kind.upload().map_or(RemoteDelete::Never, |upload| upload.delete);
    let Some(job) = upload_job(inner, registration, &held, delete, |options| options).await? else { return Ok(None) };
    let report = job.with_cancel(cancel).run().await;
    note(registration, &held, &report);
    finished(registration, report).map(Some)
}

/// Opens the memory of an upload.
pub(super) async fn hold_for_upload(inner: &Inner, registration: &Registration) -> Held {
    let local = Location::Local(registration.local.clone());
    Held::open(inner.state.as_ref(), &inner.registry, &local, &registration.location).await
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
    let options = options(inner, registration)?.with_pace(inner.upload_pace.clone());
    let options = match delete {
        RemoteDelete::Never => options,
        RemoteDelete::Seen => options.with_deletion(Deletion::Mirror).with_deletable(Deletable::known()),
        RemoteDelete::Mirror => {
            options.with_deletion(Deletion::Mirror).with_deletable(registration.baseline.deletable())
        }
    };
    Ok(Some(SyncJob::new(local, remote, further(held.remember(options, &registration.memory)))))
}

/// Takes note of what is at the remote place now, where that decides what may be deleted later.
pub(super) async fn take_baseline(inner: &Inner, registration: &Registration) -> Result<(), SessionError> {
    if registration.kind.upload().is_none_or(|upload| upload.delete != RemoteDelete::Mirror) {
        return Ok(());
    }
    let Some(Ends { remote, .. }) = place::upload(&inner.registry, registration).await? else { return Ok(()) };
    let failed = |source| Error::Store { location: registration.location.to_string(), source };
    Ok(registration.baseline.take(&remote).await.map_err(failed)?)
}

/// Plans a download or an upload, and touches nothing.
pub(super) async fn plan(inner: &Inner, registration: &Registration) -> Result<Plan, SessionError> {
    let local = Location::Local(registration.local.clone());
    let is_upload = registration.kind.upload().is_some();
    let (from, to) = if is_upload { (&local, &registration.location) } else { (&registration.location, &local) };
    let held = Held::open(inner.state.as_ref(), &inner.registry, from, to).await;
    let job = if is_upload {
        take_baseline(inner, registration).await?;
        let delete = registration.kind.upload().map_or(RemoteDelete::Never, |upload| upload.delete);
        match upload_job(inner, registration, &held, delete, |options| options).await? {
            Some(job) => job,
            None => return Ok(Plan::default()),
        }
    } else {
        let Ends { remote, local } = place::download(&inner.registry, registration).await?;
        let Kind::Download(download) = &registration.kind else { return Ok(Plan::default()) };
        let deletion = if download.delete { Deletion::Mirror } else { Deletion::Keep };
        let options = options(inner, registration)?.with_deletion(deletion);
        SyncJob::new(remote, local, held.remember(options, &registration.memory))
    };
    job.plan().await.map_err(|stop| {
        let mut report = Report::default();
        report.stopped = Some(stop);
        transfer_error(registration, report)
    })
}

fn options(inner: &Inner, registration: &Registration) -> Result<SyncOptions, SessionError> {
    let mut filter = Filter::builder();
    for pattern in registration.kind.exclude() {
        filter = filter.ignore_lines(pattern).map_err(|error| place::unusable(pattern.as_ref(), &error.to_string()))?;
    }
    let filter = filter.build().map_err(|error| place::unusable("exclude".as_ref(), &error.to_string()))?;
    let options = SyncOptions::default().with_filter(filter).with_budget(inner.budget.clone());
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

fn note(registration: &Registration, held: &Held, report: &Report) {
    for warning in held.warning.iter().chain(&report.warnings) {
        tracing::warn!(location = %registration.location, "{warning}");
    }
}

fn finished(registration: &Registration, report: Report) -> Result<Report, SessionError> {
    report.into_result().map_err(|incomplete| SessionError::Transfer {
        location: registration.location.to_string(),
        report: Arc::new(incomplete),
    })
}

pub(super) fn transfer_error(registration: &Registration, report: Report) -> SessionError {
    SessionError::Transfer {
        location: registration.location.to_string(),
        report: Arc::new(Incomplete(Box::new(report))),
    }
}
