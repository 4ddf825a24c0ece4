//! The last check before deletes.
//!
//! The usual cause of a mass delete is a source that is empty by mistake: a disk is not mounted, or a prefix has a
//! typo. A guard refuses the whole plan, so nothing has changed when the user reads the reason.

use futures::{StreamExt, TryStreamExt};

use crate::entry::{Entry, Kind};
use crate::key::Key;
use crate::listing::Complete;
use crate::options::Guards;
use crate::report::{Refusal, Tally};
use crate::side::Side;
use crate::spill::{Spill, SpillError, streamed};

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

    pub(super) async fn push(&mut self, entry: &Entry) -> Result<(), SpillError> {
        self.files += u64::from(entry.kind != Kind::Directory);
        self.contents += u64::from(entry.is_file());
        self.entries.push(entry)?;
        self.entries.relieve().await
    }

    /// Leaves out the entries that `stays` returns true for, and returns how many files these are.
    pub(super) async fn leave_out(&mut self, memory: usize, stays: impl Fn(&Key) -> bool) -> Result<u64, SpillError> {
        let (before, all) = (self.files, std::mem::replace(self, Self::with_memory(memory)));
        let mut entries = streamed(all.entries.into_iter()).boxed();
        while let Some(entry) = entries.try_next().await? {
            if !stays(&entry.key) {
                self.push(&entry).await?;
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
