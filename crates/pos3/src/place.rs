//! Where a location really is: [`Place`].
//!
//! One directory or prefix can go by many names. A sync of two names of one place would copy it into itself, and with
//! deletes remove what it reads. So every comparison of two locations is made here, and nowhere by their texts.

mod directory;
mod mounts;

use std::path::Path;

use directory::Directory;

/// Where a location really is, to be compared with others. Two places are equal if their names are.
#[derive(Clone, Debug)]
pub struct Place {
    name: String,
    directory: Option<Directory>,
}

impl Place {
    /// Returns the place of a name that ends in `/`; see [`Provider::place`](crate::Provider::place).
    pub(crate) fn named(name: String) -> Self {
        Self { name, directory: None }
    }

    /// Returns the place of a path on this machine, which need not exist.
    pub(crate) fn local(name: String, path: &Path) -> Self {
        Self { name, directory: Some(Directory::of(path)) }
    }

    /// Returns the name: a text that ends in `/`, equal for equal places as far as names can tell.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path from `outer` to this place if it lies inside it: empty if it is the same place, else with a `/`
    /// at its end.
    pub fn inside(&self, outer: &Self) -> Option<String> {
        if let Some(below) = self.name.strip_prefix(&outer.name) {
            return Some(below.to_owned());
        }
        self.directory.as_ref()?.inside(outer.directory.as_ref()?)
    }

    /// Returns true if one place is the other or lies inside it, or if anything can be reached in both, such as what is
    /// mounted below one and is a part of the other.
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

/// Returns true if one of two paths is the other or lies inside it, whatever names they have, or if anything can be reached
/// in both.
pub(crate) fn paths_overlap(one: &Path, other: &Path) -> bool {
    let (one, other) = (Directory::of(one), Directory::of(other));
    one.inside(&other).is_some() || other.inside(&one).is_some() || one.meets(&other)
}
