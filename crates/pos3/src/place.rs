//! The actual place of a location: [`Place`].
//!
//! One directory or prefix can have many names. A sync between two names of one place would copy it into itself, or
//! delete its own source. So locations are always compared here and never by their text.

mod directory;
mod mounts;

use std::path::Path;

use directory::Directory;
use mounts::Mounts;
pub(crate) use mounts::{MountPoint, mount_points};

/// The actual place of a location, for comparison with others. Two places are equal if their names are.
#[derive(Clone, Debug)]
pub struct Place {
    name: String,
    directory: Option<Directory>,
}

impl Place {
    /// Returns the place with a name that ends in `/`; see [`Provider::place`](crate::Provider::place).
    pub(crate) fn named(name: String) -> Self {
        Self { name, directory: None }
    }

    /// Returns the place of a local path, which need not exist.
    pub(crate) fn local(name: String, path: &Path) -> Self {
        Self { name, directory: Some(Directory::of(path)) }
    }

    /// Returns the name, which ends in `/`. Equal places have equal names, as far as names can show this.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path from `outer` to this place if it lies inside: empty for the same place, otherwise with a
    /// trailing `/`.
    pub fn inside(&self, outer: &Self) -> Option<String> {
        if let Some(below) = self.name.strip_prefix(&outer.name) {
            return Some(below.to_owned());
        }
        self.directory.as_ref()?.inside(outer.directory.as_ref()?)
    }

    /// Returns true if one place is the other or lies inside it, or if any file can be reached through both, for
    /// example by a mount below one of them that shows a part of the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = || match (&self.directory, &other.directory) {
            (Some(own), Some(other)) => own.meets(other),
            (None, _) | (_, None) => false,
        };
        self.inside(other).is_some() || other.inside(self).is_some() || meet()
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Place {}

/// Returns true if one path is the other or lies inside it, whatever their names are, or if any file can be reached
/// through both.
pub(crate) fn paths_overlap(one: &Path, other: &Path) -> bool {
    Overlaps::of(one).has(other)
}

/// Compares one path with others, as [`paths_overlap`] does. The table of mounts is read only once.
#[derive(Debug)]
pub(crate) struct Overlaps {
    own: Directory,
    mounts: Mounts,
}

impl Overlaps {
    pub(crate) fn of(path: &Path) -> Self {
        let mounts = Mounts::read();
        Self { own: Directory::at(path, &mounts), mounts }
    }

    /// Returns true if the path overlaps with another one.
    pub(crate) fn has(&self, other: &Path) -> bool {
        let (own, other) = (&self.own, Directory::at(other, &self.mounts));
        own.inside(&other).is_some() || other.inside(own).is_some() || own.meets(&other)
    }
}
