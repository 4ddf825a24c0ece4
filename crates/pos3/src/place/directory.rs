//! A directory of this machine by what it is, not by its path.
//!
//! A path without symbolic links still is not the one name of a directory: a bind mount gives it a second one, and a file
//! system that ignores case gives it many. Device and inode show both. A bind mount of something *below* a directory is
//! seen only in the table of mounts, which tells the place on the file system that a mount shows.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::registry::resolve;

/// The mounts that this process sees, on Linux.
const MOUNTS: &str = "/proc/self/mountinfo";

/// A directory, which need not exist.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Each directory above that exists, the nearest first, this one itself included.
    above: Vec<Ancestor>,
    on_disk: Option<OnDisk>,
}

/// A directory that exists, and the way from it to the one that is meant.
#[derive(Clone, Debug)]
struct Ancestor {
    device: u64,
    inode: u64,
    below: PathBuf,
}

/// A path on a file system, whatever is mounted where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OnDisk {
    device: String,
    path: PathBuf,
}

impl Directory {
    pub(super) fn of(path: &Path) -> Self {
        let path = resolve(path);
        let above = path.ancestors().filter_map(|ancestor| {
            let facts = fs::metadata(ancestor).ok()?;
            let below = path.strip_prefix(ancestor).ok()?.to_owned();
            Some(Ancestor { device: facts.dev(), inode: facts.ino(), below })
        });
        let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
        Self { above: above.collect(), on_disk: OnDisk::of(&path, &mounts), path }
    }

    /// Returns the way from `outer` to this directory if it is that one or lies inside it; with a `/` at its end, if it is
    /// not empty.
    pub(super) fn inside(&self, outer: &Self) -> Option<String> {
        let by_path = self.path.strip_prefix(&outer.path).ok();
        let by_inode = || {
            let root = outer.above.first()?;
            let same = self.above.iter().find(|own| (own.device, own.inode) == (root.device, root.inode))?;
            same.below.strip_prefix(&root.below).ok()
        };
        let by_mount = || self.below_by_mount(outer).filter(|below| self.is_also(&outer.path.join(below)));
        let below = by_path.or_else(by_inode).or_else(by_mount)?;
        let text = below.to_string_lossy();
        Some(if text.is_empty() { String::new() } else { format!("{text}/") })
    }

    /// Returns the way from `outer` to this directory by the table of mounts. Network file systems say less in it than is
    /// needed to be sure.
    fn below_by_mount(&self, outer: &Self) -> Option<&Path> {
        let (own, root) = (self.on_disk.as_ref()?, outer.on_disk.as_ref()?);
        own.path.strip_prefix(&root.path).ok().filter(|_| own.device == root.device)
    }

    /// Returns true if a path leads to this directory too, as far as both exist.
    fn is_also(&self, path: &Path) -> bool {
        let Some(own) = self.above.first() else { return false };
        let existing = path.ancestors().nth(own.below.components().count());
        let facts = existing.and_then(|path| fs::metadata(path).ok());
        facts.is_some_and(|facts| (facts.dev(), facts.ino()) == (own.device, own.inode))
    }
}

impl OnDisk {
    /// Returns where a path is on its file system, by a table of mounts: that of the last mount that is nearest above it.
    fn of(path: &Path, mounts: &str) -> Option<Self> {
        let mounts = mounts.lines().filter_map(Mount::read).filter(|mount| path.starts_with(&mount.point));
        let mount = mounts.max_by_key(|mount| mount.point.components().count())?;
        let below = path.strip_prefix(&mount.point).ok()?;
        let normal = |part: &Component<'_>| matches!(part, Component::Normal(_));
        let path = mount.root.components().chain(below.components()).filter(normal).collect();
        Some(Self { device: mount.device, path })
    }
}

/// One mount.
struct Mount {
    device: String,
    /// What of the file system is mounted.
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// Reads a line: an id, that of the parent, the device, the root, the mount point, and more.
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split(' ').skip(2);
        let device = fields.next()?.to_owned();
        Some(Self { device, root: unescaped(fields.next()?), point: unescaped(fields.next()?) })
    }
}

/// Undoes the octal escapes of blanks and the like.
fn unescaped(field: &str) -> PathBuf {
    let [blank, tab, newline, backslash] = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    [blank, tab, newline, backslash].iter().fold(field.to_owned(), |text, (from, to)| text.replace(from, to)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
                         30 22 0:25 / /proc rw - proc proc rw\n\
                         31 22 8:2 / /home rw - ext4 /dev/sda2 rw\n\
                         40 22 8:2 /u/my\\040data /mnt rw - ext4 /dev/sda2 rw\n\
                         41 22 8:3 / /again rw - ext4 /dev/sda3 rw\n\
                         42 22 8:2 / /again rw - ext4 /dev/sda2 rw\n";

    fn directory(path: &str) -> Directory {
        Directory { path: path.into(), above: Vec::new(), on_disk: OnDisk::of(Path::new(path), TABLE) }
    }

    #[test]
    fn a_bind_mount_is_seen_also_from_above_and_below() {
        for (inner, outer, expected) in [
            ("/mnt", "/home/u/my data", Some("")),
            ("/home/u/my data", "/mnt", Some("")),
            ("/mnt/x", "/home/u", Some("my data/x")),
            ("/home/u/my data/x", "/mnt", Some("x")),
            ("/again/u/my data/x", "/mnt", Some("x")),
            ("/home/u", "/mnt", None),
            ("/u/my data", "/mnt", None),
            ("/home/u/my data2", "/mnt", None),
            ("/mnt2", "/mnt", None),
        ] {
            let (inner, outer) = (directory(inner), directory(outer));
            let found = inner.below_by_mount(&outer);
            assert_eq!(found, expected.map(Path::new), "{inner:?} in {outer:?}");
        }
    }

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
            Directory { above: above.collect(), path: path.clone(), on_disk: None }
        };
        // As on a file system that ignores case; what has no inode does not exist.
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
