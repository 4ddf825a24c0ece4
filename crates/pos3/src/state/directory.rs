//! Where the files are, and whose they are.
//!
//! A state directory can lie where others write, `/tmp` for one. What they plant there under the name of a file of ours, a
//! link to something of the user's, would be truncated. So the directory is opened once and checked, and so is each file
//! in it, without following a link.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::error::StateError;
use super::pair::Pair;

const DIRECTORY: &str = "POS3_STATE_DIR";
const XDG: &str = "XDG_STATE_HOME";
const HOME: &str = "HOME";

/// The directory of what is remembered; it is made when it is first needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDirectory(PathBuf);

impl StateDirectory {
    /// Returns this directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the directory that the environment names: `POS3_STATE_DIR`, else `$XDG_STATE_HOME/pos3`, else
    /// `$HOME/.local/state/pos3`. An empty variable counts as not set, and so does a relative `XDG_STATE_HOME`, as its
    /// specification asks.
    pub fn from_env() -> Option<Self> {
        Self::from_variables(|name| std::env::var_os(name))
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

    /// Returns the file of a pair. The extension names the database's own format: one that this program's database
    /// cannot read must have another name, or it would be taken for damaged and thrown away.
    pub(super) fn database(&self, pair: &Pair) -> PathBuf {
        self.0.join(format!("{}.redb", pair.file_stem()))
    }

    /// Returns the file whose lock is the pair's. It is not the database, so that a damaged one can be replaced while
    /// the pair is locked.
    pub(super) fn lock(&self, pair: &Pair) -> PathBuf {
        self.0.join(format!("{}.lock", pair.file_stem()))
    }

    /// Opens the directory and checks that no other user can replace what is in it. Where there is none it is made, for
    /// its owner alone: keys can tell secrets.
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

/// A directory that is open, whatever its path leads to later.
#[derive(Debug)]
pub(super) struct OpenDirectory {
    handle: OwnedFd,
    path: PathBuf,
}

impl OpenDirectory {
    /// Opens a file of the directory, or makes it, for its owner alone. `file` is its whole path; only its last name is
    /// looked up, and a link is an error.
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

/// Returns what is wrong with a directory: root and the user can be trusted, and in one with the sticky bit others cannot
/// replace what is not theirs.
fn objection_to_directory(facts: &Stat) -> Option<&'static str> {
    let mode = Mode::from_raw_mode(facts.st_mode);
    let is_trusted = facts.st_uid == rustix::process::geteuid().as_raw() || facts.st_uid == 0;
    let is_shared = mode.intersects(Mode::WGRP | Mode::WOTH) && !mode.contains(Mode::SVTX);
    match (is_trusted, is_shared) {
        (false, _) => Some("it belongs to another user; choose another with POS3_STATE_DIR"),
        (true, true) => Some("others can write to it; take that away: chmod go-w"),
        (true, false) => None,
    }
}

/// Returns what is wrong with a file that was opened without following a link.
fn objection_to_file(facts: &Stat) -> Option<&'static str> {
    let mode = Mode::from_raw_mode(facts.st_mode);
    if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
        Some("it is not a regular file; remove it")
    } else if facts.st_uid != rustix::process::geteuid().as_raw() {
        Some("it belongs to another user; remove it")
    } else if facts.st_nlink != 1 {
        Some("it has another name, a hard link; remove it")
    } else if mode.intersects(Mode::WGRP | Mode::WOTH) {
        Some("others can write to it; remove it")
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
