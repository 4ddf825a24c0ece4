//! Records the file systems of a listing, at its root and at directories below it.
//!
//! After an unmount, the directory is empty. After a mount, the files of the directory are hidden. Both look like
//! deleted files. The devices and the mounts of the directories show the difference.

mod mounted;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, CWD};
use rustix::path::Arg;

use crate::facts;

pub use mounted::{Mounted, kept_number};

/// The mount points that the latest complete listing of a [`LocalStore`](crate::LocalStore) has found. Clones share the
/// record, so it can be queried while the listing is read. For a key, it is complete once the listing has passed that
/// key.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Arc<Record>);

#[derive(Default)]
struct Record {
    found: Mutex<FileSystems>,
    watchers: Mutex<Vec<Weak<Watcher>>>,
}

type Watcher = dyn Fn(&FileSystems) + Send + Sync;

/// Watches a record until it is dropped; see [`Mounts::watch`].
pub struct Watching(Arc<Watcher>);

/// The file systems of a directory tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSystems {
    /// The file system of the root, or `None` before the first listing and if the root does not exist.
    pub root: Option<FileSystem>,
    /// The mount points, by the relative keys of their directories. The keys end in `/`; that of the root is empty.
    pub points: BTreeMap<String, MountPoint>,
}

/// A directory at which a file system begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// The file system that begins here.
    pub system: FileSystem,
    /// What is mounted here, or `None` if that cannot be determined.
    pub mounted: Option<Mounted>,
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
    /// Returns the file system of a path, or `None` if the path does not exist. A link at the path is not followed.
    pub fn at(path: &Path) -> Option<Self> {
        let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(Self { device: facts::identity(&stat).device, mount: mount(CWD, path) })
    }

    /// Returns the file system of `path`, relative to an open directory.
    pub(crate) fn of(directory: BorrowedFd<'_>, path: &str, device: i128) -> Self {
        Self { device, mount: mount(directory, path) }
    }

    /// Returns the file system above an open directory, or `None` if it cannot be determined.
    pub(crate) fn above(directory: BorrowedFd<'_>) -> Option<Self> {
        let stat = rustix::fs::statat(directory, "..", AtFlags::empty()).ok()?;
        Some(Self::of(directory, "..", facts::identity(&stat).device))
    }
}

/// Returns the number of the mount through which a path is reached.
#[cfg(target_os = "linux")]
fn mount(directory: BorrowedFd<'_>, path: impl Arg) -> Option<u64> {
    use rustix::fs::StatxFlags;

    /// `STATX_MNT_ID_UNIQUE` of Linux 6.8: a number that is not used again after an unmount. An older kernel ignores
    /// this flag.
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    let is_number = StatxFlags::MNT_ID | UNIQUE;
    let stat = rustix::fs::statx(directory, path, AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW, is_number).ok()?;
    (stat.stx_mask & is_number.bits() != 0).then_some(stat.stx_mnt_id)
}

/// Returns `None`, because only Linux has mounts that share a device.
#[cfg(not(target_os = "linux"))]
fn mount(_directory: BorrowedFd<'_>, _path: impl Arg) -> Option<u64> {
    None
}

impl Mounts {
    /// Returns the file systems that the latest complete listing has found so far.
    pub fn now(&self) -> FileSystems {
        self.lock().clone()
    }

    /// Calls `watcher` when a listing begins and when it finds a mount point, each time before it returns an entry at or
    /// below that point. The calls come from a thread that may block. They end when the returned value is dropped.
    #[must_use]
    pub fn watch(&self, watcher: impl Fn(&FileSystems) + Send + Sync + 'static) -> Watching {
        let watching = Watching(Arc::new(watcher));
        let mut watchers = self.watchers();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&watching.0));
        watching
    }

    /// Calls `look` with the file systems that the latest complete listing has found so far.
    pub fn with<T>(&self, look: impl FnOnce(&FileSystems) -> T) -> T {
        look(&self.lock())
    }

    /// Starts a new record at the root, which exists.
    pub(crate) fn begin(&self, root: FileSystem, above: Option<FileSystem>, mounted: impl FnOnce() -> Option<Mounted>) {
        let is_mounted = above.is_some_and(|above| above != root);
        let point = is_mounted.then(|| (String::new(), MountPoint { system: root, mounted: mounted() }));
        self.replace(FileSystems { root: Some(root), points: point.into_iter().collect() });
    }

    /// Starts a new record at a root that does not exist.
    pub(crate) fn begin_at_none(&self) {
        self.replace(FileSystems::default());
    }

    /// Records a directory below the root.
    pub(crate) fn enter(
        &self,
        key: &str,
        here: FileSystem,
        above: FileSystem,
        mounted: impl FnOnce() -> Option<Mounted>,
    ) {
        if here != above {
            let point = MountPoint { system: here, mounted: mounted() };
            self.lock().points.insert(key.to_owned(), point);
            self.report();
        }
    }

    fn replace(&self, found: FileSystems) {
        *self.lock() = found;
        self.report();
    }

    fn report(&self) {
        let watchers: Vec<_> = self.watchers().iter().filter_map(Weak::upgrade).collect();
        if !watchers.is_empty() {
            let found = self.now();
            watchers.iter().for_each(|watcher| watcher(&found));
        }
    }

    fn lock(&self) -> MutexGuard<'_, FileSystems> {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Weak<Watcher>>> {
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.found.fmt(f)
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: fn() -> Option<Mounted> = || None;

    fn system(device: i128, mount: u64) -> FileSystem {
        FileSystem { device, mount: Some(mount) }
    }

    fn point(device: i128, mount: u64) -> MountPoint {
        MountPoint { system: system(device, mount), mounted: None }
    }

    #[test]
    fn a_listing_records_where_file_systems_begin() {
        let mounts = Mounts::default();
        assert_eq!(mounts.now(), FileSystems::default());
        mounts.begin(system(1, 1), Some(system(1, 1)), NONE);
        mounts.enter("a/", system(1, 1), system(1, 1), NONE);
        mounts.enter("b/", system(2, 2), system(1, 1), NONE);
        mounts.enter("bound/", system(1, 3), system(1, 1), NONE);
        let points = [("b/".to_owned(), point(2, 2)), ("bound/".to_owned(), point(1, 3))].into_iter().collect();
        assert_eq!(mounts.now(), FileSystems { root: Some(system(1, 1)), points });
        mounts.begin(system(1, 3), Some(system(1, 1)), NONE);
        let points = [(String::new(), point(1, 3))].into_iter().collect();
        assert_eq!(mounts.now(), FileSystems { root: Some(system(1, 3)), points }, "a listing begins anew");
        mounts.begin(system(3, 3), None, NONE);
        assert!(mounts.now().points.is_empty(), "the root of the system");
        mounts.begin_at_none();
        assert_eq!(mounts.now(), FileSystems::default(), "the root is gone");
    }

    #[test]
    fn a_watcher_is_called_for_each_mount_point_until_it_is_dropped() {
        let (mounts, seen) = (Mounts::default(), Arc::new(Mutex::new(Vec::new())));
        let list = |expected: &[usize]| {
            mounts.begin(system(1, 1), None, NONE);
            mounts.enter("a/", system(1, 1), system(1, 1), NONE);
            mounts.enter("b/", system(2, 2), system(1, 1), NONE);
            assert_eq!(*seen.lock().unwrap(), expected);
        };
        let watching = {
            let seen = seen.clone();
            mounts.clone().watch(move |found| seen.lock().unwrap().push(found.points.len()))
        };
        list(&[0, 1]);
        drop(watching);
        list(&[0, 1]);
    }
}
