//! Replaces and deletes a file only if it is the expected one, without a moment between the check and the change.
//!
//! The file is first moved to another name, by the same rename that puts the new file in its place. Only then is it
//! compared, because no other process can replace it any more under its own name. If it is another file, it is moved
//! back. If the process dies in between, the name says what the file is ([`moved`]), and a later run finishes this.

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use crate::rename::{exchange_names, rename_exclusive};
use crate::{facts, moved};

/// The number of names to try for a moved file.
const ATTEMPTS: usize = 8;

/// The result of an attempt to replace or delete a file.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The file was the expected one.
    Done,
    /// It was another file, which is in its place again.
    Changed,
    /// It was another file, and yet another one is in its place now. It was moved to this name.
    Displaced(String),
    /// It could not be compared, or could not be moved back. It was moved to this name.
    Stuck { at: String, errno: Errno },
    /// The file no longer exists.
    Missing,
    /// The file system cannot do this. Nothing was changed.
    Unsupported,
}

/// Replaces the file `name`, which was `before`, by the file `staged`, which is `new`. If this fails, or if the result is
/// `Changed`, `Missing` or `Unsupported`, the new file has the name `staged`, or no name.
pub(crate) fn replace(
    directory: BorrowedFd<'_>,
    name: &str,
    before: &Stat,
    staged: &str,
    new: &Stat,
) -> Result<Taken, Errno> {
    let aside = match move_aside(directory, staged, || moved::name(name, Some(new), before)) {
        Ok(aside) => aside,
        Err(errno) if is_unsupported(errno) => return Ok(Taken::Unsupported),
        Err(errno) => return Err(errno),
    };
    match exchange(directory, &aside, name) {
        Ok(()) => Ok(compare_replaced(directory, name, before, &aside, staged, new)),
        // Nothing was changed.
        Err(errno) => {
            stage_again(directory, &aside, staged);
            match errno {
                Errno::NOENT => Ok(Taken::Missing),
                errno if is_unsupported(errno) => Ok(Taken::Unsupported),
                errno => Err(errno),
            }
        }
    }
}

/// Compares the file that came out for the new one, and moves it back if it is not the expected one.
fn compare_replaced(
    directory: BorrowedFd<'_>,
    name: &str,
    before: &Stat,
    aside: &str,
    staged: &str,
    new: &Stat,
) -> Taken {
    let stuck = |errno| Taken::Stuck { at: aside.to_owned(), errno };
    match look(directory, aside) {
        Ok(old) if is_same(&old, before) => {
            // If this fails, a later run removes the file.
            let _ = unlink(directory, aside);
            return Taken::Done;
        }
        Ok(_) => {}
        Err(errno) => return stuck(errno),
    }
    match exchange(directory, aside, name) {
        Ok(()) => {}
        // Another process removed the new file, or moved it away.
        Err(Errno::NOENT) => return move_back(directory, aside, name),
        Err(errno) => return stuck(errno),
    }
    match look(directory, aside) {
        Ok(out) if is_same(&out, new) => {
            stage_again(directory, aside, staged);
            Taken::Changed
        }
        // Another process wrote to the new file while it had the name.
        Ok(out) if facts::identity(&out) == facts::identity(new) => keep(directory, aside, name),
        // Another process has replaced the new file with a third one, which stays.
        Ok(_) => match exchange(directory, aside, name) {
            Ok(()) => keep(directory, aside, name),
            Err(Errno::NOENT) => move_back(directory, aside, name),
            Err(errno) => stuck(errno),
        },
        Err(Errno::NOENT) => Taken::Changed,
        Err(errno) => stuck(errno),
    }
}

/// Deletes the file `name`, which was `before`.
pub(crate) fn delete(directory: BorrowedFd<'_>, name: &str, before: &Stat) -> Result<Taken, Errno> {
    let aside = match move_aside(directory, name, || moved::name(name, None, before)) {
        Ok(aside) => aside,
        Err(Errno::NOENT) => return Ok(Taken::Missing),
        Err(errno) if is_unsupported(errno) => return Ok(Taken::Unsupported),
        Err(errno) => return Err(errno),
    };
    let deleted = match look(directory, &aside) {
        Ok(found) if is_same(&found, before) => unlink(directory, &aside),
        Ok(_) => return Ok(move_back(directory, &aside, name)),
        Err(errno) => Err(errno),
    };
    match deleted {
        Ok(()) => Ok(Taken::Done),
        Err(errno) => match move_back(directory, &aside, name) {
            Taken::Changed => Err(errno),
            elsewhere => Ok(elsewhere),
        },
    }
}

/// Renames a file to the name of a moved file, which no later run removes without evidence, and returns this name.
fn move_aside(directory: BorrowedFd<'_>, from: &str, name: impl Fn() -> String) -> Result<String, Errno> {
    let mut attempts = 0;
    loop {
        let mut aside = name();
        attempts += 1;
        let renamed = match rename_to_free(directory, from, &aside) {
            Err(Errno::NAMETOOLONG) => {
                aside = moved::shortened(&aside).to_owned();
                rename_to_free(directory, from, &aside)
            }
            renamed => renamed,
        };
        match renamed {
            Err(Errno::EXIST) if attempts < ATTEMPTS => {}
            renamed => return renamed.map(|()| aside),
        }
    }
}

/// Gives the new file its earlier name again, which its writer removes.
fn stage_again(directory: BorrowedFd<'_>, aside: &str, staged: &str) {
    if rename_to_free(directory, aside, staged).is_err() {
        // If this fails, a later run removes the file.
        let _ = unlink(directory, aside);
    }
}

fn move_back(directory: BorrowedFd<'_>, aside: &str, name: &str) -> Taken {
    match rename_to_free(directory, aside, name) {
        Ok(()) => Taken::Changed,
        Err(Errno::EXIST) => keep(directory, aside, name),
        Err(errno) => Taken::Stuck { at: aside.to_owned(), errno },
    }
}

/// Gives a file that belongs to another process, and whose own name is taken, a name that listings contain.
fn keep(directory: BorrowedFd<'_>, aside: &str, name: &str) -> Taken {
    let unique = moved::unique(aside);
    // The first name may be too long.
    let names = [format!("{name}.changed-{unique}"), format!("changed-{unique}")];
    let mut errno = Errno::EXIST;
    for kept in names {
        match rename_to_free(directory, aside, &kept) {
            Ok(()) => return Taken::Displaced(kept),
            Err(refused) => errno = refused,
        }
    }
    Taken::Stuck { at: aside.to_owned(), errno }
}

/// Returns true if a file is the one that was seen before the rename. The rename itself may set the time of the last
/// change of any kind, so this time cannot be compared.
fn is_same(found: &Stat, before: &Stat) -> bool {
    facts::file_type(found) == FileType::RegularFile
        && facts::identity(found) == facts::identity(before)
        && facts::size(found) == facts::size(before)
        && facts::modified(found) == facts::modified(before)
}

fn is_unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
}

fn look(directory: BorrowedFd<'_>, name: &str) -> Result<Stat, Errno> {
    #[cfg(test)]
    tests::before_step();
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
}

fn unlink(directory: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    #[cfg(test)]
    tests::before_step();
    rustix::fs::unlinkat(directory, name, AtFlags::empty())
}

fn exchange(directory: BorrowedFd<'_>, one: &str, other: &str) -> Result<(), Errno> {
    #[cfg(test)]
    tests::before_step();
    exchange_names(directory, one, other)
}

fn rename_to_free(directory: BorrowedFd<'_>, from: &str, to: &str) -> Result<(), Errno> {
    #[cfg(test)]
    tests::before_step();
    rename_exclusive(directory, from, directory, to)
}

#[cfg(test)]
pub(crate) mod tests;
