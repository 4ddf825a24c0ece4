//! The last look before anything is deleted.
//!
//! Mass deletes come from a source that is empty by accident: a disk not mounted, a typo in a prefix. A guard refuses
//! the whole plan, so that nothing has been touched when a person reads why.

use super::Tally;
use crate::diff::Side;
use crate::entry::{Entry, Kind};
use crate::key::Key;
use crate::listing::Complete;
use crate::spill::{Spill, SpillError};

/// How much a plan may delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guards {
    /// The most that may be deleted.
    pub max_delete: MaxDelete,
    /// Whether a source without a single file may empty the target.
    pub allow_empty: bool,
}

impl Guards {
    /// Sets the most that may be deleted.
    #[must_use]
    pub fn with_max_delete(mut self, max_delete: MaxDelete) -> Self {
        self.max_delete = max_delete;
        self
    }

    /// Sets whether a source without a single file may empty the target.
    #[must_use]
    pub fn with_allow_empty(mut self, allow_empty: bool) -> Self {
        self.allow_empty = allow_empty;
        self
    }
}

/// The most that a plan may delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxDelete {
    /// Half of a target that holds at least 20 files; anything in a smaller one.
    #[default]
    Usual,
    /// At most this many files.
    Count(u64),
    /// At most this share of the target's files, in percent; 100 lifts the limit.
    Percent(u8),
}

/// The share that [`MaxDelete::Usual`] allows, in percent.
const USUAL_PERCENT: u8 = 50;

/// The size from which [`MaxDelete::Usual`] counts: in a small directory a large share is a few files.
const USUAL_FROM: u64 = 20;

impl MaxDelete {
    fn limit(self, files: u64) -> u64 {
        let share = |percent: u8| u64::try_from(u128::from(files) * u128::from(percent) / 100).unwrap_or(files);
        match self {
            Self::Usual if files < USUAL_FROM => files,
            Self::Usual => share(USUAL_PERCENT),
            Self::Count(count) => count,
            Self::Percent(percent) => share(percent),
        }
    }
}

/// Why a plan was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The source is empty, and the target is not.
    #[error("the source is empty, so all {files} files of the target would be deleted")]
    SourceEmpty {
        /// How many files the target holds.
        files: u64,
    },
    /// Something would be deleted because of a listing that cannot be trusted.
    #[error("the listing of the {} cannot be trusted with deletes: {why}", side.as_str())]
    Unreliable {
        /// Which listing.
        side: Side,
        /// What is wrong with it.
        why: String,
    },
    /// The source holds no file, only empty directories, markers, links or what cannot be read.
    #[error("the source is empty but for directories and links, so {files} files of the target would be deleted")]
    NoSourceFile {
        /// How many files would be deleted.
        files: u64,
    },
    /// More would be deleted than is allowed.
    #[error("{deletes} of the {files} files in the target would be deleted, which is more than the allowed {limit}")]
    TooManyDeletes {
        /// How many would be deleted.
        deletes: u64,
        /// How many files the target holds.
        files: u64,
        /// How many may be deleted.
        limit: u64,
    },
    /// Something of the target shows up in the source: they are one place under two names.
    #[error("the source and the target overlap under two names: '{key}' in the target shows up in the source too")]
    SamePlace {
        /// What shows up in both, relative to the target.
        key: Key,
    },
}

/// What only the target has, until it is known whether it may be deleted.
#[derive(Debug)]
pub(super) struct Extra {
    entries: Spill<Entry>,
    /// Files, objects and markers.
    files: u64,
    /// Files and objects, and of markers only those with content.
    contents: u64,
}

/// What is to be deleted. Only [`Extra::release`] makes one.
#[derive(Debug)]
pub(super) struct Deletes {
    entries: Spill<Entry>,
    files: u64,
}

impl Extra {
    pub(super) fn with_memory(bytes: usize) -> Self {
        Self { entries: Spill::with_limit(bytes), files: 0, contents: 0 }
    }

    pub(super) fn push(&mut self, entry: &Entry) -> Result<(), SpillError> {
        self.files += u64::from(entry.kind != Kind::Directory);
        self.contents += u64::from(entry.is_file());
        self.entries.push(entry)
    }

    /// Turns what only the target has into deletes: the only place where deletes are made, and it takes the proofs that
    /// both listings ended well. `source_files` is the number of entries of the source that are files. A plan that
    /// `replaces` something needs listings without doubt, too.
    pub(super) fn release(
        self,
        replaces: bool,
        guards: Guards,
        (tally, source_files): (Tally, u64),
        (source, target): (&Complete, &Complete),
    ) -> Result<Deletes, Refusal> {
        let deletes = self.files;
        if !self.entries.is_empty() || replaces {
            reliable(Side::Source, source)?;
            reliable(Side::Target, target)?;
        }
        if deletes > 0 && source.count() == 0 && !guards.allow_empty {
            return Err(Refusal::SourceEmpty { files: tally.target });
        }
        if self.contents > 0 && source_files == 0 && !guards.allow_empty {
            return Err(Refusal::NoSourceFile { files: self.contents });
        }
        let limit = guards.max_delete.limit(tally.target);
        if deletes > limit {
            return Err(Refusal::TooManyDeletes { deletes, files: tally.target, limit });
        }
        Ok(Deletes { entries: self.entries, files: self.files })
    }
}

impl Deletes {
    /// Returns how many are no directories.
    pub(super) fn files(&self) -> u64 {
        self.files
    }

    pub(super) fn into_entries(self) -> Spill<Entry> {
        self.entries
    }
}

fn reliable(side: Side, listing: &Complete) -> Result<(), Refusal> {
    listing.doubts().against_deletes().map_or(Ok(()), |why| Err(Refusal::Unreliable { side, why }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_a_count_or_a_share() {
        for (max_delete, files, limit) in [
            (MaxDelete::Usual, 19, 19),
            (MaxDelete::Usual, 20, 10),
            (MaxDelete::Usual, 101, 50),
            (MaxDelete::Count(3), 1000, 3),
            (MaxDelete::Percent(10), 25, 2),
            (MaxDelete::Percent(100), 25, 25),
            (MaxDelete::Percent(0), 25, 0),
        ] {
            assert_eq!(max_delete.limit(files), limit, "{max_delete:?} of {files}");
        }
    }
}
