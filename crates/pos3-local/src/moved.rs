//! Files that were moved away from their names, in order to replace or delete them.
//!
//! Such a file may belong to another program, which wrote it at the last moment. If the process dies before it has
//! compared the file, only the name says what the file is and where it belongs. So the name contains its own name and the
//! states of two files: the new one, which is written in its place, and the old one, which may be removed. A file in
//! neither state is another program's, and nothing here removes it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pos3_core::{Key, MOVED_DIGITS, MOVED_PREFIX, Protection, is_moved_name};
use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::facts;
use crate::leftover::{self, Lock};
use crate::rename::rename_exclusive;

/// The longest file name, in bytes.
const LONGEST: usize = 255;

/// The digits that make a name unique.
const UNIQUE: usize = 8;

/// The digits of one state.
const STATE: usize = 16;

/// The state that no file has: the file is to be deleted, so there is no new one.
const NONE: &str = "0000000000000000";

/// A file that was moved by less than this time ago is being compared.
const MOVING: Duration = Duration::from_secs(1);

/// The pause before a listing looks again at a file that is being compared.
const PAUSE: Duration = Duration::from_millis(10);

/// The parts of the name of a moved file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved<'n> {
    unique: &'n str,
    new: &'n str,
    before: &'n str,
    /// The name from which the file was moved, or `None` if it was too long.
    own: Option<&'n str>,
}

/// The status of a moved file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It may still be compared by the process that moved it.
    Moving,
    /// The new file of a writer, which does not have its final name yet.
    New,
    /// The expected file, which another one has replaced.
    Replaced,
    /// Its own name is free.
    Homeless,
    /// Another program's file, whose own name is taken or unknown.
    Kept,
}

/// Returns a name for the file `own` while it is replaced by the file `new`, or deleted, if it is still as `before`. If the
/// whole name would be too long, it does not contain `own`.
pub(crate) fn name(own: &str, new: Option<&Stat>, before: &Stat) -> String {
    let unique = RandomState::new().build_hasher().finish() >> 32;
    let new = new.map_or_else(|| NONE.to_owned(), state);
    let short = format!("{MOVED_PREFIX}{unique:08x}{new}{}", state(before));
    if short.len() + 1 + own.len() > LONGEST { short } else { format!("{short}.{own}") }
}

/// Returns a moved file's name without its own name, which may be too long for the file system.
pub(crate) fn shortened(name: &str) -> &str {
    &name[..name.len().min(MOVED_PREFIX.len() + MOVED_DIGITS)]
}

/// Returns the digits that distinguish a moved file from others of its own name.
pub(crate) fn unique(name: &str) -> &str {
    Moved::parse(name).map_or(name, |moved| moved.unique)
}

impl<'n> Moved<'n> {
    /// Returns the parts of `name`, or `None` if it is not that of a moved file.
    pub(crate) fn parse(name: &'n str) -> Option<Self> {
        let rest = is_moved_name(name).then(|| name.strip_prefix(MOVED_PREFIX)).flatten()?;
        let (unique, rest) = rest.split_at(UNIQUE);
        let (new, rest) = rest.split_at(STATE);
        let (before, rest) = rest.split_at(STATE);
        let own = rest.strip_prefix('.').filter(|own| Key::from(*own).check_path().is_ok() && !own.contains('/'));
        Some(Self { unique, new, before, own })
    }

    fn standing(&self, directory: BorrowedFd<'_>, stat: &Stat, now: SystemTime) -> Standing {
        let state = state(stat);
        if state == self.new {
            return Standing::New;
        }
        if is_young(stat, now) {
            return Standing::Moving;
        }
        match self.own {
            Some(own) if is_free(directory, own) => Standing::Homeless,
            Some(_) if state == self.before => Standing::Replaced,
            Some(_) | None => Standing::Kept,
        }
    }

    /// Returns true if a file may still be compared, and nothing has its own name.
    fn is_away(&self, directory: BorrowedFd<'_>, stat: &Stat) -> bool {
        self.standing(directory, stat, SystemTime::now()) == Standing::Moving
            && self.own.is_some_and(|own| is_free(directory, own))
    }
}

fn is_free(directory: BorrowedFd<'_>, name: &str) -> bool {
    matches!(rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW), Err(Errno::NOENT))
}

/// Returns the entry that a listing has for a moved file: under its own name if that is free, so that it is not treated as
/// absent. Returns `None` if the file is one of this project's own, or is being moved.
pub(crate) fn entry(directory: BorrowedFd<'_>, name: &str, stat: &Stat) -> Option<(String, Protection)> {
    let moved = Moved::parse(name)?;
    let own = moved.own.unwrap_or("its own name");
    let said = |text: String| Protection::Moved(Arc::from(text));
    match moved.standing(directory, stat, SystemTime::now()) {
        Standing::New | Standing::Replaced => None,
        Standing::Moving => {
            moved.own.filter(|own| is_free(directory, own)).map(|own| (own.to_owned(), Protection::Vanished))
        }
        Standing::Homeless => {
            let text = format!(
                "it is '{name}' beside it, and gets its name back from the next run that writes to this directory, or from \
                 'cleanup --abort'"
            );
            Some((own.to_owned(), said(text)))
        }
        Standing::Kept => {
            let text = format!("another file may have the name '{own}', so rename or delete this one");
            Some((name.to_owned(), said(text)))
        }
    }
}

/// Returns the status of a moved file. If its own name is free, this waits until no process can be comparing it any more. A
/// listing that does not wait for a process that was killed would lack the file, which keeps its directory from being
/// deleted or replaced.
pub(crate) fn status_once_compared(directory: BorrowedFd<'_>, name: &str) -> Result<Stat, Errno> {
    let begun = Instant::now();
    loop {
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_compared = facts::file_type(&stat) == FileType::RegularFile
            && Moved::parse(name).is_some_and(|moved| moved.is_away(directory, &stat));
        // The clock of the file system may be ahead.
        if !is_compared || begun.elapsed() > 2 * MOVING {
            return Ok(stat);
        }
        thread::sleep(PAUSE);
    }
}

/// Moves a file back to its own name if that is free, and returns this name.
pub(crate) fn restore<'n>(directory: BorrowedFd<'_>, name: &'n str, stat: &Stat) -> Option<&'n str> {
    let moved = Moved::parse(name)?;
    match (moved.standing(directory, stat, SystemTime::now()), moved.own) {
        (Standing::Homeless, Some(own)) => rename_exclusive(directory, name, directory, own).ok().map(|()| own),
        _ => None,
    }
}

/// Finishes what a killed process began with a moved file: removes it if it is certainly this project's, and otherwise moves
/// it back to its own name if that is free.
pub(crate) fn settle(directory: BorrowedFd<'_>, name: &str, now: SystemTime) -> Result<(), Errno> {
    let Some(moved) = Moved::parse(name) else { return Ok(()) };
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if facts::file_type(&stat) != FileType::RegularFile {
        return Ok(());
    }
    match (moved.standing(directory, &stat, now), moved.own) {
        (Standing::New, _) => remove_without_writer(directory, name, &stat, now),
        (Standing::Replaced, _) => rustix::fs::unlinkat(directory, name, AtFlags::empty()),
        (Standing::Homeless, Some(own)) => rename_exclusive(directory, name, directory, own),
        (Standing::Homeless | Standing::Moving | Standing::Kept, _) => Ok(()),
    }
}

/// Removes a new file, unless its writer still exists.
fn remove_without_writer(directory: BorrowedFd<'_>, name: &str, seen: &Stat, now: SystemTime) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::io::retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))?;
    let has_writer = match leftover::lock(&file) {
        Lock::Held => false,
        Lock::Taken => true,
        Lock::Unknown => !leftover::is_untouched(seen, now),
    };
    // Until it was locked, its writer could still put it in its place, and have another file under this name.
    let named = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_same =
        facts::identity(&named) == facts::identity(&rustix::fs::fstat(&file)?) && state(&named) == state(seen);
    if has_writer || !is_same { Ok(()) } else { rustix::fs::unlinkat(directory, name, AtFlags::empty()) }
}

/// Returns a hash of the inode, the size and the modification time. Two files that exist at the same time in one directory
/// have different inodes. The device and the time of the last change of any kind are not included: the former may change
/// after a restart, the latter when the file is renamed.
fn state(stat: &Stat) -> String {
    let modified = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
    let fields = [i128::from(stat.st_ino), i128::from(stat.st_size), modified];
    let bytes = fields.into_iter().flat_map(i128::to_le_bytes);
    format!("{:016x}", leftover::hash(bytes).max(1))
}

/// Returns true if the file was changed or renamed a moment ago. A time in the far future is not: the clock was set back.
fn is_young(stat: &Stat, now: SystemTime) -> bool {
    facts::status_changed(stat).is_none_or(|changed| changed + MOVING > now && changed < now + MOVING)
}

#[cfg(test)]
mod tests;
