//! Merge-joins two listings into differences, in one pass and with memory for one entry per side.
//!
//! An entry that is protected on one side (unreadable, a symbolic link, a device) shields the same keys on the other
//! side. pos3 never treats it as absent, so a failed `opendir` cannot cause a mass delete.

use crate::entry::{Entry, Kind, Protection};
use crate::error::StoreError;
use crate::key::Key;
use crate::listing::{Complete, Listing};
use crate::side::Side;

/// A difference at one key.
#[derive(Debug, PartialEq, Eq)]
pub enum Diff {
    /// Only the source has the key.
    SourceOnly(Entry),
    /// Only the target has the key.
    TargetOnly {
        /// The target's entry.
        target: Entry,
        /// True if the source has something below this directory.
        source_inside: bool,
    },
    /// Both sides have the key.
    Both {
        /// The source's entry.
        source: Entry,
        /// The target's entry.
        target: Entry,
    },
    /// Only the source has the key, and in the target it would be below a protected directory.
    Shielded {
        /// The source's entry.
        source: Entry,
        /// The protected directory on the target.
        by: Key,
        /// Why it is protected.
        why: Protection,
    },
    /// Only the target has the key, and in the source it would be below a protected directory.
    Hidden {
        /// The target's entry.
        target: Entry,
        /// The protected directory in the source.
        by: Key,
        /// Why it is protected.
        why: Protection,
    },
}

impl Diff {
    /// Returns the key of the difference.
    pub fn key(&self) -> &Key {
        match self {
            Self::SourceOnly(entry) | Self::TargetOnly { target: entry, .. } | Self::Hidden { target: entry, .. } => {
                &entry.key
            }
            Self::Both { source, .. } | Self::Shielded { source, .. } => &source.key,
        }
    }

    /// Returns the entries of the source and of the target.
    pub(crate) fn entries(&self) -> (Option<&Entry>, Option<&Entry>) {
        match self {
            Self::SourceOnly(source) | Self::Shielded { source, .. } => (Some(source), None),
            Self::TargetOnly { target, .. } | Self::Hidden { target, .. } => (None, Some(target)),
            Self::Both { source, target } => (Some(source), Some(target)),
        }
    }
}

/// A failure of one side's listing.
#[derive(Debug)]
pub struct ListingFailed {
    /// The side whose listing failed.
    pub side: Side,
    /// The error.
    pub error: StoreError,
}

/// Reads two listings in step.
pub struct Merge {
    source: Cursor,
    target: Cursor,
}

impl Merge {
    /// Starts merging.
    pub fn new(source: Listing, target: Listing) -> Self {
        Self { source: Cursor::new(source, Side::Source), target: Cursor::new(target, Side::Target) }
    }

    /// Returns the next difference in key order, or `None` when both listings have completed without error.
    ///
    /// # Errors
    ///
    /// Returns the first failure of either listing. The keys that were not listed are then unknown, not absent.
    pub async fn next(&mut self) -> Result<Option<Diff>, ListingFailed> {
        let (source, target) = tokio::join!(self.source.fill(), self.target.fill());
        source?;
        target?;
        let order = match (self.source.key(), self.target.key()) {
            (None, None) => return Ok(None),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(source), Some(target)) => source.cmp(target),
        };
        let (source, target) = match order {
            std::cmp::Ordering::Less => (self.source.take(), None),
            std::cmp::Ordering::Greater => (None, self.target.take()),
            std::cmp::Ordering::Equal => (self.source.take(), self.target.take()),
        };
        Ok(self.differ(source, target))
    }

    fn differ(&self, source: Option<Entry>, target: Option<Entry>) -> Option<Diff> {
        match (source, target) {
            (Some(source), Some(target)) => Some(Diff::Both { source, target }),
            (Some(source), None) => Some(match self.target.shield(&source.key) {
                Some((by, why)) => Diff::Shielded { source, by, why },
                None => Diff::SourceOnly(source),
            }),
            (None, Some(target)) => {
                if let Some((by, why)) = self.source.shield(&target.key) {
                    return Some(Diff::Hidden { target, by, why });
                }
                let inside = |key: &Key| target.key.is_marker() && key.as_str().starts_with(target.key.as_str());
                let source_inside = self.source.key().is_some_and(inside);
                Some(Diff::TargetOnly { target, source_inside })
            }
            (None, None) => None,
        }
    }

    /// Returns the evidence that the source's and the target's listing completed without error, if both did.
    pub fn finish(self) -> Option<(Complete, Complete)> {
        Some((self.source.listing.finish()?, self.target.listing.finish()?))
    }
}

/// Returns true for an entry that was gone before it could be examined. In a target it is absent; in a source it may
/// exist under another name.
fn has_vanished(entry: &Entry) -> bool {
    entry.kind == Kind::Protected(Protection::Vanished)
}

/// One listing with its next entry and the protected directory it is in.
struct Cursor {
    listing: Listing,
    side: Side,
    head: Option<Entry>,
    ended: bool,
    shield: Option<(Key, Protection)>,
}

impl Cursor {
    fn new(listing: Listing, side: Side) -> Self {
        Self { listing, side, head: None, ended: false, shield: None }
    }

    async fn fill(&mut self) -> Result<(), ListingFailed> {
        while self.head.is_none() && !self.ended {
            self.head = self.listing.next().await.map_err(|error| ListingFailed { side: self.side, error })?;
            self.ended = self.head.is_none();
            self.head.take_if(|entry| self.side == Side::Target && has_vanished(entry));
        }
        Ok(())
    }

    fn key(&self) -> Option<&Key> {
        self.head.as_ref().map(|entry| &entry.key)
    }

    fn take(&mut self) -> Option<Entry> {
        let entry = self.head.take()?;
        if let Kind::Protected(why) = &entry.kind
            && entry.key.is_marker()
        {
            self.shield = Some((entry.key.clone(), why.clone()));
        }
        Some(entry)
    }

    /// Returns the protected directory that contains `key`. Keys below a directory are contiguous in byte order, so
    /// only the last protected directory has to be checked.
    fn shield(&self, key: &Key) -> Option<(Key, Protection)> {
        self.shield.as_ref().filter(|(directory, _)| key.as_str().starts_with(directory.as_str())).cloned()
    }
}

impl std::fmt::Debug for Merge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merge").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::filter::Filter;
    use crate::store::memory::MemoryStore;
    use crate::tree::Tree;

    async fn only_diff(source: Entry, target: Entry) -> Diff {
        let tree = Tree::new(Arc::new(MemoryStore::new()));
        let listing = |entry| Listing::of_entries(&tree, vec![entry], &Filter::default());
        let mut merge = Merge::new(listing(source), listing(target));
        let diff = merge.next().await.ok().flatten().unwrap();
        assert!(merge.next().await.is_ok_and(|next| next.is_none()));
        diff
    }

    #[tokio::test]
    async fn what_vanishes_from_a_target_is_absent_and_from_a_source_is_not() {
        let (file, gone) = (Entry::file("k", 1), Entry::protected("k", Protection::Vanished));
        assert_eq!(only_diff(file.clone(), gone.clone()).await, Diff::SourceOnly(file.clone()));
        assert_eq!(only_diff(gone.clone(), file.clone()).await, Diff::Both { source: gone, target: file });
    }
}
