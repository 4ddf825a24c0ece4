//! Renames that the system does in one step, with a condition on the new name.

use rustix::fd::BorrowedFd;
use rustix::fs::RenameFlags;
use rustix::io::Errno;

/// Renames a file only if the new name is free.
pub(crate) fn rename_exclusive(
    from: BorrowedFd<'_>,
    name: &str,
    to: BorrowedFd<'_>,
    new_name: &str,
) -> Result<(), Errno> {
    rename_with(from, name, to, new_name, RenameFlags::NOREPLACE)
}

/// Exchanges the names of two files in a directory.
pub(crate) fn exchange_names(directory: BorrowedFd<'_>, one: &str, other: &str) -> Result<(), Errno> {
    rename_with(directory, one, directory, other, RenameFlags::EXCHANGE)
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_with(
    from: BorrowedFd<'_>,
    name: &str,
    to: BorrowedFd<'_>,
    new_name: &str,
    flags: RenameFlags,
) -> Result<(), Errno> {
    rustix::fs::renameat_with(from, name, to, new_name, flags)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_with(
    _from: BorrowedFd<'_>,
    _name: &str,
    _to: BorrowedFd<'_>,
    _new_name: &str,
    _flags: RenameFlags,
) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}
