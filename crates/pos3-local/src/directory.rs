//! Reads the names of a directory from the system.
//!
//! Every failure is reported. Common wrappers treat a removed directory or a broken disk as the end of the names. An
//! incomplete list of names would delete files.

use std::ffi::CStr;

use pos3_core::{is_moved_name, is_partial_name, is_staged_name};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::FileType;
use rustix::io::Errno;

/// Returns true if `directory` contains nothing that a listing would show.
pub(crate) fn is_empty(directory: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut empty = true;
    ReadBuffer::default().each(directory, |name, kind| {
        empty = !is_listed(name, kind);
        if empty { Step::Continue } else { Step::Stop }
    })?;
    Ok(empty)
}

/// Returns the names of the unfinished files in `directory`, or an empty list if it contains anything else.
pub(crate) fn leftovers(directory: BorrowedFd<'_>) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    if is_empty(directory)? {
        rustix::fs::seek(directory, rustix::fs::SeekFrom::Start(0))?;
        ReadBuffer::default().each(directory, |name, kind| {
            names.extend(unfinished(name, kind).map(str::to_owned));
            Step::Continue
        })?;
    }
    Ok(names)
}

/// Returns the name if it is that of an unfinished file of pos3, or of staged content.
pub(crate) fn unfinished(name: &CStr, kind: FileType) -> Option<&str> {
    name_of_file(name, kind).filter(|name| is_partial_name(name) || is_staged_name(name))
}

/// Returns the name if it is that of a file that pos3 moved away.
pub(crate) fn moved(name: &CStr, kind: FileType) -> Option<&str> {
    name_of_file(name, kind).filter(|name| is_moved_name(name))
}

/// Returns the name if it may be that of a regular file. The file system may not report the type of the file.
fn name_of_file(name: &CStr, kind: FileType) -> Option<&str> {
    name.to_str().ok().filter(|_| matches!(kind, FileType::RegularFile | FileType::Unknown))
}

/// Returns true for the name of an entry, and false for an unfinished file of pos3.
pub(crate) fn is_listed(name: &CStr, kind: FileType) -> bool {
    !matches!(name.to_bytes(), b"." | b"..") && unfinished(name, kind).is_none()
}

/// Whether to continue reading.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Continue,
    Stop,
}

/// Reads directories one after another, with one buffer.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct ReadBuffer(Vec<std::mem::MaybeUninit<u8>>);

#[cfg(target_os = "linux")]
impl Default for ReadBuffer {
    fn default() -> Self {
        Self(vec![std::mem::MaybeUninit::uninit(); 32 << 10])
    }
}

#[cfg(target_os = "linux")]
impl ReadBuffer {
    /// Calls `visit` with every name. Reports every failure, even that the directory was removed meanwhile. Returns the
    /// position of the last name, or `None` if there was at most one. The position after the last name is useless: on some
    /// file systems, no name ever comes after it.
    pub(crate) fn each(
        &mut self,
        directory: BorrowedFd<'_>,
        mut visit: impl FnMut(&CStr, FileType) -> Step,
    ) -> Result<Option<u64>, Errno> {
        let mut names = rustix::fs::RawDir::new(directory.as_fd(), &mut self.0);
        let (mut here, mut next) = (None, None);
        while let Some(entry) = names.next() {
            match entry {
                Ok(entry) => {
                    (here, next) = (next, Some(entry.next_entry_cookie()));
                    if visit(entry.file_name(), entry.file_type()) == Step::Stop {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(here)
    }
}

/// Reads directories. On this system, the library has the buffer.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer;

#[cfg(not(target_os = "linux"))]
impl ReadBuffer {
    /// Calls `visit` with every name. Returns `None`: the library does not return positions.
    pub(crate) fn each(
        &mut self,
        directory: BorrowedFd<'_>,
        mut visit: impl FnMut(&CStr, FileType) -> Step,
    ) -> Result<Option<u64>, Errno> {
        for entry in rustix::fs::Dir::read_from(directory.as_fd())? {
            let entry = entry?;
            if visit(entry.file_name(), entry.file_type()) == Step::Stop {
                break;
            }
        }
        Ok(None)
    }
}
