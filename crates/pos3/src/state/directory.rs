//! Where the files are.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

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

    /// Makes the directory, for its owner alone: keys can tell secrets.
    pub(super) fn make(&self) -> Result<(), StateError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0).map_err(|source| StateError::Io { path: self.0.clone(), source })
    }
}

/// Opens a file of the directory, or makes it, for its owner alone: the directory can be older, and open to others.
pub(super) fn open_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
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
