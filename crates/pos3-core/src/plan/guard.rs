//! The last check before deletes.
//!
//! The usual cause of a mass delete is a source that is empty by mistake: a disk is not mounted, or a prefix has a
//! typo. A guard refuses the whole plan, so nothing has changed when the user reads the reason.

use super::Tally;
use crate::diff::Side;
use crate::entry::{Entry, Kind};
use crate::key::Key;
use crate::listing::Complete;
use crate::spill::{Spill, SpillError};

/// Limits on the deletes of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guards {
    /// The largest number of files that may be deleted.
    pub max_delete: MaxDelete,
    /// Whether a source without any files may delete everything in the target.
    pub allow_empty: bool,
    /// Whether files may be deleted from a directory whose name an exclude pattern matches, if the pattern matches no
    /// key.
    pub allow_unmatched: bool,
}

impl Guards {
    /// Sets the largest number of files that may be deleted.
    #[must_use]
    pub fn with_max_delete(mut self, max_delete: MaxDelete) -> Self {
        self.max_delete = max_delete;
        self
    }

    /// Sets whether a source without any files may delete everything in the target.
    #[must_use]
    pub fn with_allow_empty(mut self, allow_empty: bool) -> Self {
        self.allow_empty = allow_empty;
        self
    }

    /// Sets whether files may be deleted from a directory whose name an exclude pattern matches, if the pattern matches
    /// no key. By default, this is refused, because the pattern was probably meant for the contents of the directory.
    #[must_use]
    pub fn with_allow_unmatched(mut self, allow_unmatched: bool) -> Self {
        self.allow_unmatched = allow_unmatched;
        self
    }
}

/// The largest number of files that a plan may delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxDelete {
    /// Half of a target that has at least 20 files; any number in a smaller one.
    #[default]
    Usual,
    /// At most this many files.
    Count(u64),
    /// At most this percentage of the target's files; 100 removes the limit.
    Percent(u8),
}

/// The percentage that [`MaxDelete::Usual`] allows.
const USUAL_PERCENT: u8 = 50;

/// The number of files from which [`MaxDelete::Usual`] limits deletes: in a small directory, a few files are a large
/// percentage.
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

/// Why the whole plan was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The source is empty, and the target is not.
    #[error("the source is empty, so all {files} files of the target would be deleted")]
    SourceEmpty {
        /// The number of files in the target.
        files: u64,
    },
    /// Entries would be deleted based on an unreliable listing.
    #[error("the listing of the {} cannot be trusted with deletes: {why}", side.as_str())]
    Unreliable {
        /// The side of the listing.
        side: Side,
        /// Why the listing is unreliable.
        why: String,
    },
    /// The source has no files, only empty directories, empty markers, links or unreadable entries.
    #[error("the source is empty except for directories and links, so {files} files of the target would be deleted")]
    NoSourceFile {
        /// The number of files that would be deleted.
        files: u64,
    },
    /// The plan deletes more files than allowed.
    #[error("{deletes} of the {files} files in the target would be deleted, which is more than the allowed {limit}")]
    TooManyDeletes {
        /// The number of files that would be deleted.
        deletes: u64,
        /// The number of files in the target.
        files: u64,
        /// The number of files that may be deleted.
        limit: u64,
    },
    /// Something would be deleted that an exclude pattern was probably meant to spare.
    #[error("the exclude pattern '{pattern}' matches a directory and no key, and '{key}' in it would be deleted")]
    UnmatchedPattern {
        /// The pattern.
        pattern: String,
        /// The first key that would be deleted.
        key: Key,
    },
    /// An entry of the target also appears in the source: both are the same location under two names. This is found
    /// during the run, from an object that was written or is to be deleted.
    #[error("the source and the target overlap under two names: '{key}' in the target also appears in the source")]
    SamePlace {
        /// The key that appears in both, relative to the target.
        key: Key,
    },
    /// Something that was written to the target shows up in the source: they are one place under two names.
    #[error(
        "the source and the target overlap under two names: '{key}', which this run wrote to the target, also appears \
         in the source; '{path}' is left there"
    )]
    WroteIntoSource {
        /// What was written, relative to the target.
        key: Key,
        /// Where it is.
        path: String,
    },
    /// A directory of one side is, or lies in, the directory of the other side.
    #[error("the source and the target overlap: '{key}' in the {} leads to the other side", side.as_str())]
    LeadsToOtherSide {
        /// Where the directory was met.
        side: Side,
        /// The directory, relative to that side.
        key: Key,
    },
}

/// The entries that only the target has, until it is decided whether they may be deleted.
#[derive(Debug)]
pub(super) struct Extra {
    entries: Spill<Entry>,
    /// Files, objects and markers.
    files: u64,
    /// Files, objects and those markers that have content.
    contents: u64,
}

/// The entries to delete. Only [`Extra::release`] creates this type.
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

    /// Leaves out the entries that `stays` returns true for, and returns how many files these are.
    pub(super) fn leave_out(&mut self, memory: usize, stays: impl Fn(&Key) -> bool) -> Result<u64, SpillError> {
        let (before, all) = (self.files, std::mem::replace(self, Self::with_memory(memory)));
        for entry in all.entries {
            let entry = entry?;
            if !stays(&entry.key) {
                self.push(&entry)?;
            }
        }
        Ok(before - self.files)
    }

    /// Turns the entries that only the target has into deletes. No other function creates deletes. It requires the
    /// evidence that both listings completed without error. `source_files` is the number of files in the source. If the
    /// plan `replaces` entries, it also needs reliable listings, even without other deletes.
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
    /// Returns the number of entries that are not directories.
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
