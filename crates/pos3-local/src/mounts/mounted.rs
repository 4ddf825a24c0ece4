//! Recognizes what is mounted at a directory, also after a restart.
//!
//! The number of a device may change with a restart, and that of a mount always does. Without this module, a run could
//! not distinguish the disk of an earlier run from another one at the same path, which may be empty.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use rustix::fd::BorrowedFd;
use serde::{Deserialize, Serialize};

/// The root of a file system, or another directory that is mounted. Copies of a disk, such as its snapshots, are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    inode: u64,
    /// The time of its creation in seconds and nanoseconds, if the file system records it.
    created: Option<(u64, u32)>,
    /// The number of the file system, if it has one that is kept with its files.
    file_system: Option<u64>,
}

impl Mounted {
    /// Returns what is mounted at an open directory, or `None` if the system does not return its status.
    pub(crate) fn at(directory: BorrowedFd<'_>) -> Option<Self> {
        let facts = File::from(directory.try_clone_to_owned().ok()?).metadata().ok()?;
        let created = facts.created().ok().and_then(|created| created.duration_since(UNIX_EPOCH).ok());
        Some(Self {
            inode: facts.ino(),
            created: created.map(|since| (since.as_secs(), since.subsec_nanos())),
            file_system: rustix::fs::fstatvfs(directory).ok().and_then(|found| kept_number(found.f_fsid, facts.dev())),
        })
    }

    /// Returns true if nothing shows that this is another one. A fact that only one of the two has shows nothing.
    pub fn may_be(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
            one.zip(other).is_none_or(|(one, other)| one == other)
        }
        let is_one_file_system = agree(self.file_system, other.file_system);
        self.inode == other.inode && agree(self.created, other.created) && is_one_file_system
    }
}

/// Returns the number of a file system that `statvfs` returned as `f_fsid`, unless it is derived from the number of the
/// device. Such a number may change with a restart.
#[cfg(target_os = "linux")]
pub fn kept_number(number: u64, device: u64) -> Option<u64> {
    let (major, minor) = (u64::from(rustix::fs::major(device)), u64::from(rustix::fs::minor(device)));
    // XFS, FAT and others return the device as the kernel encodes it (`new_encode_dev`). NFS returns 0.
    let of_device = (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
    (number != 0 && number != of_device).then_some(number)
}

/// Returns `None`, because other systems derive the number from that of the device.
#[cfg(not(target_os = "linux"))]
pub fn kept_number(_number: u64, _device: u64) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_mounted_directory_is_recognized_by_its_inode_its_creation_and_its_file_system() {
        let at = |path: &Path| Mounted::at(File::open(path).unwrap().as_fd()).unwrap();
        let disk = tempfile::tempdir().unwrap();
        fs::create_dir(disk.path().join("a")).unwrap();
        fs::create_dir(disk.path().join("b")).unwrap();
        let (here, other) = (at(&disk.path().join("a")), at(&disk.path().join("b")));
        fs::write(disk.path().join("a/new"), "1").unwrap();
        assert!(here.may_be(&at(&disk.path().join("a"))), "its contents may change");
        assert!(!here.may_be(&other), "{here:?} {other:?}");
    }

    #[test]
    fn a_fact_that_is_missing_shows_nothing() {
        let all = Mounted { inode: 2, created: Some((7, 0)), file_system: Some(9) };
        assert!(all.may_be(&Mounted { created: None, file_system: None, ..all }));
        for other in [
            Mounted { inode: 3, ..all },
            Mounted { created: Some((7, 1)), ..all },
            Mounted { file_system: Some(8), ..all },
        ] {
            assert!(!all.may_be(&other) && !other.may_be(&all), "{other:?}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_number_that_is_derived_from_the_device_is_not_kept() {
        for device in [rustix::fs::makedev(8, 1), rustix::fs::makedev(259, 70_000)] {
            assert_eq!((kept_number(0, device), kept_number(device, device)), (None, None), "{device}");
            assert_eq!(kept_number(device + 1, device), Some(device + 1));
        }
    }
}
