//! Renames that the system does in one step, with a condition on the new name.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// The condition of a rename.
#[derive(Clone, Copy)]
enum Condition {
    NewNameIsFree,
    BothNamesExist,
}

/// Renames a file only if the new name is free.
pub(crate) fn rename_exclusive(
    from: BorrowedFd<'_>,
    name: &str,
    to: BorrowedFd<'_>,
    new_name: &str,
) -> Result<(), Errno> {
    rename_with(from, name, to, new_name, Condition::NewNameIsFree)
}

/// Exchanges the names of two files in a directory.
pub(crate) fn exchange_names(directory: BorrowedFd<'_>, one: &str, other: &str) -> Result<(), Errno> {
    rename_with(directory, one, directory, other, Condition::BothNamesExist)
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_with(
    from: BorrowedFd<'_>,
    name: &str,
    to: BorrowedFd<'_>,
    new_name: &str,
    condition: Condition,
) -> Result<(), Errno> {
    use rustix::fs::RenameFlags;

    let flags = match condition {
        Condition::NewNameIsFree => RenameFlags::NOREPLACE,
        Condition::BothNamesExist => RenameFlags::EXCHANGE,
    };
    rustix::fs::renameat_with(from, name, to, new_name, flags)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_with(
    _from: BorrowedFd<'_>,
    _name: &str,
    _to: BorrowedFd<'_>,
    _new_name: &str,
    _condition: Condition,
) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}
