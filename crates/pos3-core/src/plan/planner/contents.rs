//! Decisions that need the content of files: the tasks that read them, and the resulting actions.

use tokio_util::task::AbortOnDropHandle;

use crate::action::{Action, SkipReason};
use crate::compare::{Compared, Reading, Sameness, Unread, same_content};
use crate::digest::Agreement;
use crate::entry::{Digest, Entry, Protection};
use crate::error::ErrorKind;
use crate::evidence::{Change, Proof};
use crate::hash::{Own, agreement, comparable};
use crate::key::Key;
use crate::manifest::Row;
use crate::options::{ByContent, Objection};
use crate::side::Side;
use crate::tree::Tree;

/// The result of reading contents.
pub(super) enum Judged {
    /// An action, and the manifest row of the pair that is known now, although nothing is copied.
    Act(Box<Action>, Option<Row>),
    Same {
        key: Key,
        proof: Proof,
        learned: Option<Row>,
    },
}

/// Waits for a task. If the task panicked, this panics too, because its file must not be treated as unchanged.
pub(super) async fn join(task: AbortOnDropHandle<Judged>) -> Judged {
    match task.await {
        Ok(judged) => judged,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The two trees, for tasks that read from them.
pub(super) struct Sides {
    pub(super) source: Tree,
    pub(super) target: Tree,
}

/// A pair of files that can only be compared by their contents.
pub(super) struct Question {
    pub(super) reading: Reading,
    /// Whether equal times are enough if the contents cannot be compared.
    pub(super) times_decide: bool,
    pub(super) own: Own,
    /// Whether the run writes manifest rows.
    pub(super) is_recorded: bool,
    /// The rule that may object to a copy.
    pub(super) objection: Objection,
    pub(super) row: Option<Row>,
}

impl Sides {
    /// Compares the contents of two files.
    pub(super) async fn compare(&self, source: Entry, target: Entry, question: Question) -> Judged {
        let Question { reading, times_decide, own, is_recorded, objection, row } = question;
        let compared = same_content((&self.source, &source), (&self.target, &target), reading, own).await;
        let found = compared.as_ref().ok().and_then(|compared| compared.local);
        let same = compared.map(|Compared { same, .. }| same);
        let digest = match (&same, found) {
            (_, Some((_, digest))) => Some(digest),
            (Ok(Sameness::Same(Proof::Checksum)), None) if is_recorded && own == Own::Wanted => {
                self.digest(&source, &target).await
            }
            _ => None,
        };
        match judge(same, source, target, times_decide, digest) {
            Judged::Act(action, learned) => match *action {
                Action::Copy { source, target, why } => {
                    self.copy_unless(objection, source, target, why, (found, row)).await
                }
                action => Judged::Act(Box::new(action), learned),
            },
            judged => judged,
        }
    }

    /// Returns the copy, or a skip if the target must stay as it is.
    async fn copy_unless(
        &self,
        objection: Objection,
        source: Entry,
        target: Option<Entry>,
        why: Change,
        known: (Option<(Side, Digest)>, Option<Row>),
    ) -> Judged {
        match objection {
            Objection::None => Judged::Act(Box::new(Action::Copy { source, target, why }), None),
            Objection::Stay(reason) => {
                Judged::Act(Box::new(Action::Skip { key: source.key, why: reason.given(why) }), None)
            }
            Objection::ByContent(question) => self.ask(question, source, target, why, known).await,
        }
    }

    /// Returns the same if the content of one side decides. That content is not read again if its digest is already known.
    pub(super) async fn ask(
        &self,
        question: ByContent,
        source: Entry,
        target: Option<Entry>,
        why: Change,
        (found, row): (Option<(Side, Digest)>, Option<Row>),
    ) -> Judged {
        let read = match (question.side, &target) {
            (Side::Source, _) => Some(self.source.content(&source)),
            (Side::Target, target) => target.as_ref().map(|target| self.target.content(target)),
        };
        let answered = found.and_then(|(side, digest)| question.compared(side, digest));
        let mut learned = None;
        let objection = match (answered, read) {
            (None, None) => question.unknown,
            (answered, read) => {
                let answer = match (answered, read) {
                    (None, Some(content)) => agreement(&content, &question.digests).await,
                    (answered, _) => Ok(answered.unwrap_or(Agreement::Unknown)),
                };
                if matches!(answer, Ok(Agreement::Same)) {
                    learned = row.and_then(|row| touched(row, &question, &source, target.as_ref()));
                }
                question.answer(answer)
            }
        };
        match objection {
            None => Judged::Act(Box::new(Action::Copy { source, target, why }), None),
            Some(reason) => Judged::Act(Box::new(Action::Skip { key: source.key, why: reason.given(why) }), learned),
        }
    }

    /// Returns a digest of the content that both sides have. It reads the local side.
    async fn digest(&self, source: &Entry, target: &Entry) -> Option<Digest> {
        match (self.source.is_local(), self.target.is_local()) {
            (true, _) => comparable(self.source.content(source)).await,
            (false, true) => comparable(self.target.content(target)).await,
            (false, false) => None,
        }
    }
}

/// Returns a manifest row with the new fingerprint of a side whose content is still the recorded one. So a later run need
/// not read that content again.
fn touched(row: Row, question: &ByContent, source: &Entry, target: Option<&Entry>) -> Option<Row> {
    if question.digests.iter().any(|digest| Some(*digest) != row.digest) {
        return None;
    }
    Some(match question.side {
        Side::Source => Row { source: source.fingerprint.clone()?, ..row },
        Side::Target => Row { target: target?.fingerprint.clone()?, ..row },
    })
}

/// Returns the decision after the contents have been compared. The digest is that of the equal content.
fn judge(
    same: Result<Sameness, Unread>,
    source: Entry,
    target: Entry,
    times_decide: bool,
    digest: Option<Digest>,
) -> Judged {
    let step = match same {
        Ok(Sameness::Same(proof)) => {
            let learned = Row::of(&source, &target);
            // After a checksum decided, the listing shows no digest of the content.
            let is_listed = proof != Proof::Checksum;
            let learned = learned.map(|row| Row { digest: digest.or(row.digest.filter(|_| is_listed)), ..row });
            return Judged::Same { key: source.key, proof, learned };
        }
        Ok(Sameness::Unknown) if times_decide => {
            return Judged::Same { key: source.key, proof: Proof::Time, learned: None };
        }
        Ok(Sameness::Unknown) => Ok(Change::Incomparable),
        Ok(Sameness::Different) => Ok(Change::Content),
        Err(Unread { side: Side::Target, .. }) => Ok(Change::Incomparable),
        Err(Unread { error, .. }) => match error.kind() {
            // A file that changes while it is read has certainly changed.
            ErrorKind::Precondition => Ok(Change::Content),
            ErrorKind::NotFound => Err(SkipReason::Vanished),
            _ => Err(SkipReason::Source(Protection::Unreadable(error.cause().into()))),
        },
    };
    let action = match step {
        Ok(why) => Action::Copy { source, target: Some(target), why },
        Err(why) => Action::Skip { key: source.key, why },
    };
    Judged::Act(Box::new(action), None)
}
