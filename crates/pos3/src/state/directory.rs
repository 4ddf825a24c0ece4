//! The directory of the databases, and the checks of its owner and permissions.
//!
//! The directory may be inside one that other users can write to, such as `/tmp`. They could plant a link under the
//! name of a database, and pos3 would then truncate the user's file that it points to. So the directory is opened once
//! and checked, and each file in it is opened without following links and checked too.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::pair::Pair;
use crate::error::StateError;

const DIRECTORY: &str = "POS3_STATE_DIR";
const XDG: &str = "XDG_STATE_HOME";
const HOME: &str = "HOME";

/// The directory of the sync state. It is created when it is first needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDirectory(PathBuf);

impl StateDirectory {
    /// Returns the state directory with this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the directory that the environment selects: `POS3_STATE_DIR`, else `$XDG_STATE_HOME/pos3`, else
    /// `$HOME/.local/state/pos3`. An empty variable is treated as not set, and so is a relative `XDG_STATE_HOME`, as
    /// its specification requires.
    pub fn from_env() -> Option<Self> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// Returns the directory that the environment selects, like [`from_env`](Self::from_env).
    ///
    /// # Errors
    ///
    /// Returns an error if it selects none.
    pub fn required_from_env() -> Result<Self, StateError> {
        Self::from_env().ok_or(StateError::NoDirectory)
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let found = path(DIRECTORY)
            .or_else(|| path(XDG).filter(|xdg| xdg.is_absolute()).map(|xdg| xdg.join("pos3")))
            .or_else(|| path(HOME).map(|home| home.join(".local/state/pos3")))?;
        Some(Self(found))
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Creates the directory if it is missing, and checks that no other user can replace its files.
    pub(crate) fn prepare(&self) -> Result<(), StateError> {
        self.open().map(drop)
    }

    /// Returns the path of a pair's database. The extension names the format of the database library. A format that
    /// this library cannot read must use another extension; otherwise the file would be treated as damaged and
    /// replaced.
    pub(super) fn database(&self, pair: &Pair) -> PathBuf {
        self.0.join(format!("{}.redb", pair.file_stem()))
    }

    /// Returns the path of a pair's lock file. It is not the database itself, so that a damaged database can be
    /// replaced while the pair is locked.
    pub(super) fn lock(&self, pair: &Pair) -> PathBuf {
        self.0.join(format!("{}.lock", pair.file_stem()))
    }

    /// Opens the directory and checks that no other user can replace its files. A missing directory is created with
    /// access for its owner only, because keys can be confidential.
    pub(super) fn open(&self) -> Result<OpenDirectory, StateError> {
        let io = |source| StateError::Io { path: self.0.clone(), source };
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0).map_err(io)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(CWD, &self.0, flags, Mode::empty()).map_err(|errno| io(errno.into()))?;
        let facts = rustix::fs::fstat(&handle).map_err(|errno| io(errno.into()))?;
        match objection_to_directory(&facts) {
            Some(why) => Err(StateError::Unsafe { path: self.0.clone(), why }),
            None => Ok(OpenDirectory { handle, path: self.0.clone() }),
        }
    }
}

/// An open directory. Its files are accessed through the handle, so later changes of the path have no effect.
#[derive(Debug)]
pub(super) struct OpenDirectory {
    handle: OwnedFd,
    path: PathBuf,
}

impl OpenDirectory {
    /// Opens a file of the directory with access for its owner only, and creates it if needed. `file` is its full path,
    /// but only the last name is looked up in the directory. A link is an error.
    pub(super) fn open_file(&self, file: &Path) -> Result<File, StateError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let unsafe_file = |why| StateError::Unsafe { path: file.to_owned(), why };
        let opened = rustix::fs::openat(&self.handle, self.name(file), flags, Mode::RUSR | Mode::WUSR);
        let handle = opened.map_err(|errno| match errno {
            Errno::LOOP => unsafe_file("it is a symbolic link; remove it"),
            errno => StateError::Io { path: file.to_owned(), source: errno.into() },
        })?;
        let facts = rustix::fs::fstat(&handle);
        let facts = facts.map_err(|errno| StateError::Io { path: file.to_owned(), source: errno.into() })?;
        match objection_to_file(&facts) {
            Some(why) => Err(unsafe_file(why)),
            None => Ok(File::from(handle)),
        }
    }

    /// Opens an existing file of the directory like [`open_file`](Self::open_file), to read it.
    pub(super) fn open_existing(&self, file: &Path) -> Result<File, StateError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let io = |errno: Errno| StateError::Io { path: file.to_owned(), source: errno.into() };
        let handle = rustix::fs::openat(&self.handle, self.name(file), flags, Mode::empty()).map_err(io)?;
        match objection_to_file(&rustix::fs::fstat(&handle).map_err(io)?) {
            Some(why) => Err(StateError::Unsafe { path: file.to_owned(), why }),
            None => Ok(File::from(handle)),
        }
    }

    /// Renames a file of the directory, and replaces the one that has the new name.
    pub(super) fn rename(&self, file: &Path, to: &Path) -> Result<(), StateError> {
        let renamed = rustix::fs::renameat(&self.handle, self.name(file), &self.handle, self.name(to));
        renamed.map_err(|errno| StateError::Io { path: to.to_owned(), source: errno.into() })
    }

    /// Removes a file of the directory.
    pub(super) fn remove_file(&self, file: &Path) -> Result<(), StateError> {
        let removed = rustix::fs::unlinkat(&self.handle, self.name(file), AtFlags::empty());
        removed.map_err(|errno| StateError::Io { path: file.to_owned(), source: errno.into() })
    }

    /// Returns the name of a file in the directory.
    fn name<'a>(&self, file: &'a Path) -> &'a Path {
        file.strip_prefix(&self.path).unwrap_or(file)
    }
}

/// Returns the problem with the directory. Root and the user are trusted as owners. In a directory with the sticky bit,
/// others cannot replace files that they do not own.
fn objection_to_directory(facts: &Stat) -> Option<&'static str> {
    let mode = Mode::from_raw_mode(facts.st_mode);
    let is_trusted = facts.st_uid == rustix::process::geteuid().as_raw() || facts.st_uid == 0;
    let is_shared = mode.intersects(Mode::WGRP | Mode::WOTH) && !mode.contains(Mode::SVTX);
    match (is_trusted, is_shared) {
        (false, _) => Some("it belongs to another user; choose another with POS3_STATE_DIR"),
        (true, true) => Some("other users can write to it; restrict it with chmod go-w"),
        (true, false) => None,
    }
}

/// Returns the problem with a file that was opened without following links.
fn objection_to_file(facts: &Stat) -> Option<&'static str> {
    let mode = Mode::from_raw_mode(facts.st_mode);
    if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
        Some("it is not a regular file; remove it")
    } else if facts.st_uid != rustix::process::geteuid().as_raw() {
        Some("it belongs to another user; remove it")
    } else if facts.st_nlink != 1 {
        Some("it has a second hard link; remove it")
    } else if mode.intersects(Mode::WGRP | Mode::WOTH) {
        Some("other users can write to it; remove it")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_special_variable_names_the_directory() {
        let all = [("POS3_STATE_DIR", "here"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        let empty = [("POS3_STATE_DIR", ""), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        let relative = [("XDG_STATE_HOME", "x"), ("HOME", "/h")];
        for (variables, expected) in [
            (&all[..], Some("here")),
            (&empty, Some("/x/pos3")),
            (&relative, Some("/h/.local/state/pos3")),
            (&[("HOME", "")], None),
            (&[], None),
        ] {
            let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            let found = StateDirectory::from_variables(value);
            assert_eq!(found.as_ref().map(StateDirectory::path), expected.map(Path::new), "{variables:?}");
        }
    }
}
