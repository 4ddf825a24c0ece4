//! What a sync may write and delete in its target, beyond what the two listings decide.
//!
//! A one-way sync makes the target like the source. Where both sides have writers of their own, that would replace newer
//! data by older data. A policy sees one key, with what both sides and the manifest have of it, and can object.

use std::fmt;
use std::sync::Arc;

use crate::entry::Entry;
use crate::manifest::Row;
use crate::plan::SkipReason;

/// Decides whether an entry that only the target has may be deleted, from the entry and its manifest row.
type MayDelete = dyn Fn(&Entry, Option<&Row>) -> bool + Send + Sync;

/// Which of what only the target has may be deleted, where deleting is asked for at all. What may not, stays and is
/// counted as extra.
#[derive(Clone, Default)]
pub struct Deletable(Option<Arc<MayDelete>>);

impl Deletable {
    /// Allows what `may_delete` allows.
    pub fn when(may_delete: impl Fn(&Entry, Option<&Row>) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(may_delete)))
    }

    /// Allows only what the manifest knows to have been equal on both sides, and what has not changed in the target since:
    /// never what somebody else stored.
    pub fn known() -> Self {
        Self::when(|target, row| row.is_some_and(|row| target.fingerprint.as_ref() == Some(&row.target)))
    }

    pub(crate) fn allows(&self, target: &Entry, row: Option<&Row>) -> bool {
        self.0.as_ref().is_none_or(|may_delete| may_delete(target, row))
    }
}

impl fmt::Debug for Deletable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Deletable(some)" } else { "Deletable(all)" })
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

/// Returns why the target of a write must stay as it is, if it must.
type Objection = dyn Fn(&PendingWrite<'_>) -> Option<SkipReason> + Send + Sync;

/// Which keys of the target may be written: overwritten, or created where the target has nothing.
#[derive(Clone, Default)]
pub struct Overwritable(Option<Arc<Objection>>);

impl Overwritable {
    /// Asks `objection` before a key of the target is written. The key is skipped for the reason that it returns.
    ///
    /// It is asked about every key that the source has, also where the contents turn out to be equal and its answer is not
    /// needed; so it should be cheap.
    pub fn unless(objection: impl Fn(&PendingWrite<'_>) -> Option<SkipReason> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(objection)))
    }

    /// Leaves alone what changed in the target since both sides were last known equal: it is newer, or, where the source
    /// changed too, a conflict. Of what the manifest does not know, the source's is taken.
    pub fn unless_newer() -> Self {
        Self::unless(|write| {
            let target = write.target?;
            let row = write.row.filter(|row| target.fingerprint.as_ref() != Some(&row.target))?;
            let source_is_known = write.source.fingerprint.as_ref() == Some(&row.source);
            Some(if source_is_known { SkipReason::Newer } else { SkipReason::Conflict })
        })
    }

    /// Returns why the target of a write must stay as it is, if it must.
    pub fn objection(&self, source: &Entry, target: Option<&Entry>, row: Option<&Row>) -> Option<SkipReason> {
        self.0.as_ref()?(&PendingWrite { source, target, row })
    }
}

impl fmt::Debug for Overwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Overwritable(some)" } else { "Overwritable(all)" })
    }
}
