//! The final path of a file. It is checked before writing, and again before anything there is replaced.

use std::sync::Arc;

use pos3_core::{BEHIND_LINK, Entry, ErrorKind, Expect, Key, Operation, PutOptions, Result, StoreError};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, Stat, Timespec};
use rustix::io::Errno;

use super::modification;
use super::partial::{Partial, Resumed};
use crate::blocking::Waited;
use crate::error::{changed, displaced, failed, left_over, stuck};
use crate::facts;
use crate::path;
use crate::rename::rename_exclusive;
use crate::root::Root;
use crate::take_out::{self, Taken};

/// An open directory and the final name of a file in it.
pub(super) struct Place {
    directory: Arc<OwnedFd>,
    key: Key,
    expect: Expect,
    modified: Option<Timespec>,
    /// The permissions of the replaced file, which the new file inherits.
    mode: Option<Mode>,
}

/// How a file got its final name.
enum Renamed {
    /// It has no other name.
    Entirely,
    /// Its earlier name could not be removed, as in a directory to which names can only be added.
    ButLeftOver(Errno),
}

impl Place {
    /// Opens the directory of `key`, creates it if necessary, and checks that a file may be written there.
    pub(super) fn open(root: &Root, key: Key, options: &PutOptions) -> Result<Self> {
        let opened = root.open_to_write(Operation::Write)?;
        let (parent, _) = path::split(key.as_str());
        let directory =
            path::open_or_make(opened.as_fd(), parent).map_err(|error| error.writing(Operation::Write, &key))?;
        let modified = options.modified.and_then(facts::timespec);
        let directory = Arc::new(directory);
        let mut place = Self { directory, key, expect: options.expect.clone(), modified, mode: None };
        place.mode = place.check()?.map(|stat| Mode::from_raw_mode(stat.st_mode) & Mode::from_raw_mode(0o777));
        Ok(place)
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Creates an unfinished file in the same directory.
    pub(super) fn make_partial(&self) -> Result<Partial> {
        Partial::make(self.directory.clone(), self.mode).map_err(|errno| self.failed(errno))
    }

    /// Opens the unfinished file `name` to resume it if it is not longer than `size`, or creates it. Returns `None` if
    /// it has another writer.
    pub(super) fn resume_partial(&self, name: &str, size: Option<u64>) -> Result<Option<Resumed>> {
        Partial::resume(self.directory.clone(), name, self.mode, size).map_err(|errno| self.failed(errno))
    }

    /// Sets the time of a complete file of `size` bytes and renames it to its final name.
    pub(super) fn put(&self, partial: &Partial, size: u64, waited: &Waited) -> Result<Entry> {
        if let Some(stamp) = self.modified {
            rustix::fs::futimens(partial.file(), &modification(stamp)).map_err(|errno| self.failed(errno))?;
        }
        let written = rustix::fs::fstat(partial.file()).map_err(|errno| self.failed(errno))?;
        if facts::size(&written) != size {
            return Err(StoreError::new(ErrorKind::Integrity, Operation::Write)
                .with_key(&self.key)
                .with_message(format!("{} bytes arrived instead of {size}", facts::size(&written))));
        }
        let before = self.check()?;
        waited.check()?;
        match (&self.expect, before) {
            (Expect::Unchanged(_), Some(before)) => self.exchange(partial, &before, &written)?,
            _ => self.rename(partial)?,
        }
        let placed = rustix::fs::fstat(partial.file()).map_err(|errno| self.failed(errno))?;
        // The rename changes no content. Another size or time means that another writer has replaced the file, and pos3
        // cannot vouch for that content.
        if facts::size(&placed) != size || facts::modified(&placed) != facts::modified(&written) {
            return Err(changed(Operation::Write, &self.key));
        }
        Ok(facts::file(self.key.clone(), &placed))
    }

    /// Renames a complete file of another directory to the final name, if that name is free. Returns `None` and changes
    /// nothing if the file system does not support this.
    pub(super) fn take(&self, directory: &OwnedFd, name: &str) -> Result<Option<Entry>> {
        match rename_exclusive(directory.as_fd(), name, self.directory.as_fd(), self.name()) {
            Ok(()) => match self.look()? {
                Some(stat) => Ok(Some(facts::file(self.key.clone(), &stat))),
                None => Err(changed(Operation::Write, &self.key)),
            },
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::XDEV) => Ok(None),
            Err(Errno::EXIST) => Err(self.taken()),
            Err(errno) => Err(self.failed(errno)),
        }
    }

    fn name(&self) -> &str {
        path::split(self.key.as_str()).1
    }

    /// Returns the file at the final path, if it exists and is the expected one.
    fn check(&self) -> Result<Option<Stat>> {
        let found = self.look()?;
        match (&self.expect, &found) {
            (Expect::Absent, Some(_)) => Err(self.taken()),
            (Expect::Unchanged(seen), Some(stat)) if *seen == facts::fingerprint(stat) => Ok(found),
            (Expect::Unchanged(_), _) => Err(changed(Operation::Write, &self.key)),
            (Expect::Anything | Expect::Absent, _) => Ok(found),
        }
    }

    fn look(&self) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.directory, self.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match facts::file_type(&stat) {
                FileType::RegularFile => Ok(Some(stat)),
                other => {
                    let error = StoreError::new(ErrorKind::AlreadyExists, Operation::Write)
                        .with_key(&self.key)
                        .with_message(format!("'{}' is a {}", self.key, facts::name(other)));
                    Err(if other == FileType::Symlink { error.with_code(BEHIND_LINK) } else { error })
                }
            },
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed(errno)),
        }
    }

    /// Replaces the file `before`, and no other file, with a complete new file.
    fn exchange(&self, partial: &Partial, before: &Stat, written: &Stat) -> Result<()> {
        match take_out::replace(self.directory.as_fd(), self.name(), before, partial.name(), written) {
            Ok(Taken::Done) => {
                partial.keep();
                Ok(())
            }
            Ok(Taken::Unsupported) => self.rename(partial),
            Ok(Taken::Changed | Taken::Missing) => {
                partial.discard();
                Err(changed(Operation::Write, &self.key))
            }
            Ok(Taken::Displaced(kept)) => Err(displaced(Operation::Write, &self.key, &kept)),
            Ok(Taken::Stuck { at, errno }) => Err(stuck(Operation::Write, &self.key, &at, errno)),
            Err(errno) => {
                partial.discard();
                Err(self.failed(errno))
            }
        }
    }

    fn rename(&self, partial: &Partial) -> Result<()> {
        let renamed = match self.expect {
            Expect::Absent => match self.rename_to_new(partial) {
                Ok(Renamed::Entirely) => Ok(()),
                Ok(Renamed::ButLeftOver(errno)) => {
                    return Err(left_over(Operation::Write, &self.key, partial.name(), errno));
                }
                Err(errno) => Err(errno),
            },
            Expect::Anything | Expect::Unchanged(_) => {
                rustix::fs::renameat(&self.directory, partial.name(), &self.directory, self.name())
            }
        };
        match renamed {
            Ok(()) => {
                partial.keep();
                Ok(())
            }
            Err(Errno::EXIST) => Err(self.taken()),
            Err(errno) => Err(self.failed(errno)),
        }
    }

    /// Renames only if the final name is free, even if two writers do this at once.
    fn rename_to_new(&self, partial: &Partial) -> Result<Renamed, Errno> {
        let directory = self.directory.as_fd();
        match rename_exclusive(directory, partial.name(), directory, self.name()) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {}
            renamed => return renamed.map(|()| Renamed::Entirely),
        }
        match rustix::fs::linkat(&self.directory, partial.name(), &self.directory, self.name(), AtFlags::empty()) {
            Ok(()) => match rustix::fs::unlinkat(&self.directory, partial.name(), AtFlags::empty()) {
                Ok(()) => Ok(Renamed::Entirely),
                Err(errno) => Ok(Renamed::ButLeftOver(errno)),
            },
            Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::MLINK) => {
                self.rename_after_a_look(partial).map(|()| Renamed::Entirely)
            }
            Err(errno) => Err(errno),
        }
    }

    /// The fallback for file systems with neither exclusive renames nor hard links.
    fn rename_after_a_look(&self, partial: &Partial) -> Result<(), Errno> {
        match rustix::fs::statat(&self.directory, self.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => rustix::fs::renameat(&self.directory, partial.name(), &self.directory, self.name()),
            Err(errno) => Err(errno),
        }
    }

    fn taken(&self) -> StoreError {
        StoreError::new(ErrorKind::AlreadyExists, Operation::Write).with_key(&self.key)
    }

    fn failed(&self, errno: Errno) -> StoreError {
        failed(Operation::Write, &self.key, errno)
    }
}
