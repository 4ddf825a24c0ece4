//! An unfinished file: no listing shows it, and it is gone when its writer is.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use pos3_core::PARTIAL_PREFIX;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

/// Names to try before giving up: two equal random names in a row do not happen by chance.
const ATTEMPTS: usize = 8;

/// The most pieces the system takes in one write (`IOV_MAX`).
const PIECES: usize = 1024;

/// An unfinished file, removed when dropped unless it was placed.
pub(super) struct Partial {
    directory: Arc<OwnedFd>,
    name: String,
    file: File,
    is_placed: AtomicBool,
}

impl Partial {
    /// Makes an unfinished file in `directory`, with `mode` or what the process makes new files with.
    pub(super) fn make(directory: Arc<OwnedFd>, mode: Option<Mode>) -> Result<Self, Errno> {
        let (name, file) = create(&directory, mode.unwrap_or(Mode::from_raw_mode(0o666)))?;
        let partial = Self { directory, name, file: file.into(), is_placed: AtomicBool::new(false) };
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

    /// Notes that the file has its final name, so there is nothing left to remove.
    pub(super) fn placed(&self) {
        self.is_placed.store(true, Ordering::Release);
    }

    /// Writes these pieces one after the other, starting at `offset`.
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
        if !self.is_placed.load(Ordering::Acquire) {
            // Nothing can be done about a failure here, and no listing shows what stays.
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

fn create(directory: &OwnedFd, mode: Mode) -> Result<(String, OwnedFd), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut attempts = 0;
    loop {
        let name = format!("{PARTIAL_PREFIX}{:016x}", RandomState::new().build_hasher().finish());
        attempts += 1;
        match rustix::fs::openat(directory, &name, flags, mode) {
            Err(Errno::EXIST) if attempts < ATTEMPTS => {}
            Err(Errno::INTR) => {}
            made => return Ok((name, made?)),
        }
    }
}
