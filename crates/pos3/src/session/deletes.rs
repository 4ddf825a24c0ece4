//! Decides what an upload may delete remotely, and reports the deletes that were refused.
//!
//! The sync state also contains files of earlier runs that this session never saw, and a new directory must not delete
//! them. So a session deletes only files that it saw. Objects that other writers store meanwhile must survive, even
//! with [`RemoteDelete::Extra`]. Programs also remove files to write them again, so only a clean end deletes: before it,
//! an absent file is not evidence.

use std::sync::OnceLock;

use pos3_core::{
    CancellationToken, Deletable, Deletion, Entry, Plan, Refusal, Report, Row, SkipReason, Stop, SyncOptions, counted,
};

use super::evidence::Evidence;
use super::known::{Known, Sides};
use super::options::RemoteDelete;
use super::other_pairs::OtherPairs;
use super::registration::Registration;
use super::seen::Noted;
use crate::transfer::Transfer;

/// When an upload runs. This decides whether it deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// While the program works, in the background or on its request: deletes nothing.
    Work,
    /// After the work has succeeded, if other registrations may lack copies: counts the permitted deletes and executes
    /// none.
    EndCopies,
    /// After the work has succeeded: executes all permitted deletes.
    End,
    /// After the work has failed: deletes nothing.
    Failure,
}

impl Occasion {
    /// Returns true for the last upload of a session.
    pub(super) fn is_last(self) -> bool {
        matches!(self, Self::EndCopies | Self::End | Self::Failure)
    }
}

/// The deletes of one upload.
pub(super) struct Deletes {
    mode: RemoteDelete,
    /// The keys that the plan would delete.
    doomed: Noted,
    keep: CancellationToken,
    /// Which other session may still write to the output.
    others: OnceLock<String>,
}

/// Returns true if an object with this manifest row may be deleted.
type Candidate = Box<dyn Fn(&Entry, Option<&Row>) -> bool + Send + Sync>;

impl Deletes {
    /// Returns the deletes of an upload.
    pub(super) fn new(registration: &Registration, occasion: Occasion) -> Self {
        let mode = match (occasion, registration.kind.upload()) {
            (Occasion::EndCopies | Occasion::End, Some(upload)) => upload.delete,
            (Occasion::Work | Occasion::Failure, _) | (_, None) => RemoteDelete::Never,
        };
        Self { mode, doomed: Noted::default(), keep: CancellationToken::new(), others: OnceLock::new() }
    }

    /// Returns none at all, for a registration whose local path may lack what was not downloaded.
    pub(super) fn none(registration: &Registration, occasion: Occasion) -> Self {
        Self { mode: RemoteDelete::Never, ..Self::new(registration, occasion) }
    }

    /// Makes a token withhold them, and the occasion.
    pub(super) fn unless(self, keep: &CancellationToken, occasion: Occasion) -> Self {
        let keep = keep.child_token();
        if occasion == Occasion::EndCopies {
            keep.cancel();
        }
        Self { keep, ..self }
    }

    /// Returns the token that withholds them.
    pub(super) fn keep(&self) -> &CancellationToken {
        &self.keep
    }

    /// Withholds the deletes of a plan, if there are any, if other sessions may still write to the output.
    pub(super) fn check(&self, plan: &Plan, others: impl FnOnce() -> Option<String>) {
        if plan.counts().deletes > 0
            && !self.keep.is_cancelled()
            && let Some(why) = others()
        {
            let _first = self.others.set(why);
            self.keep.cancel();
        }
    }

    /// Records the session because of which deletes were withheld, and adds a warning to the report of the upload.
    pub(super) fn add_others(&self, registration: &Registration, report: &mut Report) {
        let why = self.others.get().filter(|_| report.withheld > 0);
        report.warnings.extend(why.map(|why| format!("nothing was deleted remotely, because {why}")));
        registration.history().withheld_by_others = why.cloned();
    }

    /// Returns true if a missing directory is compared like an empty one, to count the deletes that are withheld
    /// because of that.
    pub(super) fn counts_what_is_gone(&self) -> bool {
        self.mode == RemoteDelete::Seen
    }

    /// Adds the permitted deletes to the options.
    pub(super) fn allow(&self, options: SyncOptions, registration: &Registration) -> SyncOptions {
        let (evidence, known) = (&registration.evidence, registration.memory.known.clone());
        let theirs = changed_by_others(evidence.here.clone(), known.clone());
        let candidate: Candidate = match self.mode {
            RemoteDelete::Never => return options,
            RemoteDelete::Seen => {
                let here = evidence.here.clone();
                let removed = Removal { known: known.clone(), others: registration.others.clone() };
                // Both sides had the key, its file existed while the session ran, no other writer changed the object,
                // and the program removed the file.
                Box::new(move |target, row| {
                    is_ours(target, row, &known) && here.has(&target.key) && !removed.by_others(target, row)
                })
            }
            RemoteDelete::Extra => match evidence.there.get().cloned() {
                // Everything except objects that appeared after the registration.
                Some(there) => Box::new(move |target, row| is_ours(target, row, &known) || there.has(&target.key)),
                // There is no registration: this is only a plan of what a new registration would do.
                None => Box::new(|_, _| true),
            },
        };
        let doomed = self.doomed.clone();
        let deletable = Deletable::when(move |target, row| {
            let may_go = candidate(target, row);
            if may_go && target.has_content() {
                doomed.note(target.key.as_str());
            }
            may_go
        });
        options.with_deletion(Deletion::Extra).with_deletable(deletable.otherwise_if(theirs))
    }

    /// Adds the evidence about hidden files to an upload. Only
    /// [`RemoteDelete::Extra`] also deletes files that this session never saw.
    pub(super) fn guard(&self, transfer: Transfer, evidence: &Evidence) -> Transfer {
        let transfer = transfer.with_hidden(evidence.hidden.clone());
        if self.mode == RemoteDelete::Extra { transfer } else { transfer.deleting_only_seen() }
    }

    /// Returns the refusal if a guard refused only the deletes: there are too many, a listing cannot be trusted, or the
    /// directory has no file any more. The copies should then be made anyway: waiting for a decision by the user could
    /// lose output together with its machine.
    pub(super) fn refused_alone(&self, report: &mut Report) -> Option<Refusal> {
        match report.stopped.take() {
            Some(Stop::Refused(refusal)) if self.mode == RemoteDelete::Seen && is_about_deletes(&refusal) => {
                Some(refusal)
            }
            other => {
                report.stopped = other;
                None
            }
        }
    }

    /// Adds a refusal of the deletes to the report of an upload without them. A directory that was emptied is not an
    /// error, because withholding the deletes loses nothing.
    pub(super) fn add_refusal(&self, registration: &Registration, refusal: Refusal, report: &mut Report) {
        report.withheld = self.doomed.count();
        if !is_about_emptiness(&refusal) {
            report.stopped = report.stopped.take().or(Some(Stop::Refused(refusal)));
            return;
        }
        let state = if registration.local.exists() { "has no file" } else { "is gone" };
        report.warnings.push(format!(
            "'{}' {state} now, so the objects of its missing files were not deleted: {}",
            registration.local.display(),
            counted(report.withheld, "file"),
        ));
    }
}

fn is_about_deletes(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::TooManyDeletes { .. } | Refusal::Unreliable { .. }) || is_about_emptiness(refusal)
}

fn is_about_emptiness(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::SourceEmpty { .. } | Refusal::NoSourceFile { .. })
}

/// Returns true if an object has not changed since both sides were last known to be equal.
fn is_ours(target: &Entry, row: Option<&Row>, known: &Known) -> bool {
    let now = Sides { local: None, remote: target.fingerprint.as_ref() };
    row.is_some_and(|row| target.fingerprint.as_ref() == Some(&row.target))
        || known.compare(&target.key, now).is_some_and(|then| then.remote)
}

/// The evidence that shows who removed a file.
struct Removal {
    known: Known,
    others: OtherPairs,
}

impl Removal {
    /// Returns true if another transfer may have removed the file of an object. If the object was then stored again with the
    /// same content, the fingerprints do not show that. A transfer that removes a file also removes its row.
    fn by_others(&self, object: &Entry, row: Option<&Row>) -> bool {
        let has_lost_its_row = row.is_none() && self.others.may_be_new(object);
        has_lost_its_row || self.others.may_have_removed(object, &self.known)
    }
}

/// Returns the rule that names the objects which are not deleted although their files are gone, because another writer
/// changed them, or another transfer may have removed their files.
fn changed_by_others(here: Noted, known: Known) -> impl Fn(&Entry, Option<&Row>) -> Option<SkipReason> {
    move |target, row| {
        let was_stored = row.is_some() || known.content(&target.key).is_some();
        let why = if is_ours(target, row, &known) { SkipReason::RemovedByOthers } else { SkipReason::TargetChanged };
        (was_stored && here.has(&target.key)).then_some(why)
    }
}
