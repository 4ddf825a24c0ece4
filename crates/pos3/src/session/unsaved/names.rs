//! The names of one local path: [`Names`], and the links in marked paths: [`Links`].

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use pos3_core::Key;

use super::super::registration::Registration;
use crate::local_path::resolve;
use crate::place::Overlaps;

/// The names of one local path. A link in the path may be changed, or what it leads to may be moved, so each name may
/// be the only one that a mark has.
#[derive(Debug)]
pub(super) struct Names(Vec<PathBuf>);

/// Compares the names of one path with many marked paths. Marks can be thousands, most of them in the same few
/// directories, and each name of each directory costs a system call. So a directory is resolved once, and the table of
/// mounts is read once. The value is only used for a moment, because links and mounts can change.
#[derive(Debug, Default)]
pub(super) struct Links {
    directories: HashMap<PathBuf, PathBuf>,
    overlaps: Option<Overlaps>,
}

/// The part of a path that a marked path has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    None,
    /// Everything with this relative key and below it.
    Below(Key),
    Everything,
}

impl Names {
    /// Returns the names of a path of a registration: with links resolved, and as it was given.
    pub(super) fn of(registration: &Registration, path: &Path) -> Self {
        let below = path.strip_prefix(&registration.local).ok();
        let given = registration.given.as_ref().zip(below).map(|(given, below)| given.join(below));
        Self(std::iter::once(path.to_owned()).chain(given).collect())
    }

    /// Returns the names of a path in the cache: with links resolved, and as it is.
    pub(super) fn with_links(path: &Path) -> Self {
        Self(vec![resolve(path), path.to_owned()])
    }

    #[cfg(test)]
    pub(super) fn one(path: PathBuf) -> Self {
        Self(vec![path])
    }

    /// Returns the name with links resolved.
    pub(super) fn resolved(&self) -> &Path {
        &self.0[0]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter()
    }

    /// Returns the relative path of this path in a marked path that is this one or lies above it, if it is valid UTF-8.
    pub(super) fn inside(&self, marked: &Path, links: &mut Links) -> Option<String> {
        let resolved = links.resolve(marked);
        let mut pairs = self.iter().flat_map(|name| [marked, &resolved].map(|marked| (name, marked)));
        pairs.find_map(|(name, marked)| name.strip_prefix(marked).ok())?.to_str().map(str::to_owned)
    }

    /// Returns true if another path is this one or lies inside it.
    pub(super) fn contain(&self, path: &Path, links: &mut Links) -> bool {
        let is_inside = |path: &Path| self.iter().any(|name| path.starts_with(name));
        is_inside(path) || is_inside(&links.resolve(path))
    }

    /// Returns the part of this path that a marked path has.
    pub(super) fn part(&self, marked: &Path, links: &mut Links) -> Part {
        let resolved = links.resolve(marked);
        let pairs = || self.iter().flat_map(|name| [marked, &resolved].map(|marked| (name, marked)));
        if pairs().any(|(name, marked)| name.starts_with(marked)) {
            return Part::Everything;
        }
        match pairs().find_map(|(name, marked)| marked.strip_prefix(name).ok()).map(Path::to_str) {
            Some(Some(key)) => Part::Below(Key::from(key)),
            // A key cannot express this name.
            Some(None) => Part::Everything,
            None if links.overlap(self.resolved(), marked) => Part::Everything,
            None => Part::None,
        }
    }
}

impl Links {
    /// Returns the path with all symbolic links resolved, as far as it exists.
    fn resolve(&mut self, path: &Path) -> PathBuf {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return resolve(path) };
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            return resolve(path);
        }
        match self.directories.get(directory) {
            Some(resolved) => resolved.join(name),
            None => self.directories.entry(directory.to_owned()).or_insert(resolve(directory)).join(name),
        }
    }

    /// Returns true if a marked path overlaps with the path whose names are compared.
    fn overlap(&mut self, own: &Path, marked: &Path) -> bool {
        self.overlaps.get_or_insert_with(|| Overlaps::of(own)).has(marked)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_is_compared_by_all_its_names() {
        let disk = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(disk.path()).unwrap();
        fs::create_dir_all(base.join("real/out")).unwrap();
        symlink("real", base.join("link")).unwrap();
        let links = &mut Links::default();
        let names = Names(vec![base.join("moved/out"), base.join("link/out")]);
        let below = |key| Part::Below(Key::from(key));
        for (marked, expected) in [
            ("moved/out", Part::Everything),
            ("moved", Part::Everything),
            ("moved/out/a/b", below("a/b")),
            ("link/out", Part::Everything),
            ("link/out/a", below("a")),
            ("moved/out2", Part::None),
            ("other", Part::None),
        ] {
            assert_eq!(names.part(&base.join(marked), links), expected, "{marked}");
        }
        assert_eq!(names.part(&base.join("moved/out").join(OsStr::from_bytes(b"\xff")), links), Part::Everything);
        let links = &mut Links::default();
        let names = Names(vec![base.join("real/out")]);
        for (marked, expected) in [("link", Part::Everything), ("link/out/a", below("a"))] {
            assert_eq!(names.part(&base.join(marked), links), expected, "{marked}");
        }
        for (marked, expected) in [("link", Some("out")), ("real/out", Some("")), ("link/out/a", None), ("other", None)]
        {
            assert_eq!(names.inside(&base.join(marked), links).as_deref(), expected, "{marked}");
        }
        assert!(names.contain(&base.join("link/out/a"), links) && !names.contain(&base.join("link"), links));
    }

    #[test]
    fn many_paths_of_a_directory_are_resolved_like_each_of_them() {
        let disk = tempfile::tempdir().unwrap();
        fs::create_dir_all(disk.path().join("real/a")).unwrap();
        fs::write(disk.path().join("real/file"), "").unwrap();
        symlink("real", disk.path().join("link")).unwrap();
        symlink("../real/a", disk.path().join("real/inner")).unwrap();
        symlink("nowhere", disk.path().join("dangling")).unwrap();
        let mut links = Links::default();
        for path in [
            "link",
            "link/a",
            "link/file",
            "link/file/x",
            "link/inner",
            "link/inner/x",
            "link/none",
            "link/none/x",
            "link/..",
            "link/../real",
            "link/a/../none",
            "none/../link",
            "none/../link/a",
            "dangling",
            "dangling/x",
            "link/a/",
            "link/./a",
            "",
            "link/none",
        ] {
            let path = disk.path().join(path);
            assert_eq!(links.resolve(&path), resolve(&path), "{}", path.display());
        }
        assert_eq!(links.resolve(Path::new("/")), Path::new("/"));
    }
}
