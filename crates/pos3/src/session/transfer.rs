//! One transfer of one registration: a download, an upload, or the plan of either.
//!
//! A registration has one transfer at a time: a mutex ensures this in this process, the lock of the database on this
//! machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use pos3_core::{
    CancellationToken, Deletable, Deletion, Entry, Event, Incomplete, Key, Observer, OtherShapes, Plan, Report,
    SkipReason, Stop, SyncOptions, Tree, UnmatchedPatterns, run_blocking,
};

use super::claim::claim;
use super::deletes::{Deletes, Occasion};
use super::error::{ConflictingPair, SessionError};
use super::held::{Held, Warning};
use super::hiding::{Hiding, unless_hidden};
use super::inner::Inner;
use super::known::Way;
use super::left_out;
use super::options::{RemoteDelete, Shape, UploadOptions, excluding};
use super::place::{self, Ends, LocalCopy};
use super::plan::TransferPlan;
use super::policy::{Reach, Rules, keeping_output, unless_unsaved};
use super::progress::{Counting, Watch};
use super::registration::{Kind, Registration};
use super::removed::Removed;
use super::surroundings::Ownership;
use super::unsaved;
use crate::error::Error;
use crate::ignore_files::IgnoreFiles;
use crate::location::Location;
use crate::policy::Policy;
use crate::state::Wait;
use crate::transfer::{Transfer, found_nothing, planned_nothing};

/// The largest number of conflicting pairs that an error contains.
const PAIRS: usize = 1000;

/// How long a download waits for the transfer of an output at another location. Two downloads may wait for each other.
const PATIENCE: Duration = Duration::from_secs(10);

/// Downloads a registration and returns its local path.
pub(super) async fn download(inner: Arc<Inner>, registration: Arc<Registration>) -> Result<PathBuf, SessionError> {
    let _alone = registration.running.lock().await;
    let (delete, allow_missing) = match &registration.kind {
        Kind::Download(download) => (download.delete, download.allow_missing),
        Kind::Sync(sync) => (sync.delete_local, true),
        Kind::Upload(_) => (false, true),
    };
    let local = Location::Local(registration.local.clone());
    let cancel = inner.course.downloads();
    if !unless_cancelled(cancel, &registration, claim(&inner, &registration)).await? {
        return Err(missing(&inner, &registration).await);
    }
    let mut held = Held::open(&inner, &registration, &registration.location, &local, cancel).await?;
    let opening = place::download(&inner.registry, &registration);
    let mut ends = unless_cancelled(cancel, &registration, opening).await?;
    let local_path = ends.copy.path().to_owned();
    {
        let copy = ends.copy.clone();
        inner.blocking(&registration, move |inner, of| clear_way(inner, of, &copy)).await?;
    }
    let options = download_options(&inner, &registration, delete)?.with_pace(inner.download_pace.clone());
    let options =
        unless_cancelled(cancel, &registration, ignoring(&registration, Way::Down, &mut ends, options)).await?;
    let mut options = observed(options, counting(&registration, Way::Down, inner.observer_of(&registration)));
    let unsaved = {
        let local_path = local_path.clone();
        inner.blocking(&registration, move |inner, of| unsaved::below(inner, of, &local_path)).await
    };
    let finding = async { Ok(Removed::find(&inner, &registration, &unsaved, Wait::For(PATIENCE)).await) };
    let removed = unless_cancelled(cancel, &registration, finding).await?;
    if let Kind::Sync(_) = &registration.kind {
        // Output of an earlier run that died before its upload must not be overwritten by older objects.
        let rules = Rules::new(&registration);
        options = options
            .with_overwritable(unless_unsaved(rules.download(removed), &unsaved))
            .with_deletable(Deletable::known());
    } else {
        options = keeping_output(options, &registration, &unsaved, removed);
    }
    let options = held.remember_download(options, &registration.memory);
    let transfer = Transfer::new(ends.remote.clone(), ends.local.clone(), options).with_mount_points_in(held.state());
    let transfer = transfer.with_cancel(cancel.clone()).with_grace(inner.share_of_passes());
    let report = transfer.repeated_if_changed().run(None).await;
    if found_nothing(&report) {
        if !allow_missing {
            return Err(missing(&inner, &registration).await);
        }
        let excluded = place::nothing_found(&inner.registry, &registration);
        let is_excluded = match unless_cancelled(cancel, &registration, excluded).await {
            Err(SessionError::AllExcluded { .. }) => true,
            looked_up => looked_up.map(|()| false)?,
        };
        registration.history().is_excluded = is_excluded;
    }
    let has_seen_everything = !registration.kind.may_exclude() && report.skipped.is_empty();
    if has_seen_everything && report.is_clean() && report.tally.extra == 0 {
        let unsaved = unsaved.clone();
        run_blocking(move || unsaved.clear()).await;
    }
    if matches!(registration.kind, Kind::Download(_)) {
        held.warnings.extend(unsaved.warnings().into_iter().map(Warning::from));
    }
    held.warnings.extend(unsaved.warnings_of_what_stays().into_iter().map(Warning::from));
    finished(&inner, &registration, held, &ends, report)?;
    registration.history().last_download = Some(SystemTime::now());
    Ok(ends.copy.into_path())
}

/// Removes an empty directory that has the path of a file, unless another session may have created it.
fn clear_way(inner: &Inner, registration: &Registration, copy: &LocalCopy) -> Result<(), SessionError> {
    if let LocalCopy::File(path) = copy {
        unsaved::unless_in_use(inner, registration, path)?;
    }
    copy.clear_way()
}

/// Uploads changes and returns the report, or `None` if the local path does not exist yet. `watch` receives the whole
/// plan before it is executed.
pub(super) async fn upload_watched(
    inner: &Inner,
    registration: &Registration,
    occasion: Occasion,
    watch: Option<&Watch>,
) -> Result<Option<Arc<Report>>, SessionError> {
    let cancel = inner.cancel_of(occasion);
    let has_begun = registration.begun.load(Ordering::Acquire);
    if !has_begun {
        // The program did not get the local path, so it made none of the files there and removed none that are missing.
        let preparing = async {
            claim(inner, registration).await?;
            take_evidence(inner, registration).await
        };
        unless_cancelled(cancel, registration, preparing).await?;
    }
    let _alone = unless_cancelled(cancel, registration, registration.running.lock().map(Ok)).await?;
    let local = Location::Local(registration.local.clone());
    let mut held = Held::open(inner, registration, &local, &registration.location, cancel).await?;
    held.warnings.extend(unsaved::warnings_of_earlier_marks(registration).into_iter().map(Warning::from));
    let of = if has_begun { Deletes::new } else { Deletes::none };
    let deletes = of(registration, occasion).unless(inner.course.deletes(), occasion);
    let hiding = Hiding::default();
    let ownership = registration.ownership().await?;
    let opening = place::upload(&inner.registry, registration);
    let (mut ends, is_gone) = match unless_cancelled(cancel, registration, opening).await? {
        Some(ends) => (ends, false),
        None if deletes.counts_what_is_gone() && registration.kind.shape() != Shape::File => {
            let opening = place::gone(&inner.registry, registration);
            (unless_cancelled(cancel, registration, opening).await?, true)
        }
        None => return Ok(None),
    };
    let next = registration.evidence.watching(match watch {
        Some(watch) => Some(Arc::new(watch.clone())),
        None => inner.observer_of(registration),
    });
    let observer = counting(registration, Way::Up, Some(next));
    let options = upload_options(inner, registration, ownership)?;
    let options = unless_cancelled(cancel, registration, ignoring(registration, Way::Up, &mut ends, options)).await?;
    let other_shapes = match occasion {
        // The program may still remove the object, or the end may delete it.
        Occasion::Work => OtherShapes::Ignored,
        Occasion::EndCopies | Occasion::End | Occasion::Failure => OtherShapes::Reported,
    };
    let unmatched_patterns = if occasion.is_last() { UnmatchedPatterns::Reported } else { UnmatchedPatterns::Ignored };
    let options = options.with_other_shapes(other_shapes).with_unmatched_patterns(unmatched_patterns);
    let options = observed(options, observer).with_pace(inner.upload_pace.clone());
    let mut options = held.remember_upload(options, &registration.memory);
    if is_gone {
        // Only an existing directory may delete everything.
        options = options.with_guards(registration.kind.guards().with_allow_empty(false));
    }
    let perform = async |options: SyncOptions| {
        let transfer = Transfer::new(ends.local.clone(), ends.remote.clone(), options);
        let transfer = deletes.guard(transfer, &registration.evidence).with_mount_points_in(held.state());
        let transfer = transfer
            .repeated_if_changed_while(registration.stays())
            .with_cancel(cancel.clone())
            .with_keep(deletes.keep().clone())
            .with_last_look(hiding.look(inner, registration, deletes.keep()));
        let transfer =
            if occasion.is_last() { transfer.small_first() } else { transfer.with_grace(inner.share_of_passes()) };
        match watch {
            Some(watch) => {
                let see = |plan: &Plan| {
                    deletes.check(plan, || unsaved::others(inner, registration));
                    watch.expect(plan);
                };
                transfer.run(Some(&see)).await
            }
            None => transfer.run(None).await,
        }
    };
    let mut report = perform(deletes.allow(options.clone(), registration)).await;
    if let Some(refusal) = deletes.refused_alone(&mut report) {
        report = perform(options).await;
        deletes.add_refusal(registration, refusal, &mut report);
    }
    deletes.add_others(registration, &mut report);
    registration.history().hidden = hiding.found();
    let is_hurried = inner.course.has_deadline() && matches!(report.stopped, Some(Stop::Cancelled));
    if is_hurried && watch.is_some_and(Watch::is_done) {
        // The time was over after all copies had been made. Only deletes remain, which are counted.
        report.stopped = None;
    }
    finished(inner, registration, held, &ends, report).map(Some)
}

/// Waits for a step before a transfer until the transfer is cancelled.
pub(super) async fn unless_cancelled<T>(
    cancel: &CancellationToken,
    registration: &Registration,
    opening: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(stopped(registration, Stop::Cancelled)),
        opened = opening => opened,
    }
}

/// Records the current files and objects if they decide later which objects may be deleted or overwritten.
pub(super) async fn take_evidence(inner: &Inner, registration: &Registration) -> Result<(), SessionError> {
    let Some(UploadOptions { delete, policy, .. }) = registration.kind.upload() else { return Ok(()) };
    let is_directory = registration.local.is_dir();
    // For a single object, there is nothing else to delete.
    let delete = if is_directory { *delete } else { RemoteDelete::Never };
    let looks_at_files = looks_at_files(registration, policy);
    if !looks_at_files && delete == RemoteDelete::Never {
        return Ok(());
    }
    let Some(Ends { remote, local, .. }) = place::upload(&inner.registry, registration).await? else { return Ok(()) };
    if looks_at_files {
        learn_rows(inner, registration).await?;
    }
    let is_stored = |file: &Entry| !looks_at_files || registration.memory.known.has_local(file);
    let taken = async {
        registration.evidence.take_local(&local, is_stored).await?;
        if delete == RemoteDelete::Extra {
            registration.evidence.take_remote(&remote).await?;
        }
        Ok(())
    };
    let failed = |source| Error::Store { location: registration.location.to_string(), source };
    Ok(taken.await.map_err(failed)?)
}

/// Records the files for a plan of an upload that has not begun, which would record them, too.
async fn take_files(registration: &Registration, held: &Held, local: &Tree) -> Result<(), SessionError> {
    let policy = registration.kind.upload().map(|upload| &upload.policy);
    if !policy.is_some_and(|policy| looks_at_files(registration, policy)) {
        return Ok(());
    }
    held.learn(&registration.memory).await;
    let is_stored = |file: &Entry| registration.memory.known.has_local(file);
    let failed = |source| Error::Store { location: registration.local.display().to_string(), source };
    Ok(registration.evidence.take_files(local, is_stored).await.map_err(failed)?)
}

/// Returns true if the files that exist now decide which objects may be overwritten. If the work has already begun, they
/// may be output of the program.
fn looks_at_files(registration: &Registration, policy: &Policy) -> bool {
    let looks_for_theirs = *policy != Policy::SourceWins;
    looks_for_theirs && !registration.begun.load(Ordering::Acquire) && has_files(&registration.local)
}

/// Reads the rows of earlier sessions.
async fn learn_rows(inner: &Inner, registration: &Registration) -> Result<(), SessionError> {
    let local = Location::Local(registration.local.clone());
    let _alone = registration.running.lock().await;
    let held = Held::open(inner, registration, &local, &registration.location, inner.course.last_uploads()).await?;
    held.learn(&registration.memory).await;
    Ok(())
}

/// Returns true if the path is a file or a directory with entries.
fn has_files(path: &Path) -> bool {
    path.is_file() || fs::read_dir(path).is_ok_and(|mut names| names.next().is_some())
}

/// Plans a download or an upload without executing it.
pub(super) async fn plan(inner: &Inner, registration: &Registration) -> Result<TransferPlan, SessionError> {
    let local = Location::Local(registration.local.clone());
    let mut unsaved = None;
    let transfer = match &registration.kind {
        Kind::Upload(_) | Kind::Sync(_) => {
            let held = Held::peek(inner, &local, &registration.location).await;
            let ends = place::upload(&inner.registry, registration).await?;
            let Some(mut ends) = ends else {
                return Err(SessionError::NoLocalPath(registration.local.clone()));
            };
            if let LocalCopy::Directory(path) = &ends.copy {
                unless_hidden(&inner.registry, &registration.location, path).await?;
            }
            take_files(registration, &held, &ends.local).await?;
            let options = upload_options(inner, registration, Ownership::Program)?;
            let options = ignoring(registration, Way::Up, &mut ends, options).await?;
            let options = observed(options, inner.observer_of(registration));
            let deletes = Deletes::new(registration, Occasion::End);
            let options = held.remember_upload(deletes.allow(options, registration), &registration.memory);
            let transfer = Transfer::new(ends.local.clone(), ends.remote.clone(), options);
            deletes.guard(transfer, &registration.evidence).with_mount_points_in(held.state())
        }
        Kind::Download(download) => {
            let held = Held::peek(inner, &registration.location, &local).await;
            let mut ends = place::download(&inner.registry, registration).await?;
            let options = download_options(inner, registration, download.delete)?;
            let options = ignoring(registration, Way::Down, &mut ends, options).await?;
            let Ends { remote, local, copy } = ends;
            let options = observed(options, inner.observer_of(registration));
            let found = unsaved::below(inner, registration, copy.path());
            let removed = Removed::find(inner, registration, &found, Wait::Fail).await;
            let options = keeping_output(options, registration, &found, removed);
            unsaved = Some(found);
            let options = held.remember_download(options, &registration.memory);
            Transfer::new(remote, local, options).with_mount_points_in(held.state())
        }
    };
    let transfer = transfer.with_cancel(inner.course.last_uploads().clone());
    let mut plan = transfer.plan().await;
    if let (Ok(plan), Some(unsaved)) = (&mut plan, &unsaved) {
        plan.warnings.extend(unsaved.warnings());
    }
    let is_missing = planned_nothing(&plan);
    match &registration.kind {
        Kind::Download(download) if is_missing && !download.allow_missing => Err(missing(inner, registration).await),
        _ => {
            let (source, target) = transfer.into_trees();
            plan.map(|plan| TransferPlan::new(plan, source, target)).map_err(|stop| stopped(registration, stop))
        }
    }
}

/// Returns the error of a download that found no key. If the location would be an object without its trailing slash,
/// the error says so.
async fn missing(inner: &Inner, registration: &Registration) -> SessionError {
    if let Err(excluded) = place::nothing_found(&inner.registry, registration).await {
        return excluded;
    }
    let location = registration.location.to_string();
    match place::is_object_with_slash(&inner.registry, &registration.location).await {
        true => Error::SourceIsFile { location }.into(),
        false => SessionError::Missing { location },
    }
}

fn download_options(inner: &Inner, registration: &Registration, delete: bool) -> Result<SyncOptions, SessionError> {
    let deletion = if delete { Deletion::Extra } else { Deletion::Keep };
    Ok(options(inner, registration)?.with_deletion(deletion))
}

fn upload_options(
    inner: &Inner,
    registration: &Registration,
    ownership: Ownership,
) -> Result<SyncOptions, SessionError> {
    let options = options(inner, registration)?;
    let rules = Rules::of(registration, ownership);
    let rule = match &registration.kind {
        Kind::Download(_) => return Ok(options),
        Kind::Upload(upload) => rules.clone().upload(Reach::OneWay, upload.policy),
        Kind::Sync(sync) => rules.clone().upload(Reach::TwoWay, sync.upload.policy),
    };
    let may_have_earlier_output = unsaved::may_have_earlier_output(inner, registration);
    Ok(options.with_overwritable(rules.trusting_times(rule, may_have_earlier_output)))
}

fn options(inner: &Inner, registration: &Registration) -> Result<SyncOptions, SessionError> {
    let filter = excluding(registration.kind.exclude())?;
    let guards = registration.kind.guards();
    Ok(SyncOptions::default().with_filter(filter).with_guards(guards).with_budget(inner.budget.clone()))
}

/// Adds the rules of the ignore files of both sides to the options. The remote listing is read here, and not again.
async fn ignoring(
    registration: &Registration,
    way: Way,
    ends: &mut Ends,
    options: SyncOptions,
) -> Result<SyncOptions, SessionError> {
    let names = registration.kind.ignore_files();
    if names.is_empty() {
        return Ok(options);
    }
    let files = IgnoreFiles::new(names);
    let (remote, local, filter) = (&ends.remote, &ends.local, &options.filter);
    let ruled = match way {
        Way::Down => files.rule(remote, local, filter).await?,
        Way::Up => files.rule(local, remote, filter).await?,
    };
    ends.remote = if way == Way::Down { ruled.source } else { ruled.target };
    Ok(options.with_filter(ruled.filter))
}

/// Returns an observer that adds the effect of a transfer to the totals of its registration, and passes events on.
fn counting(registration: &Registration, way: Way, next: Option<Arc<dyn Observer>>) -> Option<Arc<dyn Observer>> {
    Some(Arc::new(Counting { history: registration.history.clone(), way, next }))
}

fn observed(options: SyncOptions, observer: Option<Arc<dyn Observer>>) -> SyncOptions {
    match observer {
        Some(observer) => options.with_observer(observer),
        None => options,
    }
}

/// Records the report of a transfer. An incomplete transfer is an error.
fn finished(
    inner: &Inner,
    registration: &Registration,
    held: Held,
    ends: &Ends,
    mut report: Report,
) -> Result<Arc<Report>, SessionError> {
    let location = registration.location.to_string();
    report.warnings.extend(left_out::warnings(registration, &report));
    report.warnings.extend(registration.evidence.replaced.warning());
    for warning in &report.warnings {
        if inner.is_news(&format!("{location} {warning}")) {
            tracing::warn!(location, "{warning}");
            inner.tell(Some(registration), &Event::Warning(&format!("'{location}': {warning}")));
        }
    }
    for warning in held.warnings.into_iter().filter(|warning| inner.is_news(&warning.about)) {
        tracing::warn!("{}", warning.text);
        inner.tell(Some(registration), &Event::Warning(&warning.text));
        report.warnings.push(warning.text);
    }
    let conflicts = conflicts(ends, &report);
    let failed = |incomplete| SessionError::Transfer { location, report: Arc::new(incomplete), conflicts };
    let report = Arc::new(report.into_result().map_err(failed)?);
    registration.history().last_report = Some(report.clone());
    Ok(report)
}

/// Returns the first pairs in which neither side may replace the other.
fn conflicts(ends: &Ends, report: &Report) -> Vec<ConflictingPair> {
    if !report.skipped.any(SkipReason::is_conflict) {
        return Vec::new();
    }
    let conflicts = report.skipped.iter().flatten().filter(|(_, why)| why.is_conflict());
    let pair = |(key, why): (Key, SkipReason)| ConflictingPair {
        local: ends.local.locate(&key),
        remote: ends.remote.locate(&key),
        why,
    };
    conflicts.take(PAIRS).map(pair).collect()
}

/// Returns the error of a transfer that was not started.
pub(super) fn stopped(registration: &Registration, stop: Stop) -> SessionError {
    let mut report = Report::default();
    report.stopped = Some(stop);
    let location = registration.location.to_string();
    SessionError::Transfer { location, report: Arc::new(Incomplete(Box::new(report))), conflicts: Vec::new() }
}
