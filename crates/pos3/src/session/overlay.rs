//! Directories in an overlay file system, as a container has.
//!
//! A directory of the image is in a lower layer, which is never written. The first change in it makes the system copy the
//! directory and those above it to the upper layer. The copy has another time of creation, so it would look like another
//! directory.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};

/// Makes the system copy the directory at a path in an overlay, or the nearest one above it, to the upper layer, together
/// with the directories above that one. Elsewhere, this does nothing.
///
/// This sets the times of the directory to now. Its owner and every process that may write there can do so. Without this
/// permission, or if the overlay is read-only, the directory stays in its layer.
pub(super) fn copy_up(path: &Path) {
    const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let directory = path.ancestors().find(|path| path.is_dir());
    if let Some(directory) = directory.filter(|directory| is_overlay(directory)) {
        let now = Timestamps { last_access: NOW, last_modification: NOW };
        let _unless_forbidden = utimensat(CWD, directory, &now, AtFlags::empty());
    }
}

/// Returns true if a path is in an overlay.
#[cfg(target_os = "linux")]
pub(super) fn is_overlay(path: &Path) -> bool {
    /// `OVERLAYFS_SUPER_MAGIC` of Linux.
    const OVERLAY: i128 = 0x794c_7630;
    rustix::fs::statfs(path).is_ok_and(|facts| i128::from(facts.f_type) == OVERLAY)
}

/// Returns false, because only Linux has overlays.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_overlay(_path: &Path) -> bool {
    false
}
