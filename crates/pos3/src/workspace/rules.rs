//! Which files a pull may write and delete, and which objects a push may.
//!
//! A manifest row shows what both sides had when they were equal, so each side that still has it is unchanged.
//! Everything else may be the only copy of somebody's work.

use std::sync::Arc;
use std::time::SystemTime;

use pos3_core::{
    ByContent, Deletable, Entry, Fingerprint, Kind, Objection, Overwritable, PendingWrite, Row, Side, SkipReason,
};
use pos3_local::last_change;

use super::record::Lacks;

/// The rules of a pull.
#[derive(Clone, Debug, Default)]
pub(super) struct PullRules {
    /// When the pull began, by the clock of the local file system.
    pub(super) began: Option<SystemTime>,
    /// The size of the largest object that is fetched.
    pub(super) largest: Option<u64>,
}

/// The rules of a push.
#[derive(Clone, Debug)]
pub(super) struct PushRules {
    /// What the directory lacks after the last pull.
    pub(super) lacks: Arc<Lacks>,
    /// When that was recorded, by the clock of the local file system.
    pub(super) recorded: Option<SystemTime>,
    /// Whether anything may be deleted at all.
    pub(super) deletes: bool,
}

impl PullRules {
    /// Allows a pull to replace the files that are known to be stored. A file whose object has not changed is newer,
    /// and so is one that was written since the pull began. Other files are reported as unsaved: the object has
    /// changed, too, or it is not known what they are.
    pub(super) fn overwritable(&self) -> Overwritable {
        let rules = self.clone();
        Overwritable::judged(move |write| {
            if rules.largest.is_some_and(|largest| write.source.size > largest) {
                return Objection::Stay(SkipReason::OverLimit);
            }
            let Some(file) = write.target else { return Objection::None };
            if rules.is_written_meanwhile(file) {
                return Objection::Stay(SkipReason::Newer);
            }
            let Some(row) = write.row else { return Objection::Stay(SkipReason::Unsaved) };
            if is_same(write.source, Some(&row.source)) {
                // Only the file has changed, so there is nothing to fetch.
                return Objection::Stay(SkipReason::Newer);
            }
            if file.fingerprint.as_ref() == Some(&row.target) {
                return Objection::None;
            }
            by_content(Side::Target, row, None, Some(SkipReason::Unsaved))
        })
    }

    /// Allows a pull to delete the files that are known to be stored. Directories stay, because the user may have made
    /// them.
    pub(super) fn deletable(&self) -> Deletable {
        let rules = self.clone();
        let is_stored = |file: &Entry, row: Option<&Row>| is_same(file, row.map(|row| &row.target));
        Deletable::when(move |file, row| file.kind == Kind::File && is_stored(file, row)).otherwise_if(
            move |file, row| match file.kind {
                // What somebody deletes and somebody else changes is stored again.
                Kind::File if row.is_some() || rules.is_written_meanwhile(file) => Some(SkipReason::TargetChanged),
                Kind::File => Some(SkipReason::Unsaved),
                _ => None,
            },
        )
    }

    fn is_written_meanwhile(&self, file: &Entry) -> bool {
        is_since(file, self.began)
    }
}

impl PushRules {
    /// Allows a push to replace the objects that nobody else has changed.
    pub(super) fn overwritable(&self) -> Overwritable {
        let rules = self.clone();
        Overwritable::judged(move |write| {
            if rules.is_protected(write) {
                return Objection::Stay(SkipReason::NotPulled);
            }
            let is_unchanged = |row: &Row| is_same(write.source, Some(&row.source));
            match (write.target, write.row) {
                (None, None) => Objection::None,
                (None, Some(row)) if is_unchanged(row) => Objection::Stay(SkipReason::Removed),
                (None, Some(row)) => by_content(Side::Source, row, Some(SkipReason::Removed), None),
                (Some(_), None) => Objection::Stay(SkipReason::Later),
                (Some(object), Some(row)) if is_same(object, Some(&row.target)) => Objection::None,
                (Some(_), Some(row)) if is_unchanged(row) => Objection::Stay(SkipReason::Newer),
                (Some(_), Some(row)) => {
                    by_content(Side::Source, row, Some(SkipReason::Newer), Some(SkipReason::Conflict))
                }
            }
        })
    }

    /// Allows a push to delete the objects that both sides had and that nobody else has changed. After a pull that was
    /// not complete it deletes nothing: a missing file may be one that was not fetched.
    pub(super) fn deletable(&self) -> Deletable {
        let is_whole = self.deletes && self.lacks.is_nothing();
        Deletable::when(move |object, row| is_whole && is_same(object, row.map(|row| &row.target)))
    }

    /// Returns true if the file is from before a pull that could not fetch the object. What the user has written since
    /// then is not protected from a push: both versions are stored.
    fn is_protected(&self, write: &PendingWrite<'_>) -> bool {
        let may_lack = self.lacks.has(write.source.key.as_str(), write.row.is_some());
        may_lack && write.target.is_some() && !is_since(write.source, self.recorded)
    }
}

/// Returns the objection if the file has another fingerprint than when both sides were equal: a new mode or time
/// changes the fingerprint, too, so its content decides.
fn by_content(side: Side, row: &Row, same: Option<SkipReason>, different: Option<SkipReason>) -> Objection {
    let unknown = different.clone();
    ByContent { side, digests: row.digest.into_iter().collect(), same, different, unknown }.into()
}

fn is_same(entry: &Entry, known: Option<&Fingerprint>) -> bool {
    known.is_some() && entry.fingerprint.as_ref() == known
}

/// Returns true if the file was changed at this time or later.
fn is_since(file: &Entry, time: Option<SystemTime>) -> bool {
    let changed = file.fingerprint.as_ref().and_then(last_change);
    matches!((changed, time), (Some(changed), Some(time)) if changed >= time)
}
