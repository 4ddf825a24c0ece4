//! Records the file systems of a listing, at its root and at directories below it.
//!
//! After an unmount, the directory is empty. After a mount, the files of the directory are hidden. Both look like
//! deleted files. The devices of the directories show the difference.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The mount points that the latest complete listing of a [`LocalStore`](crate::LocalStore) has found. Clones share the
/// record, so it can be queried while the listing is read. For a key, it is complete once the listing has passed that
/// key.
///
/// A bind mount of the same file system has the same device, so it is not recorded.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Arc<Mutex<FileSystems>>);

/// The file systems of a directory tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSystems {
    /// The device of the root, or `None` before the first listing.
    pub root: Option<i128>,
    /// The devices of the mount points, by the relative keys of their directories. The keys end in `/`; that of the
    /// root is empty.
    pub points: BTreeMap<String, i128>,
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
    pub(crate) fn begin(&self, device: i128, above: Option<i128>) {
        let is_mounted = above.is_some_and(|above| above != device);
        let points = is_mounted.then(|| (String::new(), device)).into_iter().collect();
        *self.lock() = FileSystems { root: Some(device), points };
    }

    /// Records a directory below the root.
    pub(crate) fn enter(&self, key: &str, device: i128, above: i128) {
        if device != above {
            self.lock().points.insert(key.to_owned(), device);
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
        let mounts = Mounts::default();
        assert_eq!(mounts.now(), FileSystems::default());
        mounts.begin(1, Some(1));
        mounts.enter("a/", 1, 1);
        mounts.enter("b/", 2, 1);
        let points = [("b/".to_owned(), 2)].into_iter().collect();
        assert_eq!(mounts.now(), FileSystems { root: Some(1), points });
        mounts.begin(3, Some(1));
        let points = [(String::new(), 3)].into_iter().collect();
        assert_eq!(mounts.now(), FileSystems { root: Some(3), points }, "a listing begins anew");
        mounts.begin(3, None);
        assert!(mounts.now().points.is_empty(), "the root of the system");
    }
}
