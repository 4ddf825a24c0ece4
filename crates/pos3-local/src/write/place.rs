//! The place a file is written to: looked at first, and once more before anything there is replaced.

use std::sync::Arc;

use pos3_core::{Entry, ErrorKind, Expect, Key, PutOptions, Result, StoreError};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, Stat, Timespec};
use rustix::io::Errno;

use super::modification;
use super::partial::{Partial, Resumed};
use crate::blocking::Waited;
use crate::error::{changed, failed};
use crate::facts;
use crate::path;
use crate::root::Root;

/// An open directory and the name a file is to have in it.
pub(super) struct Place {
    directory: Arc<OwnedFd>,
    key: Key,
    expect: Expect,
    modified: Option<Timespec>,
    /// The permissions of the file that is replaced, which the new one keeps.
    mode: Option<Mode>,
}

impl Place {
    /// Opens the directory of `key`, makes it if needed, and looks whether a file may be written there.
    pub(super) fn open(root: &Root, key: Key, options: &PutOptions) -> Result<Self> {
        let opened = root.open_to_write("write")?;
        let (parent, _) = path::split(key.as_str());
        let directory = path::open_or_make(opened.as_fd(), parent).map_err(|error| error.writing("write", &key))?;
        let modified = options.modified.and_then(facts::timespec);
        let directory = Arc::new(directory);
        let mut place = Self { directory, key, expect: options.expect.clone(), modified, mode: None };
        place.mode = place.check()?.map(|stat| Mode::from_raw_mode(stat.st_mode) & Mode::from_raw_mode(0o777));
        Ok(place)
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Makes an unfinished file beside the final one.
    pub(super) fn make_partial(&self) -> Result<Partial> {
        Partial::make(self.directory.clone(), self.mode).map_err(|errno| self.failed(errno))
    }

    /// Opens the unfinished file `name` beside the final one, to go on with it if it is not longer than `size`, or makes
    /// it. Returns none if somebody else writes to it.
    pub(super) fn resume_partial(&self, name: &str, size: Option<u64>) -> Result<Option<Resumed>> {
        Partial::resume(self.directory.clone(), name, self.mode, size).map_err(|errno| self.failed(errno))
    }

    /// Gives a complete file of `size` bytes its time and its final name.
    pub(super) fn put(&self, partial: &Partial, size: u64, waited: &Waited) -> Result<Entry> {
        if let Some(stamp) = self.modified {
            rustix::fs::futimens(partial.file(), &modification(stamp)).map_err(|errno| self.failed(errno))?;
        }
        let written = rustix::fs::fstat(partial.file()).map_err(|errno| self.failed(errno))?;
        if facts::size(&written) != size {
            return Err(StoreError::new(ErrorKind::Integrity, "write")
                .with_key(&self.key)
                .with_message(format!("{} bytes arrived instead of {size}", facts::size(&written))));
        }
        self.check()?;
        waited.check()?;
        self.rename(partial)?;
        let placed = rustix::fs::fstat(partial.file()).map_err(|errno| self.failed(errno))?;
        // The rename changes no content: another size or time is another writer's work, which is not ours to vouch for.
        if facts::size(&placed) != size || facts::modified(&placed) != facts::modified(&written) {
            return Err(changed("write", &self.key));
        }
        Ok(facts::file(self.key.clone(), &placed))
    }

    /// Gives a complete file in another directory the final name, if nothing has it. Returns none, and changes nothing, where
    /// the file system cannot do that.
    pub(super) fn take(&self, directory: &OwnedFd, name: &str) -> Result<Option<Entry>> {
        match rename_exclusive(directory, name, &self.directory, self.name()) {
            Ok(()) => match self.look()? {
                Some(stat) => Ok(Some(facts::file(self.key.clone(), &stat))),
                None => Err(changed("write", &self.key)),
            },
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::XDEV) => Ok(None),
            Err(Errno::EXIST) => Err(self.taken()),
            Err(errno) => Err(self.failed(errno)),
        }
    }

    fn name(&self) -> &str {
        path::split(self.key.as_str()).1
    }

    /// Returns the file at the place, if one is there and it is what is expected.
    fn check(&self) -> Result<Option<Stat>> {
        let found = self.look()?;
        match (&self.expect, &found) {
            (Expect::Absent, Some(_)) => Err(self.taken()),
            (Expect::Unchanged(seen), Some(stat)) if *seen == facts::fingerprint(stat) => Ok(found),
            (Expect::Unchanged(_), _) => Err(changed("write", &self.key)),
            (Expect::Anything | Expect::Absent, _) => Ok(found),
        }
    }

    fn look(&self) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.directory, self.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match facts::file_type(&stat) {
                FileType::RegularFile => Ok(Some(stat)),
                other => Err(StoreError::new(ErrorKind::AlreadyExists, "write")
                    .with_key(&self.key)
                    .with_message(format!("'{}' is a {}", self.key, facts::name(other)))),
            },
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed(errno)),
        }
    }

    fn rename(&self, partial: &Partial) -> Result<()> {
        let renamed = match self.expect {
            Expect::Absent => self.rename_to_new(partial),
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

    /// Renames only if nothing has the final name, also when two writers do this at once.
    fn rename_to_new(&self, partial: &Partial) -> Result<(), Errno> {
        match rename_exclusive(&self.directory, partial.name(), &self.directory, self.name()) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {}
            renamed => return renamed,
        }
        match rustix::fs::linkat(&self.directory, partial.name(), &self.directory, self.name(), AtFlags::empty()) {
            Ok(()) => rustix::fs::unlinkat(&self.directory, partial.name(), AtFlags::empty()),
            Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::MLINK) => self.rename_after_a_look(partial),
            Err(errno) => Err(errno),
        }
    }

    /// All that is left where the file system has neither exclusive renames nor hard links.
    fn rename_after_a_look(&self, partial: &Partial) -> Result<(), Errno> {
        match rustix::fs::statat(&self.directory, self.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => rustix::fs::renameat(&self.directory, partial.name(), &self.directory, self.name()),
            Err(errno) => Err(errno),
        }
    }

    fn taken(&self) -> StoreError {
        StoreError::new(ErrorKind::AlreadyExists, "write").with_key(&self.key)
    }

    fn failed(&self, errno: Errno) -> StoreError {
        failed("write", &self.key, errno)
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_exclusive(from: &OwnedFd, name: &str, to: &OwnedFd, new_name: &str) -> Result<(), Errno> {
    rustix::fs::renameat_with(from, name, to, new_name, rustix::fs::RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_exclusive(_from: &OwnedFd, _name: &str, _to: &OwnedFd, _new_name: &str) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}
