//! Records the file systems of a listing, at its root and at directories below it.
//!
//! After an unmount, the directory is empty. After a mount, the files of the directory are hidden. Both look like
//! deleted files. The devices and the mounts of the directories show the difference.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fd::BorrowedFd;

use crate::facts;

/// The mount points that the latest complete listing of a [`LocalStore`](crate::LocalStore) has found. Clones share the
/// record, so it can be queried while the listing is read. For a key, it is complete once the listing has passed that
/// key.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Arc<Mutex<FileSystems>>);

/// The file systems of a directory tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSystems {
    /// The file system of the root, or `None` before the first listing.
    pub root: Option<FileSystem>,
    /// The file systems of the mount points, by the relative keys of their directories. The keys end in `/`; that of
    /// the root is empty.
    pub points: BTreeMap<String, FileSystem>,
}

/// The file system of a directory, and how it was reached.
///
/// Neither number is valid after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// The number of the device.
    pub device: i128,
    /// The number of the mount. A bind mount has the device of the directory that it shows, but a mount of its own.
    /// `None` if the system does not number its mounts.
    pub mount: Option<u64>,
}

impl FileSystem {
    /// Returns the file system of `path`, relative to an open directory.
    pub(crate) fn of(directory: BorrowedFd<'_>, path: &str, device: i128) -> Self {
        Self { device, mount: mount(directory, path) }
    }

    /// Returns the file system above an open directory, or `None` if it cannot be determined.
    pub(crate) fn above(directory: BorrowedFd<'_>) -> Option<Self> {
        let stat = rustix::fs::statat(directory, "..", rustix::fs::AtFlags::empty()).ok()?;
        Some(Self::of(directory, "..", facts::identity(&stat).device))
    }
}

/// Returns the number of the mount through which a path is reached.
#[cfg(target_os = "linux")]
fn mount(directory: BorrowedFd<'_>, path: &str) -> Option<u64> {
    use rustix::fs::{AtFlags, StatxFlags};

    /// `STATX_MNT_ID_UNIQUE` of Linux 6.8: a number that is not used again after an unmount. An older kernel ignores
    /// this flag.
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    let is_number = StatxFlags::MNT_ID | UNIQUE;
    let stat = rustix::fs::statx(directory, path, AtFlags::EMPTY_PATH, is_number).ok()?;
    (stat.stx_mask & is_number.bits() != 0).then_some(stat.stx_mnt_id)
}

/// Returns `None`, because only Linux has mounts that share a device.
#[cfg(not(target_os = "linux"))]
fn mount(_directory: BorrowedFd<'_>, _path: &str) -> Option<u64> {
    None
}

impl Mounts {
    /// Returns the file systems that the latest complete listing has found so far.
    pub fn now(&self) -> FileSystems {
        self.lock().clone()
    }

    /// Calls `look` with the file systems that the latest complete listing has found so far.
    pub fn with<T>(&self, look: impl FnOnce(&FileSystems) -> T) -> T {
        look(&self.lock())
    }

    /// Starts a new record at the root.
    pub(crate) fn begin(&self, root: FileSystem, above: Option<FileSystem>) {
        let is_mounted = above.is_some_and(|above| above != root);
        let points = is_mounted.then(|| (String::new(), root)).into_iter().collect();
        *self.lock() = FileSystems { root: Some(root), points };
    }

    /// Records a directory below the root.
    pub(crate) fn enter(&self, key: &str, here: FileSystem, above: FileSystem) {
        if here != above {
            self.lock().points.insert(key.to_owned(), here);
        }
    }

    fn lock(&self) -> MutexGuard<'_, FileSystems> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_records_where_file_systems_begin() {
        let system = |device, mount| FileSystem { device, mount: Some(mount) };
        let mounts = Mounts::default();
        assert_eq!(mounts.now(), FileSystems::default());
        mounts.begin(system(1, 1), Some(system(1, 1)));
        mounts.enter("a/", system(1, 1), system(1, 1));
        mounts.enter("b/", system(2, 2), system(1, 1));
        mounts.enter("bound/", system(1, 3), system(1, 1));
        let points = [("b/".to_owned(), system(2, 2)), ("bound/".to_owned(), system(1, 3))].into_iter().collect();
        assert_eq!(mounts.now(), FileSystems { root: Some(system(1, 1)), points });
        mounts.begin(system(1, 3), Some(system(1, 1)));
        let points = [(String::new(), system(1, 3))].into_iter().collect();
        assert_eq!(mounts.now(), FileSystems { root: Some(system(1, 3)), points }, "a listing begins anew");
        mounts.begin(system(3, 3), None);
        assert!(mounts.now().points.is_empty(), "the root of the system");
    }
}
