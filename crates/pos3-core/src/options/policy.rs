//! Rules about which entries of the target a sync may write and delete, in addition to the two listings.
//!
//! A one-way sync makes the target like the source. If both sides have writers, that would replace newer data with
//! older data. A rule receives one key, with the entries of both sides and its manifest row, and can object.

use std::fmt;
use std::sync::Arc;

use crate::action::SkipReason;
use crate::digest::Agreement;
use crate::entry::{Digest, Entry, Protection};
use crate::error::{ErrorKind, StoreError};
use crate::key::Key;
use crate::manifest::Row;
use crate::side::Side;

/// Decides whether an entry that only the target has may be deleted, from the entry and its manifest row.
type MayDelete = dyn Fn(&Entry, Option<&Row>) -> bool + Send + Sync;

/// Returns why the source may still have a key that its listing lacks, or `None`.
type MayHide = dyn Fn(&Key) -> Option<Protection> + Send + Sync;

/// Returns why a file that may not be deleted is skipped, or `None` to count it as extra.
type WhyNot = dyn Fn(&Entry, Option<&Row>) -> Option<SkipReason> + Send + Sync;

/// Decides which of the entries that only the target has may be deleted, if deletes are requested. The others stay and
/// are counted as extra, or skipped for a [reason](Self::otherwise).
#[derive(Clone, Default)]
pub struct Deletable {
    may_delete: Option<Arc<MayDelete>>,
    may_hide: Option<Arc<MayHide>>,
    otherwise: Option<Arc<WhyNot>>,
}

impl Deletable {
    /// Allows the entries for which `may_delete` returns true.
    pub fn when(may_delete: impl Fn(&Entry, Option<&Row>) -> bool + Send + Sync + 'static) -> Self {
        Self { may_delete: Some(Arc::new(may_delete)), ..Self::default() }
    }

    /// Treats a key that would be deleted as unreadable in the source if `may_hide` returns a reason. This withholds
    /// all deletes of the run. `may_hide` is called after the source's listing has passed the key.
    #[must_use]
    pub fn unless_hidden(mut self, may_hide: impl Fn(&Key) -> Option<Protection> + Send + Sync + 'static) -> Self {
        self.may_hide = Some(Arc::new(may_hide));
        self
    }

    /// Skips each file that may not be deleted for this reason, instead of counting it as extra.
    #[must_use]
    pub fn otherwise(self, why: SkipReason) -> Self {
        self.otherwise_if(move |_, _| Some(why.clone()))
    }

    /// Skips a file that may not be deleted if `why` returns a reason, instead of counting it as extra.
    #[must_use]
    pub fn otherwise_if(
        mut self,
        why: impl Fn(&Entry, Option<&Row>) -> Option<SkipReason> + Send + Sync + 'static,
    ) -> Self {
        self.otherwise = Some(Arc::new(why));
        self
    }

    /// Allows only entries that were equal on both sides according to the manifest, and that have not changed in the
    /// target since. Objects of other writers are never deleted.
    pub fn known() -> Self {
        Self::when(|target, row| row.is_some_and(|row| target.fingerprint.as_ref() == Some(&row.target)))
    }

    pub(crate) fn allows(&self, target: &Entry, row: Option<&Row>) -> bool {
        self.may_delete.as_ref().is_none_or(|may_delete| may_delete(target, row))
    }

    /// Returns the reason for skipping a file that may not be deleted, if there is one.
    pub(crate) fn reason(&self, target: &Entry, row: Option<&Row>) -> Option<SkipReason> {
        self.otherwise.as_ref().and_then(|why| why(target, row))
    }

    /// Returns why the source may still have a key that its listing lacks, or `None`.
    pub(crate) fn hidden(&self, key: &Key) -> Option<Protection> {
        self.may_hide.as_ref().and_then(|may_hide| may_hide(key))
    }
}

impl fmt::Debug for Deletable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.may_delete.is_some() { "Deletable(some)" } else { "Deletable(all)" })
    }
}

/// One key whose target is about to be written.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PendingWrite<'a> {
    /// The source's entry.
    pub source: &'a Entry,
    /// The target's entry; `None` if the target has nothing there.
    pub target: Option<&'a Entry>,
    /// The manifest row of the key, if there is one.
    pub row: Option<&'a Row>,
}

/// Whether the target of a write must stay unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Objection {
    /// It may be written.
    None,
    /// It stays, for this reason.
    Stay(SkipReason),
    /// The content of one side decides.
    ByContent(ByContent),
}

/// A question that only content can answer: whether one side still has the content that both sides had.
///
/// A fingerprint changes with every change of a file, such as `chmod`. So another fingerprint is not evidence of other
/// content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByContent {
    /// The side that is read.
    pub side: Side,
    /// The digests of the contents that both sides had.
    pub digests: Vec<Digest>,
    /// Why the target stays if the content has one of the digests, or `None` to write it.
    pub same: Option<SkipReason>,
    /// Why the target stays if the content has none of them, or `None` to write it.
    pub different: Option<SkipReason>,
    /// Why the target stays if the digests cannot decide, or `None` to write it.
    pub unknown: Option<SkipReason>,
}

impl From<Option<SkipReason>> for Objection {
    fn from(reason: Option<SkipReason>) -> Self {
        reason.map_or(Self::None, Self::Stay)
    }
}

impl From<ByContent> for Objection {
    /// Converts the question to an objection, or to its answer if no content has to be read.
    fn from(question: ByContent) -> Self {
        let is_answered = question.same == question.different && question.same == question.unknown;
        if is_answered || question.digests.is_empty() {
            return question.unknown.into();
        }
        Self::ByContent(question)
    }
}

impl ByContent {
    /// Compares the digest of content that was already read. Returns `None` if not all digests can be compared with it.
    pub(crate) fn compared(&self, side: Side, digest: Digest) -> Option<Agreement> {
        let is_comparable = |known: &Digest| matches!((known, digest), (Digest::Md5(_), Digest::Md5(_)));
        match side == self.side {
            true if self.digests.contains(&digest) => Some(Agreement::Same),
            true if self.digests.iter().all(is_comparable) => Some(Agreement::Different),
            _ => None,
        }
    }

    /// Returns why the target stays, from the result of reading the content.
    pub(crate) fn answer(self, read: Result<Agreement, StoreError>) -> Option<SkipReason> {
        match read {
            Ok(Agreement::Same) => self.same,
            Ok(Agreement::Different) => self.different,
            Ok(Agreement::Unknown) => self.unknown,
            // A file that changes while it is read has certainly changed.
            Err(error) if error.kind() == ErrorKind::Precondition => self.different,
            Err(error) if error.kind() == ErrorKind::NotFound && self.side == Side::Source => {
                Some(SkipReason::Vanished)
            }
            Err(_) => self.unknown,
        }
    }
}

/// Returns whether the target of a write must stay unchanged.
type Judge = dyn Fn(&PendingWrite<'_>) -> Objection + Send + Sync;

/// Returns true if equal times of these entries of the source and the target are evidence of equal content.
type TrustsTimes = dyn Fn(&Entry, &Entry) -> bool + Send + Sync;

/// Which keys of the target may be written: overwritten, or created where the target has nothing.
#[derive(Clone, Default)]
pub struct Overwritable {
    judge: Option<Arc<Judge>>,
    needs_no_evidence: bool,
    trusts_times: Option<Arc<TrustsTimes>>,
}

impl Overwritable {
    /// Calls `objection` before a key of the target is written. If it returns a reason, the key is skipped.
    ///
    /// It is called for every key of the source, even if the contents turn out to be equal, so it should be cheap.
    pub fn unless(objection: impl Fn(&PendingWrite<'_>) -> Option<SkipReason> + Send + Sync + 'static) -> Self {
        Self::judged(move |write| objection(write).into())
    }

    /// Calls `judge` before a key of the target is written, like [`unless`](Self::unless). The answer may depend on the
    /// content of one side, which is read only if the sides turn out to differ.
    pub fn judged(judge: impl Fn(&PendingWrite<'_>) -> Objection + Send + Sync + 'static) -> Self {
        Self { judge: Some(Arc::new(judge)), ..Self::default() }
    }

    /// Makes a rule that rarely objects cheaper: the run reads no content and records nothing only to show a later run
    /// whether a side has changed. A later run then has less evidence and reports more conflicts.
    #[must_use]
    pub fn without_evidence(mut self) -> Self {
        self.needs_no_evidence = true;
        self
    }

    /// Restricts the pairs whose equal times are evidence of equal content if the manifest does not contain the key and no
    /// digest or checksum can decide. If `trusts` returns false for the entries of the source and the target, the key is
    /// treated as changed.
    #[must_use]
    pub fn with_times_trusted_if(mut self, trusts: impl Fn(&Entry, &Entry) -> bool + Send + Sync + 'static) -> Self {
        self.trusts_times = Some(Arc::new(trusts));
        self
    }

    /// Returns true if equal times of these entries are evidence of equal content.
    pub(crate) fn trusts_times(&self, source: &Entry, target: &Entry) -> bool {
        self.trusts_times.as_ref().is_none_or(|trusts| trusts(source, target))
    }

    /// Returns true if the common content of both sides must be known, because a rule depends on it.
    pub(crate) fn needs_evidence(&self) -> bool {
        self.judge.is_some() && !self.needs_no_evidence
    }

    /// Preserves entries of the target that have changed since both sides were equal: they are newer or, if the source
    /// has changed too, in conflict. Without a manifest row, the source wins.
    pub fn unless_newer() -> Self {
        Self::unless(|write| {
            let target = write.target?;
            let row = write.row.filter(|row| target.fingerprint.as_ref() != Some(&row.target))?;
            let source_is_known = write.source.fingerprint.as_ref() == Some(&row.source);
            Some(if source_is_known { SkipReason::Newer } else { SkipReason::Conflict })
        })
    }

    /// Returns whether the target of a write must stay unchanged.
    pub fn objection(&self, source: &Entry, target: Option<&Entry>, row: Option<&Row>) -> Objection {
        self.judge.as_ref().map_or(Objection::None, |judge| judge(&PendingWrite { source, target, row }))
    }
}

impl fmt::Debug for Overwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.judge.is_some() { "Overwritable(some)" } else { "Overwritable(all)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_trusted_except_where_the_rule_does_not() {
        let (one, other) = (Entry::file("k", 1), Entry::file("l", 1));
        assert!(Overwritable::default().trusts_times(&one, &other));
        let rule = Overwritable::unless(|_| None).with_times_trusted_if(|source, target| source.key < target.key);
        assert!(rule.trusts_times(&one, &other) && !rule.trusts_times(&other, &one));
    }

    #[test]
    fn a_rule_without_evidence_objects_and_needs_nothing_recorded() {
        let rule = Overwritable::unless(|write| write.target.map(|_| SkipReason::Unsaved));
        assert!(rule.needs_evidence() && !Overwritable::default().needs_evidence());
        let rule = rule.without_evidence();
        assert!(!rule.needs_evidence());
        let (source, target) = (Entry::file("k", 1), Entry::file("k", 2));
        assert_eq!(rule.objection(&source, Some(&target), None), Objection::Stay(SkipReason::Unsaved));
        assert_eq!(rule.objection(&source, None, None), Objection::None);
    }
}
