//! Unfinished files of writers that no longer exist.
//!
//! A killed writer leaves an unfinished file. Such files must be distinguished from those of running writers, in this
//! process or another. Otherwise, they would accumulate, or a file that is being written would be removed. So a writer
//! locks its file (`flock`). The lock ends with the writer, so a file that can be locked has no writer. For staged content,
//! the writer locks the directory.

use std::thread;
use std::time::{Duration, SystemTime};

use pos3_core::{PARTIAL_PREFIX, RESUMABLE_INFIX, is_staged_name};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::facts;

/// The maximum time between the creation and the locking of a file.
const UNLOCKED: Duration = Duration::from_secs(1);

/// After this time without progress, a put is no longer resumed.
const RESUMABLE_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// If the file system does not support locks, a file that has not changed for this long has no writer.
const UNTOUCHED: Duration = Duration::from_secs(24 * 60 * 60);

/// The number of attempts to lock a directory, and the pause between them.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// The result of an attempt to lock a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// The file is locked until it is closed.
    Held,
    /// Another writer has locked the file.
    Taken,
    /// The file system does not support locks.
    Unknown,
}

/// Locks an open file or directory.
pub(crate) fn lock(file: impl AsFd) -> Lock {
    match rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Lock::Held,
        Err(Errno::WOULDBLOCK) => Lock::Taken,
        Err(_) => Lock::Unknown,
    }
}

/// Locks a directory against writers of staged content. The lock is `Taken` if there is one.
fn lock_out(directory: BorrowedFd<'_>) -> Result<(OwnedFd, Lock), Errno> {
    let opened = reopened(directory)?;
    let lock = lock(&opened);
    Ok((opened, lock))
}

/// Locks a directory for a writer of staged content. Others may do so, too. Returns `None` if that is not possible.
pub(crate) fn lock_for_staged(directory: BorrowedFd<'_>) -> Option<OwnedFd> {
    let opened = reopened(directory).ok()?;
    for _ in 0..ATTEMPTS {
        match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockShared) {
            // Another process locks the directory only while it removes a leftover.
            Err(Errno::WOULDBLOCK) => thread::sleep(PAUSE),
            Ok(()) => return Some(opened),
            Err(_) => return None,
        }
    }
    None
}

/// Opens a directory again, because a lock belongs to an open file.
fn reopened(directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::io::retry_on_intr(|| rustix::fs::openat(directory, ".", flags, Mode::empty()))
}

/// Returns the name of the unfinished file of `name` that a later put can resume. The name is always the same, so there
/// is at most one such file.
pub(crate) fn resumable_name(name: &str) -> String {
    format!("{PARTIAL_PREFIX}{RESUMABLE_INFIX}{:016x}", hash(name.bytes()))
}

/// Returns a hash for names on the disk: FNV-1a, because it must be the same in every version of this program.
pub(crate) fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Returns true if a file has not changed for so long that it has no writer, although the file system does not support
/// locks.
pub(crate) fn is_untouched(stat: &Stat, now: SystemTime) -> bool {
    facts::status_changed(stat).and_then(|time| now.duration_since(time).ok()).is_some_and(|age| age > UNTOUCHED)
}

/// An unfinished file without a writer. It is locked while this value exists.
pub(crate) struct Leftover {
    file: OwnedFd,
    stat: Stat,
    lock: Lock,
    /// The locked directory of staged content.
    directory: Option<OwnedFd>,
}

impl Leftover {
    /// Locks the file `name` in `directory`. Returns `None` if it has a writer or is not a regular file.
    pub(crate) fn take(directory: BorrowedFd<'_>, name: &str) -> Result<Option<Self>, Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::io::retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))?;
        let (locked, lock) = if is_staged_name(name) {
            let (locked, lock) = lock_out(directory)?;
            (Some(locked), lock)
        } else {
            (None, lock(&file))
        };
        let stat = rustix::fs::fstat(&file)?;
        if lock == Lock::Taken || facts::file_type(&stat) != FileType::RegularFile {
            return Ok(None);
        }
        // Until it was locked, its writer could still complete it. It would then be a finished file with another name.
        let named = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_named = facts::identity(&named) == facts::identity(&stat);
        Ok(is_named.then_some(Self { file, stat, lock, directory: locked }))
    }

    /// Returns true if this file, which has `name`, is old enough to be removed automatically.
    pub(crate) fn is_stale(&self, name: &str) -> bool {
        let is_resumable = name.strip_prefix(PARTIAL_PREFIX).is_some_and(|rest| rest.starts_with(RESUMABLE_INFIX));
        let (changed, limit) = match (self.lock, is_resumable) {
            (_, true) => (facts::modified(&self.stat), RESUMABLE_FOR),
            (Lock::Held, false) if self.is_staged() => (facts::status_changed(&self.stat), UNLOCKED),
            // An older version of this program gave a file this name while it replaced it. The time of the last change of
            // any kind includes that of the rename.
            (Lock::Held, false) => (facts::modified(&self.stat).max(facts::status_changed(&self.stat)), UNLOCKED),
            (Lock::Taken | Lock::Unknown, false) => (facts::status_changed(&self.stat), UNTOUCHED),
        };
        changed.and_then(|time| SystemTime::now().duration_since(time).ok()).is_some_and(|age| age > limit)
    }

    /// Returns true if the file has no other name, so that this process may write to it.
    pub(crate) fn is_ours_alone(&self) -> bool {
        self.lock == Lock::Held && self.stat.st_nlink == 1
    }

    /// Removes the file, which has `name`.
    pub(crate) fn remove(self, directory: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        }
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> u64 {
        facts::size(&self.stat)
    }

    /// Returns the open file, which is still locked.
    pub(crate) fn into_file(self) -> OwnedFd {
        self.file
    }

    /// Returns the time since which nothing has been written. Staged content has the modification time of its source.
    pub(crate) fn since(&self) -> Option<SystemTime> {
        if self.is_staged() { facts::status_changed(&self.stat) } else { facts::modified(&self.stat) }
    }

    fn is_staged(&self) -> bool {
        self.directory.is_some()
    }
}
