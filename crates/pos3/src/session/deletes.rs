//! What an upload may delete remotely, and what becomes of deletes that were refused.
//!
//! What is remembered between runs is also remembered of files that an earlier run had here and this one never saw: a
//! fresh directory must not delete them. So a session deletes only what was here while it ran. What others store there
//! while it runs must survive its end, also where the place is to become like the directory.

use std::sync::{Arc, OnceLock};

use pos3_core::{
    Action, Deletable, Deletion, Entry, Event, Observer, Refusal, Report, Row, Stop, StoreError, SyncOptions, Tree,
};

use super::noted::Noted;
use super::options::RemoteDelete;
use super::registration::Registration;

/// What decides about the deletes of a registration, kept while the session runs.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// What was in the local directory at any look at it.
    here: Noted,
    /// What was at the remote place when it was registered.
    there: OnceLock<Noted>,
}

/// The deletes of one upload.
pub(super) struct Deletes {
    mode: RemoteDelete,
    /// What the plan would delete.
    doomed: Noted,
}

impl Evidence {
    /// Takes note of the local directory.
    pub(super) async fn take_local(&self, local: &Tree) -> Result<(), StoreError> {
        self.here.note_tree(local).await
    }

    /// Takes note of the remote place as it is now, unless that was done before.
    pub(super) async fn take_remote(&self, remote: &Tree) -> Result<(), StoreError> {
        if self.there.get().is_none() {
            let there = Noted::default();
            there.note_tree(remote).await?;
            let _taken_before = self.there.set(there);
        }
        Ok(())
    }

    /// Returns an observer that notes what an upload finds here, and tells another.
    pub(super) fn watching(&self, next: Option<Arc<dyn Observer>>) -> Arc<dyn Observer> {
        Arc::new(Watching { here: self.here.clone(), next })
    }
}

impl Deletes {
    pub(super) fn new(mode: RemoteDelete) -> Self {
        Self { mode, doomed: Noted::default() }
    }

    /// Returns options that delete what may be deleted.
    pub(super) fn allow(&self, options: SyncOptions, evidence: &Evidence) -> SyncOptions {
        match self.mode {
            RemoteDelete::Never => options,
            RemoteDelete::Seen => options.with_deletion(Deletion::Mirror).with_deletable(self.seen(evidence)),
            RemoteDelete::Mirror => options.with_deletion(Deletion::Mirror).with_deletable(mirrored(evidence)),
        }
    }

    /// What both sides were known to have, that was here while the session ran, and that nobody changed there.
    fn seen(&self, evidence: &Evidence) -> Deletable {
        let (here, doomed) = (evidence.here.clone(), self.doomed.clone());
        Deletable::when(move |target, row| {
            let may_go = is_ours(target, row) && here.has(&target.key);
            if may_go && target.has_content() {
                doomed.note(target.key.as_str());
            }
            may_go
        })
    }

    /// Returns true if a guard refused the deletes, too many or by a listing that cannot be trusted, where copies should
    /// not wait for a person's decision: what a program made could be lost with its machine.
    pub(super) fn are_refused_alone(&self, report: &Report) -> bool {
        let Some(Stop::Refused(refusal)) = &report.stopped else { return false };
        let is_about_deletes = matches!(refusal, Refusal::TooManyDeletes { .. } | Refusal::Unreliable { .. });
        self.mode == RemoteDelete::Seen && is_about_deletes
    }

    /// Returns the report of an upload whose directory was emptied, without the refusal: nothing was to be copied, and what
    /// is not deleted is not lost.
    pub(super) fn without_refusal(&self, registration: &Registration, mut report: Report) -> Report {
        let is_emptied = matches!(report.stopped, Some(Stop::Refused(Refusal::SourceEmpty { .. })));
        if self.mode == RemoteDelete::Seen && is_emptied {
            report.stopped = None;
            report.withheld = self.doomed.count();
            report.warnings.push(format!(
                "'{}' is empty now, so what is gone from it was not deleted remotely: {}",
                registration.local.display(),
                files(report.withheld),
            ));
        }
        report
    }
}

/// Everything but what appeared after the registration. Without a note nothing was registered yet: everything may go.
fn mirrored(evidence: &Evidence) -> Deletable {
    let Some(there) = evidence.there.get().cloned() else { return Deletable::default() };
    Deletable::when(move |target, row| is_ours(target, row) || there.has(&target.key))
}

/// Returns true if an object is as it was when both sides were last known equal.
fn is_ours(target: &Entry, row: Option<&Row>) -> bool {
    row.is_some_and(|row| target.fingerprint.as_ref() == Some(&row.target))
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

struct Watching {
    here: Noted,
    next: Option<Arc<dyn Observer>>,
}

impl Observer for Watching {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Decided(action @ (Action::Copy { .. } | Action::Replace { .. })) => {
                self.here.note(action.key().as_str());
            }
            Event::Unchanged(key, _) => self.here.note(key.as_str()),
            _ => {}
        }
        if let Some(next) = &self.next {
            next.event(event);
        }
    }
}
