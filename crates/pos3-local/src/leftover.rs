//! Unfinished files that nobody writes to any more.
//!
//! A writer that is killed leaves one. If they could not be told from those of living writers, in this process or
//! another, they would pile up for ever or be taken from under a writer's hands. So a writer locks its file (`flock`):
//! the lock ends with the writer, however it ends, and a file whose lock can be had is nobody's.

mod seen;
mod unfinished;

use std::time::{Duration, SystemTime};

use pos3_core::{PARTIAL_PREFIX, RESUMABLE_INFIX};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::facts;

pub(crate) use seen::{Seen, sweep};
pub(crate) use unfinished::{abandon, unfinished};

/// Between making a file and locking it lies less than this.
const UNLOCKED: Duration = Duration::from_secs(1);

/// A put that nobody has gone on with for so long will not be gone on with.
const RESUMABLE_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where files cannot be locked, one that was not touched for so long has no writer any more.
const UNTOUCHED: Duration = Duration::from_secs(24 * 60 * 60);

/// How trying to lock a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// It is locked until it is closed.
    Held,
    /// Another holds the lock.
    Taken,
    /// This file system cannot lock.
    Unknown,
}

/// Locks an open unfinished file.
pub(crate) fn lock(file: impl AsFd) -> Lock {
    match rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Lock::Held,
        Err(Errno::WOULDBLOCK) => Lock::Taken,
        Err(_) => Lock::Unknown,
    }
}

/// Returns the name of the unfinished file of `name` that a later put can go on with: always the same one, so that there
/// is at most one.
pub(crate) fn resumable_name(name: &str) -> String {
    // FNV-1a: the name must be the same in every version of this program.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{PARTIAL_PREFIX}{RESUMABLE_INFIX}{hash:016x}")
}

/// An unfinished file that was nobody's, and is ours while this lives.
pub(crate) struct Leftover {
    file: OwnedFd,
    stat: Stat,
    lock: Lock,
}

impl Leftover {
    /// Takes the file `name` in `directory`. Returns none if somebody writes to it or it is no regular file of ours.
    pub(crate) fn take(directory: BorrowedFd<'_>, name: &str) -> Result<Option<Self>, Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::io::retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))?;
        let lock = lock(&file);
        let stat = rustix::fs::fstat(&file)?;
        if lock == Lock::Taken || facts::file_type(&stat) != FileType::RegularFile {
            return Ok(None);
        }
        // Until it was locked its writer could still complete it: then this is a finished file, under another name.
        let named = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_named = facts::identity(&named) == facts::identity(&stat);
        Ok(is_named.then_some(Self { file, stat, lock }))
    }

    /// Returns true if this file, which has `name`, was left long enough ago to be removed without being asked for.
    pub(crate) fn is_stale(&self, name: &str) -> bool {
        let is_resumable = name.strip_prefix(PARTIAL_PREFIX).is_some_and(|rest| rest.starts_with(RESUMABLE_INFIX));
        let (changed, limit) = match (self.lock, is_resumable) {
            (_, true) => (facts::modified(&self.stat), RESUMABLE_FOR),
            (Lock::Held, false) => (facts::modified(&self.stat), UNLOCKED),
            (Lock::Taken | Lock::Unknown, false) => (facts::status_changed(&self.stat), UNTOUCHED),
        };
        changed.and_then(|time| SystemTime::now().duration_since(time).ok()).is_some_and(|age| age > limit)
    }

    /// Returns true if this process may write to the file as if it had made it: no other name leads to it.
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

    /// Returns the length in bytes.
    pub(crate) fn size(&self) -> u64 {
        facts::size(&self.stat)
    }

    /// Returns the open file, still locked.
    pub(crate) fn into_file(self) -> OwnedFd {
        self.file
    }

    fn modified(&self) -> Option<SystemTime> {
        facts::modified(&self.stat)
    }
}
