//! The deletes of a plan, in batches, after everything else went well.

use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{Run, backup, failure, precondition};
use crate::entry::Entry;
use crate::error::{ErrorKind, StoreError};
use crate::event::Event;
use crate::key::Key;
use crate::manifest::RowChange;
use crate::options::Preconditions;
use crate::plan::{Action, Plan};
use crate::report::{FailedAction, FailureKind, Report, Stop};
use crate::store;

/// Entries looked at and backed up at once.
const LOOKING: usize = 16;

/// Deletes from last to first, so that a directory comes after what is in it. A cancellation, and the wish to keep the
/// rest, withhold the batches that were not yet sent; so does a plan that cannot be read any more.
pub(super) async fn run(
    run: &Run,
    (cancel, keep): (&CancellationToken, &CancellationToken),
    plan: &Plan,
    report: &mut Report,
) {
    let size = run.target.store().capabilities().delete_batch.max(1);
    let mut left = plan.counts().deletes;
    let mut entries = plan.deletes().iter().rev();
    loop {
        let batch: Vec<Entry> = match entries.by_ref().take(size).collect::<Result<Vec<_>, _>>() {
            Ok(batch) if batch.is_empty() => return,
            _ if cancel.is_cancelled() => return withhold(left, Some(Stop::Cancelled), report),
            _ if keep.is_cancelled() => return withhold(left, None, report),
            Err(error) => return withhold(left, Some(Stop::Spill(error)), report),
            Ok(batch) => batch,
        };
        left -= batch.iter().filter(|entry| entry.has_content()).count() as u64;
        let ready = prepare(run, &batch, report).await;
        let keys: Vec<Key> = ready.iter().map(|entry| run.target.key(&entry.key)).collect();
        let answers = run.target.store().delete(&keys).await;
        for (entry, answer) in ready.into_iter().zip(answers) {
            note(run, entry, answer, report).await;
        }
    }
}

fn withhold(left: u64, stop: Option<Stop>, report: &mut Report) {
    report.withheld += left;
    if stop.is_some() {
        report.stopped = stop;
    }
}

/// Returns the entries that may be deleted: still as they were seen, where looking is asked for or costs no request, and
/// backed up, if that is asked for.
async fn prepare<'a>(run: &Run, batch: &'a [Entry], report: &mut Report) -> Vec<&'a Entry> {
    let looks = run.options.preconditions == Preconditions::Strict || run.target.store().capabilities().local_reads;
    if !looks && run.options.backup.is_none() {
        return batch.iter().collect();
    }
    let preparing: Vec<_> = batch.iter().map(|entry| prepare_one(run, entry, looks)).collect();
    let prepared: Vec<store::Result<()>> = stream::iter(preparing).buffered(LOOKING).collect().await;
    let mut ready = Vec::with_capacity(batch.len());
    for (entry, prepared) in batch.iter().zip(prepared) {
        match prepared {
            Ok(()) => ready.push(entry),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => fail(run, entry, error, report),
        }
    }
    ready
}

async fn prepare_one(run: &Run, entry: &Entry, looks: bool) -> store::Result<()> {
    if looks && entry.has_content() {
        precondition::hold(&run.target, entry, "delete").await?;
    }
    backup::keep(run, entry).await
}

async fn note(run: &Run, entry: &Entry, answer: store::Result<()>, report: &mut Report) {
    match answer {
        Ok(()) => {
            report.deleted += u64::from(entry.has_content());
            if let Some(recorder) = &run.recorder {
                recorder.note(RowChange::Forget(entry.key.clone())).await;
            }
            run.options.observer.event(&Event::Done(&Action::Delete { target: entry.clone() }));
        }
        Err(error) => fail(run, entry, error, report),
    }
}

fn fail(run: &Run, entry: &Entry, error: StoreError, report: &mut Report) {
    let kind = if error.kind() == ErrorKind::Precondition { FailureKind::Stale } else { FailureKind::Error };
    let failure = failure(&entry.key, FailedAction::Delete, kind, error);
    run.options.observer.event(&Event::Failed(&Action::Delete { target: entry.clone() }, &failure));
    report.failed.push(failure);
}
