//! Executes the deletes of a plan, in batches, after everything else has succeeded.

use std::pin::pin;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use super::{Run, Signals, backup, failure, precondition};
use crate::action::Action;
use crate::entry::Entry;
use crate::error::{ErrorKind, Operation, StoreError};
use crate::event::Event;
use crate::manifest::RowChange;
use crate::options::Preconditions;
use crate::plan::{Permit, Plan};
use crate::report::{FailedAction, FailureKind, Stop};
use crate::side::Side;
use crate::spill::streamed;
use crate::store::{DeleteKey, Namespace, OTHER_DIRECTORY, Result, Slot};

/// Whether everything was done, or something failed or was withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Whole,
    Partly,
}

/// The deletes that were not made although nothing failed.
#[derive(Debug, Default)]
struct Undone {
    /// All of them.
    withheld: u64,
    /// Those that the server may have made, or may still make.
    unanswered: u64,
}

/// The result of one batch: each entry with its own result. Entries without a result were not sent.
type Answers = Vec<(Entry, Option<Result<()>>)>;

/// Deletes from the last key to the first, so that a directory comes after its contents. If keys do not depend on each
/// other, several batches are in flight: one at first, then one more after each response. The remaining deletes are
/// withheld after a cancellation, after a failure that every further delete would meet, and if the plan can no longer be
/// read. Requests in flight are then not repeated, and the run waits for their responses only for the grace period.
pub(super) async fn run(
    run: &Run,
    _permit: Permit,
    signals: Signals<'_>,
    plan: &Plan,
    ledger: &mut Ledger<'_>,
) -> Outcome {
    let size = run.target.store().capabilities().delete_batch.max(1);
    let failed = ledger.report.failed.len();
    let (mut undone, mut in_batches) = (Undone::default(), 0);
    let halt = CancellationToken::new();
    let (mut stop, mut late) = (pin!(signals.stop()), pin!(signals.late()));
    let mut left = plan.counts().deletes;
    let mut deletes = pin!(streamed(plan.deletes().iter().rev()).chunks(size));
    let mut unread = None;
    let mut in_flight = FuturesUnordered::new();
    let (mut width, widest) = (1, widest(run));
    loop {
        while in_flight.len() < width && !signals.say_stop() && ledger.fatal.is_none() && unread.is_none() {
            let Some(batch) = deletes.next().await else { break };
            match batch.into_iter().collect::<std::result::Result<Vec<_>, _>>() {
                Ok(batch) => {
                    let files = batch.iter().filter(|entry| entry.has_content()).count() as u64;
                    left -= files;
                    in_batches += files;
                    in_flight.push(send(run, signals, &halt, batch).map(move |answers| (files, answers)));
                }
                Err(error) => unread = Some(error),
            }
        }
        let answered = tokio::select! {
            biased;
            () = &mut stop, if !halt.is_cancelled() => {
                halt.cancel();
                continue;
            }
            answered = in_flight.next() => answered,
            () = &mut late => {
                // Their requests are dropped.
                undone.withheld += in_batches;
                undone.unanswered += in_batches;
                None
            }
        };
        let Some((files, answers)) = answered else { break };
        in_batches -= files;
        width = widest.min(width + 1);
        for (entry, answer) in answers {
            match answer {
                Some(Err(error)) if halt.is_cancelled() && may_be_repeated(&error) => undone.add(&entry, Some(&error)),
                Some(answer) => note(run, entry, answer, ledger).await,
                None => undone.add(&entry, None),
            }
        }
    }
    undone.withheld += left;
    ledger.report.withheld += undone.withheld;
    ledger.report.warnings.extend(undone.warning());
    let is_withheld = undone.withheld > 0;
    match unread {
        Some(error) => ledger.report.stopped = Some(Stop::Spill(error)),
        None if is_withheld && signals.cancel.is_cancelled() => ledger.report.stopped = Some(Stop::Cancelled),
        None => {}
    }
    if ledger.report.failed.len() > failed || is_withheld { Outcome::Partly } else { Outcome::Whole }
}

/// Returns the number of batches that may be in flight.
fn widest(run: &Run) -> usize {
    let capabilities = run.target.store().capabilities();
    match capabilities.delete_batch {
        _ if capabilities.namespace == Namespace::Hierarchical => 1,
        0 | 1 => run.options.budget.concurrency(),
        _ => run.options.budget.delete_batches(),
    }
}

/// Deletes one batch, unless the run is to stop before its request is sent.
async fn send(run: &Run, signals: Signals<'_>, halt: &CancellationToken, batch: Vec<Entry>) -> Answers {
    let (mut answers, ready) = prepare(run, batch).await;
    let Some(_slot) = slot(run, signals).await else {
        answers.extend(ready.into_iter().map(|entry| (entry, None)));
        return answers;
    };
    // Backups may have taken long.
    let looks_again = run.source.is_local() && run.options.backup.is_some();
    let ready = if looks_again { still_absent(run, ready, &mut answers).await } else { ready };
    let keys: Vec<DeleteKey> = ready.iter().map(|entry| asked(run, entry).until(halt.clone())).collect();
    let deleted = run.target.store().delete(&keys).await;
    answers.extend(ready.into_iter().zip(deleted.into_iter().map(Some)));
    answers
}

/// Returns the delete of an entry, on the condition that it is as it was listed.
fn asked(run: &Run, entry: &Entry) -> DeleteKey {
    let asked = DeleteKey::new(run.target.key(&entry.key));
    if entry.has_content() { asked.unless_changed(entry) } else { asked }
}

/// Waits for a free slot, unless no more deletes may start.
async fn slot(run: &Run, signals: Signals<'_>) -> Option<Slot> {
    tokio::select! {
        biased;
        () = signals.stop() => None,
        slot = run.options.budget.slot() => Some(slot),
    }
}

/// Checks and backs up the entries of a batch. Returns the entries that failed, and those that may be deleted.
///
/// An entry of the target is looked up if the store does not support conditional deletes, or if a lookup takes no request.
/// Every other store checks the condition itself. The source is looked up if that takes no request, too: a listing of a
/// directory that changes can lack a file, and a file can come back.
async fn prepare(run: &Run, batch: Vec<Entry>) -> (Answers, Vec<Entry>) {
    let capabilities = run.target.store().capabilities();
    let looks = Looks {
        at_source: run.source.is_local() || run.options.preconditions == Preconditions::Strict,
        at_target: run.target.is_local() || !capabilities.conditional_delete,
    };
    if !looks.at_source && !looks.at_target && run.options.backup.is_none() {
        return (Vec::new(), batch);
    }
    let preparing: Vec<_> = batch.iter().map(|entry| prepare_one(run, entry, looks)).collect();
    let prepared: Vec<Result<()>> = stream::iter(preparing).buffered(run.options.budget.concurrency()).collect().await;
    let (mut answers, mut ready) = (Vec::new(), Vec::with_capacity(batch.len()));
    for (entry, prepared) in batch.into_iter().zip(prepared) {
        match prepared {
            Ok(()) => ready.push(entry),
            // Another process has deleted it, so this run does not count it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => answers.push((entry, Some(Err(error)))),
        }
    }
    (answers, ready)
}

/// Returns the entries that the source still lacks.
async fn still_absent(run: &Run, batch: Vec<Entry>, answers: &mut Answers) -> Vec<Entry> {
    let mut absent = Vec::with_capacity(batch.len());
    for entry in batch {
        let held = if entry.has_content() { precondition::hold_absent(&run.source, &entry.key).await } else { Ok(()) };
        match held {
            Ok(()) => absent.push(entry),
            Err(error) => answers.push((entry, Some(Err(error)))),
        }
    }
    absent
}

/// The sides on which an entry is looked up right before its delete.
#[derive(Clone, Copy, Debug)]
struct Looks {
    at_source: bool,
    at_target: bool,
}

async fn prepare_one(run: &Run, entry: &Entry, looks: Looks) -> Result<()> {
    let _slot = run.options.budget.slot().await;
    if looks.at_target && entry.has_content() {
        precondition::hold_exactly(&run.target, entry, Operation::Delete).await?;
    }
    if looks.at_source && entry.has_content() {
        precondition::hold_absent(&run.source, &entry.key).await?;
    }
    backup::keep(run, entry).await
}

impl Undone {
    /// Adds a delete that was not made after a stop: it was not sent, or it would have been repeated after this error.
    fn add(&mut self, entry: &Entry, error: Option<&StoreError>) {
        let is_without_effect = |error: &StoreError| matches!(error.kind(), ErrorKind::Stopped | ErrorKind::Throttled);
        let files = u64::from(entry.has_content());
        self.withheld += files;
        self.unanswered += if error.is_some_and(|error| !is_without_effect(error)) { files } else { 0 };
    }

    fn warning(&self) -> Option<String> {
        (self.unanswered > 0).then(|| {
            format!(
                "deletes without a result before the end: {}; they are counted as not deleted, but these objects may be \
                 deleted",
                self.unanswered
            )
        })
    }
}

/// Returns true if the delete would have been sent again after this error.
fn may_be_repeated(error: &StoreError) -> bool {
    error.kind() == ErrorKind::Stopped || error.is_temporary()
}

async fn note(run: &Run, entry: Entry, answer: Result<()>, ledger: &mut Ledger<'_>) {
    let has_content = entry.has_content();
    match answer {
        Ok(()) => {
            ledger.deleted(has_content);
            if let Some(recorder) = &run.recorder {
                recorder.note(RowChange::Forget(entry.key.clone())).await;
            }
            run.options.observer.event(&Event::Done(&Action::Delete { target: entry }));
        }
        Err(error) => fail(run, entry, error, ledger),
    }
}

fn fail(run: &Run, entry: Entry, error: StoreError, ledger: &mut Ledger<'_>) {
    let kind = match (error.kind(), error.operation()) {
        _ if error.code() == Some(OTHER_DIRECTORY) => FailureKind::Displaced,
        (ErrorKind::Precondition, Operation::LookUp) => FailureKind::Stale(Side::Source),
        (ErrorKind::Precondition, _) => FailureKind::Stale(Side::Target),
        _ => FailureKind::Error,
    };
    let failure = failure(&entry.key, FailedAction::Delete, kind, error);
    run.options.observer.event(&Event::Failed(&Action::Delete { target: entry }, &failure));
    ledger.fail(failure);
}
