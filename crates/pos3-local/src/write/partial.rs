//! An unfinished file. No listing shows it, and it is removed when its writer ends, unless a later writer can resume
//! it.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use pos3_core::{Checksum, Checksummer, Operation, PARTIAL_PREFIX, StoreError};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::blocking::Waited;
use crate::error::unnamed;
use crate::facts;
use crate::leftover::{Leftover, Lock, lock};

/// The number of names to try. Several collisions of random names in a row do not happen by chance.
const ATTEMPTS: usize = 8;

/// The largest number of pieces in one write (`IOV_MAX`).
const PIECES: usize = 1024;

/// The size of one read of written content.
const READ: usize = 1 << 20;

/// An unfinished file, which is locked while it is open. It is removed when dropped, unless it was renamed or kept.
pub(super) struct Partial {
    directory: Arc<OwnedFd>,
    name: String,
    file: File,
    is_kept: AtomicBool,
}

/// An unfinished file that a later put can resume.
pub(super) enum Resumed {
    /// The file of an earlier put.
    Continued(Partial),
    /// A new file, which replaces any file of an earlier put.
    Anew(Partial),
}

impl Partial {
    /// Creates an unfinished file in `directory`, with `mode` or the default permissions of the process.
    pub(super) fn make(directory: Arc<OwnedFd>, mode: Option<Mode>) -> Result<Self, Errno> {
        let (name, file) = create(&directory, mode.unwrap_or(Mode::from_raw_mode(0o666)))?;
        Self::new(directory, name, file, mode)
    }

    /// Opens the unfinished file `name`. Creates it if it does not exist, cannot be resumed, or is longer than `size`.
    /// Returns `None` if it has another writer, or if the file system does not support locks.
    pub(super) fn resume(
        directory: Arc<OwnedFd>,
        name: &str,
        mode: Option<Mode>,
        size: Option<u64>,
    ) -> Result<Option<Resumed>, Errno> {
        match Leftover::take(directory.as_fd(), name) {
            Ok(Some(left)) if size.is_some_and(|size| left.is_ours_alone() && left.size() <= size) => {
                let partial = Self::new(directory, name.to_owned(), left.into_file(), None)?;
                partial.keep();
                if let Some(mode) = mode {
                    rustix::fs::fchmod(&partial.file, mode)?;
                }
                return Ok(Some(Resumed::Continued(partial)));
            }
            // pos3 never writes to a file that may have another name. It removes this name and creates a new file.
            Ok(Some(left)) => left.remove(directory.as_fd(), name)?,
            Err(Errno::NOENT) => {}
            Ok(None) | Err(_) => return Ok(None),
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::io::retry_on_intr(|| {
            rustix::fs::openat(&directory, name, flags, mode.unwrap_or(Mode::from_raw_mode(0o666)))
        });
        match made {
            Ok(file) if lock(&file) == Lock::Held => {
                Ok(Some(Resumed::Anew(Self::new(directory, name.to_owned(), file, mode)?)))
            }
            Ok(_) | Err(Errno::EXIST) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn new(directory: Arc<OwnedFd>, name: String, file: OwnedFd, mode: Option<Mode>) -> Result<Self, Errno> {
        let partial = Self { directory, name, file: file.into(), is_kept: AtomicBool::new(false) };
        if let Some(mode) = mode {
            rustix::fs::fchmod(&partial.file, mode)?;
        }
        Ok(partial)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Keeps the file, because it has its final name or a later put can resume it.
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::Release);
    }

    /// Allows the file to be removed again.
    pub(super) fn discard(&self) {
        self.is_kept.store(false, Ordering::Release);
    }

    /// Returns true if the file still has its name.
    fn is_named(&self) -> bool {
        let named = rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let own = rustix::fs::fstat(&self.file);
        matches!((named, own), (Ok(named), Ok(own)) if facts::identity(&named) == facts::identity(&own))
    }

    /// Returns the checksum, computed by `sum`, of a range of the file, or `None` if the file is too short.
    pub(super) fn checksum(
        &self,
        range: &Range<u64>,
        mut sum: Checksummer,
        waited: &Waited,
    ) -> Result<Option<Checksum>, StoreError> {
        let is_there = self.read(range, waited, |bytes| sum.update(bytes))?;
        Ok(is_there.then(|| sum.finish()))
    }

    /// Passes a range of the file to `take`. Returns false if the file is too short or cannot be read there.
    pub(super) fn read(
        &self,
        range: &Range<u64>,
        waited: &Waited,
        mut take: impl FnMut(&[u8]),
    ) -> Result<bool, StoreError> {
        let mut buffer = vec![0; READ];
        let mut offset = range.start;
        while offset < range.end {
            waited.check()?;
            let rest = usize::try_from(range.end - offset).unwrap_or(READ).min(READ);
            match rustix::io::pread(&self.file, &mut buffer[..rest], offset) {
                Ok(0) | Err(Errno::IO) => return Ok(false),
                Ok(read) => {
                    take(&buffer[..read]);
                    offset += read as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(unnamed(Operation::Write, errno)),
            }
        }
        Ok(true)
    }

    /// Writes the pieces one after another, starting at `offset`.
    pub(super) fn write_at(&self, offset: u64, pieces: &[Bytes]) -> Result<(), Errno> {
        let mut offset = offset;
        for pieces in pieces.chunks(PIECES) {
            let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let mut rest = slices.as_mut_slice();
            IoSlice::advance_slices(&mut rest, 0);
            while !rest.is_empty() {
                match write_some(self.file.as_fd(), rest, offset) {
                    Ok(0) => return Err(Errno::IO),
                    Ok(written) => {
                        offset += written as u64;
                        IoSlice::advance_slices(&mut rest, written);
                    }
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Another put may have given this name to a file of its own meanwhile.
        if !self.is_kept.load(Ordering::Acquire) && self.is_named() {
            // A failure cannot be handled here, and no listing shows the remaining file.
            let _ = rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
    }
}

#[cfg(target_os = "linux")]
fn write_some(file: BorrowedFd<'_>, pieces: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
    rustix::io::pwritev(file, pieces, offset)
}

#[cfg(not(target_os = "linux"))]
fn write_some(file: BorrowedFd<'_>, pieces: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
    pieces.first().map_or(Ok(0), |piece| rustix::io::pwrite(file, piece, offset))
}

/// Returns a random reserved name.
fn free_name() -> String {
    format!("{PARTIAL_PREFIX}{:016x}", RandomState::new().build_hasher().finish())
}

fn create(directory: &OwnedFd, mode: Mode) -> Result<(String, OwnedFd), Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut attempts = 0;
    loop {
        let name = free_name();
        attempts += 1;
        match rustix::fs::openat(directory, &name, flags, mode) {
            Err(Errno::EXIST) if attempts < ATTEMPTS => {}
            Err(Errno::INTR) => {}
            // A process that looks for leftovers briefly locks the file, and may treat it as one.
            Ok(file) if lock(&file) == Lock::Taken && attempts < ATTEMPTS => {}
            made => return Ok((name, made?)),
        }
    }
}
