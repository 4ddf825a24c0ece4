//! Identifies a local directory by device and inode instead of its path.
//!
//! Even without symbolic links, a directory can have several paths: by a bind mount, or on a case-insensitive file
//! system. Device and inode are equal in both cases. A bind mount of something *below* a directory, or one that lies
//! below it, is visible only in the table of mounts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::mounts::{Mounts, Part, is_one};
use crate::local_path::resolve;

/// A directory, which need not exist.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// This directory and those above it, as far as they exist, the nearest first.
    above: Vec<Ancestor>,
    /// The part of a file system at the path itself.
    here: Option<Part>,
    /// The parts of file systems mounted below it.
    mounted: Vec<Part>,
}

/// An existing directory, and the relative path from it to the identified directory.
#[derive(Clone, Debug)]
struct Ancestor {
    device: u64,
    inode: u64,
    below: PathBuf,
}

impl Directory {
    pub(super) fn of(path: &Path) -> Self {
        Self::at(path, &Mounts::read())
    }

    /// Returns the directory at a path, by this table of mounts.
    pub(super) fn at(path: &Path, mounts: &Mounts) -> Self {
        let path = resolve(path);
        let above = path.ancestors().filter_map(|ancestor| {
            let facts = fs::metadata(ancestor).ok()?;
            let below = path.strip_prefix(ancestor).ok()?.to_owned();
            Some(Ancestor { device: facts.dev(), inode: facts.ino(), below })
        });
        Self { above: above.collect(), here: mounts.at(&path), mounted: mounts.below(&path), path }
    }

    /// Returns the path from `outer` to this directory if it is `outer` or lies inside it. A path that is not empty has
    /// a trailing `/`.
    pub(super) fn inside(&self, outer: &Self) -> Option<String> {
        let by_path = self.path.strip_prefix(&outer.path).ok();
        let by_inode = || {
            let root = outer.above.first()?;
            let same = self.above.iter().find(|own| (own.device, own.inode) == (root.device, root.inode))?;
            same.below.strip_prefix(&root.below).ok()
        };
        let by_mount = || self.below_by_mount(outer);
        let below = by_path.or_else(by_inode).or_else(by_mount)?;
        let text = below.to_string_lossy();
        Some(if text.is_empty() { String::new() } else { format!("{text}/") })
    }

    /// Returns true if any file can be reached through both directories.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.parts().any(|own| other.parts().any(|part| own.meets(part)))
    }

    /// Returns the path from `outer` to this directory according to the table of mounts. It also compares inodes,
    /// because the table is not precise enough for network file systems.
    fn below_by_mount(&self, outer: &Self) -> Option<&Path> {
        let below = self.here.as_ref()?.below(outer.here.as_ref()?)?;
        is_one(&self.path, &outer.path.join(below)).then_some(below)
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.here.iter().chain(&self.mounted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_under_two_names_is_known_by_its_inode() {
        let ancestors = |path: &str, inodes: &[u64]| {
            let path = PathBuf::from(path);
            let above = path.ancestors().zip(inodes).filter(|(_, inode)| **inode > 0);
            let above = above.map(|(at, inode)| Ancestor {
                device: 1,
                inode: *inode,
                below: path.strip_prefix(at).unwrap().to_owned(),
            });
            Directory { above: above.collect(), path: path.clone(), here: None, mounted: Vec::new() }
        };
        // Like a case-insensitive file system. An ancestor without an inode does not exist.
        let data = ancestors("/x/data", &[7, 3, 2]);
        let again = ancestors("/X/DATA", &[7, 3, 2]);
        let new = ancestors("/X/DATA/new/sub", &[0, 0, 7, 3, 2]);
        let new_parent = ancestors("/x/data/new", &[0, 7, 3, 2]);
        let other = ancestors("/x/other", &[8, 3, 2]);
        assert_eq!(again.inside(&data).as_deref(), Some(""));
        assert_eq!(new.inside(&data).as_deref(), Some("new/sub/"));
        assert_eq!(new.inside(&new_parent).as_deref(), Some("sub/"));
        assert_eq!(data.inside(&new), None);
        assert_eq!((other.inside(&data), data.inside(&other)), (None, None));
    }
}
