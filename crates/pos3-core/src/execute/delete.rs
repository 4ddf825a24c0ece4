//! The deletes of a plan, in batches, after everything else went well.

use tokio_util::sync::CancellationToken;

use crate::entry::Entry;
use crate::event::{Event, Observe};
use crate::key::Key;
use crate::plan::Action;
use crate::report::{FailedAction, Report, Stop};
use crate::store::Result;
use crate::tree::Tree;

use super::failure;

/// Deletes from last to first, so that a directory comes after what is in it. A cancellation withholds the batches that
/// were not yet sent.
pub(super) async fn run(
    target: &Tree,
    observer: &Observe,
    cancel: &CancellationToken,
    mut deletes: Vec<Entry>,
    report: &mut Report,
) {
    deletes.reverse();
    for batch in deletes.chunks(target.store().capabilities().delete_batch.max(1)) {
        if cancel.is_cancelled() {
            report.stopped = Some(Stop::Cancelled);
            report.withheld += batch.iter().filter(|entry| entry.has_content()).count() as u64;
            continue;
        }
        let keys: Vec<Key> = batch.iter().map(|entry| target.key(&entry.key)).collect();
        let answers = target.store().delete(&keys).await;
        for (entry, answer) in batch.iter().zip(answers) {
            note(entry, answer, observer, report);
        }
    }
}

fn note(entry: &Entry, answer: Result<()>, observer: &Observe, report: &mut Report) {
    let action = Action::Delete { target: entry.clone() };
    match answer {
        Ok(()) => {
            report.deleted += u64::from(entry.has_content());
            observer.event(&Event::Done(&action));
        }
        Err(error) => {
            let failure = failure(&entry.key, FailedAction::Delete, error);
            observer.event(&Event::Failed(&action, &failure));
            report.failed.push(failure);
        }
    }
}
