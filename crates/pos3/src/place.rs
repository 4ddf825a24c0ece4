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

/// The actual place of a location, for comparison with others.
///
/// There are two questions. [`inside`](Self::inside) and [`overlaps`](Self::overlaps) answer whether two places may be
/// the same: they only forbid something. [`is_certainly`](Self::is_certainly) and
/// [`is_certainly_inside`](Self::is_certainly_inside) answer whether they are: they permit something.
#[derive(Clone, Debug)]
pub struct Place {
    name: String,
    identity: String,
    directory: Option<Directory>,
}

impl Place {
    /// Returns the place with a name and an identity that end in `/`; see [`Provider::place`](crate::Provider::place) and
    /// [`Provider::identity`](crate::Provider::identity).
    pub(crate) fn remote(name: String, identity: String) -> Self {
        Self { name, identity, directory: None }
    }

    /// Returns the place of a local path, which need not exist.
    pub(crate) fn local(name: String, path: &Path) -> Self {
        Self { identity: name.clone(), name, directory: Some(Directory::of(path)) }
    }

    /// Returns the name, which ends in `/`. Places that may be the same have equal names, as far as names can show this.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the identity, which ends in `/`. Places with equal identities are certainly the same.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Returns true if the two places are certainly the same.
    pub fn is_certainly(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Returns true if this place is certainly `outer` or lies inside it.
    pub fn is_certainly_inside(&self, outer: &Self) -> bool {
        let is_below = || Some(self.directory.as_ref()?.inside(outer.directory.as_ref()?).is_some());
        self.identity.starts_with(&outer.identity) || is_below().unwrap_or(false)
    }

    /// Returns the path from `outer` to this place if it may lie inside: empty for the same place, otherwise with a
    /// trailing `/`.
    pub fn inside(&self, outer: &Self) -> Option<String> {
        if let Some(below) = self.name.strip_prefix(&outer.name) {
            return Some(below.to_owned());
        }
        self.directory.as_ref()?.inside(outer.directory.as_ref()?)
    }

    /// Returns true if one place may be the other or lie inside it, or if any file can be reached through both, for
    /// example by a mount below one of them that shows a part of the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = || match (&self.directory, &other.directory) {
            (Some(own), Some(other)) => own.meets(other),
            (None, _) | (_, None) => false,
        };
        self.inside(other).is_some() || other.inside(self).is_some() || meet()
    }
}

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
