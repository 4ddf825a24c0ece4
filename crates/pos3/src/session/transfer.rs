//! One transfer of one registration: a download, an upload, or the plan of either.
//!
//! A registration has one transfer at a time, in this process by its own lock, on this machine by its database's.

use std::path::PathBuf;
use std::sync::Arc;

use pos3_core::{
    Deletable, Deletion, Event, Incomplete, Observer, Overwritable, Plan, Refusal, Report, SkipReason, Stop, SyncJob,
    SyncOptions,
};
use pos3_local::last_change;

use super::contention;
use super::deletes::Deletes;
use super::error::SessionError;
use super::inner::Inner;
use super::left_out;
use super::memory::Held;
use super::options::{RemoteDelete, SyncBothOptions, excluding};
use super::place::{self, Ends};
use super::plan::TransferPlan;
use super::registration::{Kind, Registration};
use super::watch::Watch;
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
    let held = Held::open(&inner, &registration, &registration.location, &local).await;
    let opening = place::download(&inner.registry, &registration);
    let Ends { remote, local, copy } = unless_aborted(&inner, &registration, opening).await?;
    copy.clear_way()?;
    let options = download_options(&inner, &registration, delete)?.with_pace(inner.download_pace.clone());
    let mut options = observed(options, inner.observer.clone());
    if let Kind::Sync(_) = &registration.kind {
        // What a run made that died before it was uploaded must not be lost to what is older.
        options = options.with_overwritable(unless_later()).with_deletable(Deletable::known());
    }
    let job = SyncJob::new(remote, local, held.remember_download(options, &registration.memory));
    let report = contention::run(&job.with_cancel(inner.abort.clone())).await;
    if is_empty(&report) && !allow_missing {
        return Err(SessionError::Missing { location: registration.location.to_string() });
    }
    finished(&inner, &registration, held, report).map(|_report| copy.into_path())
}

/// Leaves alone what changed locally since both sides were last known equal: it is newer, or a conflict. What is older than
/// the file that is remembered is a conflict too: then the memory is that of another machine, which shares it and not the
/// disk.
fn unless_later() -> Overwritable {
    Overwritable::unless(|write| {
        let file = write.target?;
        let row = write.row.filter(|row| file.fingerprint.as_ref() != Some(&row.target))?;
        let object_is_known = write.source.fingerprint.as_ref() == Some(&row.source);
        let is_older = match (file.fingerprint.as_ref().and_then(last_change), last_change(&row.target)) {
            (Some(now), Some(then)) => now < then,
            _ => false,
        };
        Some(if object_is_known && !is_older { SkipReason::Newer } else { SkipReason::Conflict })
    })
}

/// Leaves alone what others changed remotely since both sides were last known equal, where nobody changed the local file:
/// it is what was fetched, and the place of what is newer is not for it.
fn unless_theirs() -> Overwritable {
    Overwritable::unless(|write| {
        let object = write.target?;
        let row = write.row.filter(|row| object.fingerprint.as_ref() != Some(&row.target))?;
        (write.source.fingerprint.as_ref() == Some(&row.source)).then_some(SkipReason::Newer)
    })
}

/// Uploads what changed and returns what happened; nothing if there is nothing local yet.
pub(super) async fn upload(inner: &Inner, registration: &Registration) -> Result<Option<Arc<Report>>, SessionError> {
    let mode = registration.kind.upload().map_or(RemoteDelete::Never, |upload| upload.delete);
    upload_watched(inner, registration, mode, None).await
}

/// Uploads what changed, with deletes of this mode. Who watches sees the whole plan before it is performed.
pub(super) async fn upload_watched(
    inner: &Inner,
    registration: &Registration,
    mode: RemoteDelete,
    watch: Option<&Watch>,
) -> Result<Option<Arc<Report>>, SessionError> {
    let _alone = tokio::select! {
        biased;
        () = inner.abort.cancelled() => return Err(stopped(registration, Stop::Cancelled)),
        alone = registration.running.lock() => alone,
    };
    let local = Location::Local(registration.local.clone());
    let held = Held::open(inner, registration, &local, &registration.location).await;
    let opening = place::upload(&inner.registry, registration);
    let Some(ends) = unless_aborted(inner, registration, opening).await? else { return Ok(None) };
    let observer = registration.evidence.watching(match watch {
        Some(watch) => Some(Arc::new(watch.clone())),
        None => inner.observer.clone(),
    });
    let options = observed(upload_options(inner, registration)?, Some(observer)).with_pace(inner.upload_pace.clone());
    let options = held.remember_upload(options, &registration.memory);
    let perform = async |options: SyncOptions| {
        let job = SyncJob::new(ends.local.clone(), ends.remote.clone(), options);
        let job = job.with_cancel(inner.abort.clone()).with_keep(inner.hurry.clone());
        let report = match watch {
            Some(watch) => contention::run_seeing(&job, |plan: &Plan| watch.expect(plan)).await,
            None => contention::run(&job).await,
        };
        let mut history = registration.history();
        history.uploaded += report.copied;
        history.uploaded_bytes += report.copied_bytes;
        report
    };
    let deletes = Deletes::new(mode);
    let mut report = perform(deletes.allow(options.clone(), &registration.evidence)).await;
    if deletes.are_refused_alone(&report) {
        let refused = report.stopped;
        report = perform(options).await;
        report.stopped = report.stopped.or(refused);
    }
    let is_hurried = inner.hurry.is_cancelled() && matches!(report.stopped, Some(Stop::Cancelled));
    if is_hurried && watch.is_some_and(Watch::is_done) {
        // The time was over when all copies had been made: all that is not done are deletes, which are counted.
        report.stopped = None;
    }
    finished(inner, registration, held, deletes.without_refusal(registration, report)).map(Some)
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

/// Takes note of what is there now, where that decides what may be deleted later.
pub(super) async fn take_evidence(inner: &Inner, registration: &Registration) -> Result<(), SessionError> {
    let mode = registration.kind.upload().map_or(RemoteDelete::Never, |upload| upload.delete);
    // Of one object there is nothing beside it that could be deleted.
    if mode == RemoteDelete::Never || !registration.local.is_dir() {
        return Ok(());
    }
    let Some(Ends { remote, local, .. }) = place::upload(&inner.registry, registration).await? else { return Ok(()) };
    let taken = match mode {
        RemoteDelete::Never => Ok(()),
        RemoteDelete::Seen => registration.evidence.take_local(&local).await,
        RemoteDelete::Mirror => registration.evidence.take_remote(&remote).await,
    };
    let failed = |source| Error::Store { location: registration.location.to_string(), source };
    Ok(taken.map_err(failed)?)
}

/// Plans a download or an upload, and touches nothing.
pub(super) async fn plan(inner: &Inner, registration: &Registration) -> Result<TransferPlan, SessionError> {
    let local = Location::Local(registration.local.clone());
    let (source, target, options) = match &registration.kind {
        Kind::Upload(upload) | Kind::Sync(SyncBothOptions { upload, .. }) => {
            let held = Held::peek(inner, &local, &registration.location).await;
            let ends = place::upload(&inner.registry, registration).await?;
            let Some(Ends { remote, local, .. }) = ends else {
                return Err(SessionError::NoLocalPath(registration.local.clone()));
            };
            let options = observed(upload_options(inner, registration)?, inner.observer.clone());
            let options = Deletes::new(upload.delete).allow(options, &registration.evidence);
            (local, remote, held.remember_upload(options, &registration.memory))
        }
        Kind::Download(download) => {
            let held = Held::peek(inner, &registration.location, &local).await;
            let Ends { remote, local, .. } = place::download(&inner.registry, registration).await?;
            let options = download_options(inner, registration, download.delete)?;
            let options = observed(options, inner.observer.clone());
            (remote, local, held.remember_download(options, &registration.memory))
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

fn upload_options(inner: &Inner, registration: &Registration) -> Result<SyncOptions, SessionError> {
    let options = options(inner, registration)?;
    Ok(match &registration.kind {
        Kind::Sync(_) => options.with_overwritable(unless_theirs()),
        Kind::Upload(_) | Kind::Download(_) => options,
    })
}

fn options(inner: &Inner, registration: &Registration) -> Result<SyncOptions, SessionError> {
    let filter = excluding(registration.kind.exclude())?;
    let guards = registration.kind.guards();
    Ok(SyncOptions::default().with_filter(filter).with_guards(guards).with_budget(inner.budget.clone()))
}

fn observed(options: SyncOptions, observer: Option<Arc<dyn Observer>>) -> SyncOptions {
    match observer {
        Some(observer) => options.with_observer(observer),
        None => options,
    }
}

/// True if the source had nothing, also where that is why nothing was done.
fn is_empty(report: &Report) -> bool {
    match &report.stopped {
        Some(stop) => matches!(stop, Stop::Refused(Refusal::SourceEmpty { .. })),
        None => report.tally.source == 0,
    }
}

/// Keeps what was done; what was not is an error.
fn finished(
    inner: &Inner,
    registration: &Registration,
    held: Held,
    mut report: Report,
) -> Result<Arc<Report>, SessionError> {
    let location = registration.location.to_string();
    report.warnings.extend(left_out::warning(registration, &report));
    for warning in &report.warnings {
        if inner.is_news(&format!("{location} {warning}")) {
            tracing::warn!(location, "{warning}");
            inner.tell(&Event::Warning(&format!("'{location}': {warning}")));
        }
    }
    if let Some(warning) = held.warning.filter(|warning| inner.is_news(&warning.about)) {
        tracing::warn!("{}", warning.text);
        inner.tell(&Event::Warning(&warning.text));
        report.warnings.push(warning.text);
    }
    let failed = |incomplete| SessionError::Transfer { location, report: Arc::new(incomplete) };
    let report = Arc::new(report.into_result().map_err(failed)?);
    registration.history().last_report = Some(report.clone());
    Ok(report)
}

/// Returns the error of a transfer that was not begun.
pub(super) fn stopped(registration: &Registration, stop: Stop) -> SessionError {
    let mut report = Report::default();
    report.stopped = Some(stop);
    let location = registration.location.to_string();
    SessionError::Transfer { location, report: Arc::new(Incomplete(Box::new(report))) }
}
