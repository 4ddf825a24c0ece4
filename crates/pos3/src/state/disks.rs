//! The disks that the local places of a pair were on when rows were written.
//!
//! Machines can share a state directory and have the same local path, each on a disk of its own. The rows of one disk
//! state nothing about the files of another. Without this module, a file that is merely another one would look as if it
//! had been changed here.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::pair::{LOCAL, Pair};

/// The disks of both places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Disks {
    left: Option<Parent>,
    right: Option<Parent>,
}

/// The directory that contains a local place. The place itself does not identify the disk, because programs remove and
/// create the directories of their output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Parent {
    inode: u64,
    /// The time of its creation in seconds and nanoseconds, if the file system records it.
    created: Option<(u64, u32)>,
}

impl Disks {
    /// Returns the disks that the places of a pair are on now.
    pub(super) fn of(pair: &Pair) -> Self {
        Self { left: parent(pair.left()), right: parent(pair.right()) }
    }

    /// Returns true if a place is on another disk than recorded.
    pub(super) fn differ_from(&self, recorded: &Self) -> bool {
        let differ = |now: Option<Parent>, then: Option<Parent>| now.zip(then).is_some_and(|(now, then)| now != then);
        differ(self.left, recorded.left) || differ(self.right, recorded.right)
    }
}

/// Returns the directory that contains a local place; `None` for other places, and if it does not exist.
fn parent(place: &str) -> Option<Parent> {
    let path = Path::new(place.strip_prefix(LOCAL)?);
    let facts = fs::metadata(path.parent().unwrap_or(path)).ok()?;
    let created = facts.created().ok().and_then(|created| created.duration_since(UNIX_EPOCH).ok());
    Some(Parent { inode: facts.ino(), created: created.map(|since| (since.as_secs(), since.subsec_nanos())) })
}
