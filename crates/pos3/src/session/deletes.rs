//! What an upload may delete remotely, and what becomes of deletes that were refused.
//!
//! What is remembered between runs is also remembered of files that an earlier run had here and this one never saw: a
//! fresh directory must not delete them. So a session deletes only what was here while it ran. What others store there
//! while it runs must survive its end, also where the place is to become like the directory. And programs remove a file to
//! write it anew: while they work, one look at the directory is not enough.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pos3_core::{
    Action, Deletable, Deletion, Entries, Entry, Event, ListOptions, Observer, Refusal, Report, Row, Stop, StoreError,
    SyncOptions, Tree,
};

use super::known::{Known, Sides};
use super::noted::Noted;
use super::options::RemoteDelete;
use super::registration::Registration;
use crate::hidden::{self, Hidden, MountPoints, Standing};

/// What decides about the deletes of a registration, kept while the session runs.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// What was in the local directory at any look at it.
    here: Noted,
    /// The files that were in the local directory when the session began to work there, as they were.
    at_begin: Noted,
    /// What was at the remote place when it was registered.
    there: OnceLock<Noted>,
    /// The objects whose local files have become symbolic links.
    pub(super) behind_links: Noted,
    /// What mounts and unmounts hide.
    pub(super) hidden: Hidden,
    /// What the last look in the background would have deleted.
    absent: Mutex<Noted>,
}

/// When an upload happens, which decides what it deletes of what it may delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// In the background: it deletes what was absent at the look before, too.
    Tick,
    /// The program asks for it, between any two steps of its work: it deletes nothing.
    Flush,
    /// The work is done: it deletes everything that it may.
    End,
    /// The work failed: it deletes nothing.
    Failure,
}

impl Occasion {
    /// Returns true for the last upload of a session.
    pub(super) fn is_last(self) -> bool {
        matches!(self, Self::End | Self::Failure)
    }
}

/// The deletes of one upload.
pub(super) struct Deletes {
    mode: RemoteDelete,
    occasion: Occasion,
    /// What was absent at the look before, and what is absent at this one.
    before: Noted,
    now: Noted,
    /// What the plan would delete.
    doomed: Noted,
}

impl Evidence {
    /// Takes note of the local directory as a session finds it.
    pub(super) async fn take_local(&self, local: &Tree) -> Result<(), StoreError> {
        let mut entries = Entries::open(local, ListOptions::default());
        while let Some((relative, entry)) = entries.next().await? {
            self.here.note(relative.as_str());
            self.at_begin.note_file(&Entry { key: relative, ..entry });
        }
        self.hidden.note(local);
        Ok(())
    }

    /// Returns the files that were there when the session began.
    pub(super) fn at_begin(&self) -> Noted {
        self.at_begin.clone()
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

    fn absent(&self) -> MutexGuard<'_, Noted> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an observer that notes what an upload finds here, and tells another.
    pub(super) fn watching(&self, next: Option<Arc<dyn Observer>>) -> Arc<dyn Observer> {
        Arc::new(Watching { here: self.here.clone(), next })
    }
}

/// Says of an object, and of what is known of it, whether it may be deleted.
type Candidate = Box<dyn Fn(&Entry, Option<&Row>) -> bool + Send + Sync>;

impl Deletes {
    /// Returns those of an upload of a registration, by what earlier looks found.
    pub(super) fn new(registration: &Registration, occasion: Occasion) -> Self {
        let mode = match (occasion, registration.kind.upload()) {
            (Occasion::Failure, _) | (_, None) => RemoteDelete::Never,
            (_, Some(upload)) => upload.delete,
        };
        let before = registration.evidence.absent().clone();
        Self { mode, occasion, before, now: Noted::default(), doomed: Noted::default() }
    }

    /// Returns true if a directory that is gone is compared like an empty one, to count what is not deleted because of that.
    pub(super) fn counts_what_is_gone(&self) -> bool {
        self.mode == RemoteDelete::Seen && self.occasion == Occasion::End
    }

    /// Returns options that delete what may be deleted.
    pub(super) fn allow(&self, options: SyncOptions, registration: &Registration, local: &Tree) -> SyncOptions {
        let (evidence, known) = (&registration.evidence, registration.memory.known.clone());
        let candidate: Candidate = match self.mode {
            RemoteDelete::Never => return options,
            RemoteDelete::Seen => {
                let here = evidence.here.clone();
                // What both sides had, that was here while the session ran, and that nobody changed there.
                Box::new(move |target, row| is_ours(target, row, &known) && here.has(&target.key))
            }
            RemoteDelete::Mirror => match evidence.there.get().cloned() {
                // Everything but what appeared after the registration.
                Some(there) => Box::new(move |target, row| is_ours(target, row, &known) || there.has(&target.key)),
                // Nothing was registered yet: this is a plan of what a registration would do now.
                None => Box::new(|_, _| true),
            },
        };
        let confirmed = self.confirmed();
        let doomed = self.doomed.clone();
        let deletable = Deletable::when(move |target, row| {
            let may_go = candidate(target, row) && confirmed(target);
            if may_go && target.has_content() {
                doomed.note(target.key.as_str());
            }
            may_go
        });
        options.with_deletion(Deletion::Mirror).with_deletable(evidence.hidden.guard(deletable, local))
    }

    /// Returns what takes note of something absent, and tells whether that is enough to delete it.
    fn confirmed(&self) -> impl Fn(&Entry) -> bool + Send + Sync + 'static {
        let (occasion, before, now) = (self.occasion, self.before.clone(), self.now.clone());
        move |target| {
            let was_absent = before.has(&target.key);
            if was_absent || occasion == Occasion::Tick {
                now.note(target.key.as_str());
            }
            match occasion {
                Occasion::Tick => was_absent,
                Occasion::Flush | Occasion::Failure => false,
                Occasion::End => true,
            }
        }
    }

    /// Uses what the sync state has of the mount points of earlier runs. Files that the session saw need none of it.
    pub(super) fn remember(&self, evidence: &Evidence, points: Option<MountPoints>) {
        if self.mode == RemoteDelete::Mirror {
            evidence.hidden.remember(points);
        }
    }

    /// Returns the mount points that the sync state should have after the upload.
    pub(super) fn to_remember(&self, local: &Tree, earlier: Option<MountPoints>) -> Option<MountPoints> {
        let standing = if self.mode == RemoteDelete::Mirror { Standing::Known } else { Standing::New };
        hidden::to_remember(local, earlier, standing)
    }

    /// Keeps what this look found for the next one, and adds what was hidden from it to the report.
    pub(super) fn keep(&self, evidence: &Evidence, local: &Tree, report: &mut Report) {
        *evidence.absent() = self.now.clone();
        evidence.hidden.note(local);
        report.warnings.extend(evidence.hidden.warnings(&local.to_string()));
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
        let emptied = |refusal: &Refusal| matches!(refusal, Refusal::SourceEmpty { .. } | Refusal::NoSourceFile { .. });
        let is_emptied = matches!(&report.stopped, Some(Stop::Refused(refusal)) if emptied(refusal));
        if self.mode == RemoteDelete::Seen && is_emptied {
            report.stopped = None;
            report.withheld = self.doomed.count();
            let state = if registration.local.exists() { "empty" } else { "gone" };
            report.warnings.push(format!(
                "'{}' is {state} now, so what is gone from it was not deleted remotely: {}",
                registration.local.display(),
                files(report.withheld),
            ));
        }
        report
    }
}

/// Returns true if an object is as it was when both sides were last known to be equal.
fn is_ours(target: &Entry, row: Option<&Row>, known: &Known) -> bool {
    let now = Sides { local: None, remote: target.fingerprint.as_ref() };
    row.is_some_and(|row| target.fingerprint.as_ref() == Some(&row.target))
        || known.compare(&target.key, now).is_some_and(|then| then.remote)
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
