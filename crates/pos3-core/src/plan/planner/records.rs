//! Reads and updates manifest rows while a plan is made.

use super::Planner;
use crate::diff::Diff;
use crate::digest::Agreement;
use crate::entry::{Entry, Kind};
use crate::hash::agreement;
use crate::key::Key;
use crate::manifest::{Recorder, Row, RowChange, StartedWrite};
use crate::side::Side;
use crate::tree::Tree;

impl Planner {
    /// Returns the manifest row of a key. Rows of keys before it, which neither side has, are out of date and removed.
    pub(super) async fn row(&mut self, diff: &Diff) -> Option<Row> {
        self.forget_before(diff.key()).await;
        let rows = self.rows.as_mut()?;
        let (row, started) = rows.take(diff.key()).await;
        self.warnings.extend(rows.take_failure().map(|error| format!("{error}; files are compared without it")));
        self.row_of_started(diff, row.as_ref(), started).await.or(row)
    }

    /// Returns and records the row of a write whose result was not recorded, if one side has exactly what was written.
    pub(super) async fn row_of_started(
        &mut self,
        diff: &Diff,
        row: Option<&Row>,
        started: Vec<StartedWrite>,
    ) -> Option<Row> {
        let (source, target) = diff.entries();
        for write in started.iter().rev() {
            let (tree, written, recorded) = match write.written {
                Side::Source => (&self.source, source, row.map(|row| &row.source)),
                Side::Target => (&self.target, target, row.map(|row| &row.target)),
            };
            let Some(written) = written else { continue };
            // The written side is unchanged, so this write was not executed.
            if recorded.is_some() && written.fingerprint.as_ref() == recorded {
                return None;
            }
            if let Some(found) = stored_row(write, tree, written).await {
                if let (Some(rows), Some(_)) = (&mut self.rows, &self.recorder) {
                    rows.record(found.clone()).await;
                }
                return Some(found);
            }
        }
        None
    }

    /// Removes the manifest rows before a key that were not requested, because neither side has these keys.
    pub(super) async fn forget_before(&mut self, key: &Key) {
        while let Some(rows) = self.rows.as_mut()
            && let Some(stale) = rows.next_before(key).await
        {
            self.forget(stale).await;
        }
    }

    /// Removes the row of a key that neither side has. If the filter excludes the key, or if it is below a protected
    /// directory, pos3 does not know whether a side has it, and the row stays.
    pub(super) async fn forget(&mut self, key: Key) {
        let is_unseen = self.unseen.as_ref().is_some_and(|directory| key.as_str().starts_with(directory.as_str()));
        if let Some(recorder) = self.recorder.as_ref().filter(|_| !is_unseen && self.filter.admits(key.as_str())) {
            recorder.note(RowChange::Forget(key)).await;
        }
    }

    /// Stores a protected directory of either side, unless it is below the last one.
    pub(super) async fn note_unseen(&mut self, diff: &Diff) {
        let is_protected = match diff {
            Diff::SourceOnly(entry) | Diff::TargetOnly { target: entry, .. } => is_protected(entry),
            Diff::Both { source, target } => is_protected(source) || is_protected(target),
            Diff::Shielded { .. } | Diff::Hidden { .. } => false,
        };
        let key = diff.key();
        let is_below = self.unseen.as_ref().is_some_and(|last| key.as_str().starts_with(last.as_str()));
        if is_protected && key.is_marker() && !is_below {
            self.forget_before(key).await;
            self.unseen = Some(key.clone());
        }
    }

    pub(super) async fn next_recorded(&mut self) -> Option<Key> {
        self.rows.as_mut()?.next().await
    }
}

/// Returns the row of a started write if the written side, which has this entry, has the content that was to be written.
///
/// The facts in the listing usually decide. If they do not, the store looks up this one entry, and a local file is
/// read.
async fn stored_row(write: &StartedWrite, tree: &Tree, entry: &Entry) -> Option<Row> {
    if !entry.has_content() || entry.size != write.size {
        return None;
    }
    let is_it = |found: &Entry| {
        let by_digest = write.digest.is_some() && found.digest == write.digest;
        by_digest || (write.checksum.is_some() && found.checksum == write.checksum)
    };
    let is_stored = is_it(entry) || {
        let content = tree.content(entry);
        let is_told = content.look_up().await.ok().flatten().is_some_and(|found| is_it(&found));
        let digests = write.digest.as_slice();
        is_told || (tree.is_local() && matches!(agreement(&content, digests).await, Ok(Agreement::Same)))
    };
    let written = entry.fingerprint.clone().filter(|_| is_stored)?;
    let (source, target) = match write.written {
        Side::Source => (written, write.read.clone()),
        Side::Target => (write.read.clone(), written),
    };
    Some(Row { key: write.key.clone(), source, target, digest: write.digest })
}

/// Records a pair that is known to be equal, or to have been.
pub(super) async fn learn(recorder: Option<&Recorder>, learned: Option<Row>) {
    if let (Some(recorder), Some(row)) = (recorder, learned) {
        recorder.note(RowChange::Equal(row)).await;
    }
}

fn is_protected(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Protected(_))
}
