//! Marks of cache roots below the target of a download: [`Nested`].
//!
//! They are looked for while the target is listed, in the directories of existing files only. To look for them before
//! would list the target twice.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pos3_core::Key;

use super::super::mark::MARKS;
use super::directory::{Directory, Found};
use super::names::{Links, Names, Part};

/// The marks below a directory, as far as they have been found.
#[derive(Debug)]
pub(super) struct Nested {
    names: Names,
    found: Mutex<Marked>,
}

#[derive(Debug, Default)]
struct Marked {
    /// The relative directory of the last file. Those above it have been looked at, too.
    last: String,
    everything: bool,
    below: Vec<Key>,
    unreadable: Vec<PathBuf>,
}

impl Nested {
    /// Returns the marks below a path.
    pub(super) fn new(names: Names) -> Self {
        Self { names, found: Mutex::default() }
    }

    /// Returns true if the file with this key may be unsaved output, or is a mark itself.
    pub(super) fn covers(&self, key: &Key) -> bool {
        let Some((directory, _name)) = key.as_str().rsplit_once('/') else { return false };
        if directory.split('/').any(|name| name == MARKS) {
            return true;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.look_at(directory, &self.names);
        found.everything || found.below.iter().any(|root| key == root || key.is_inside(root.as_str()))
    }

    /// Returns the marks that cannot be read, as far as they have been found.
    pub(super) fn unreadable(&self) -> Vec<PathBuf> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).unreadable.clone()
    }
}

impl Marked {
    /// Reads the marks in a relative directory and in those above it, unless the last call did so. The keys of a listing
    /// are sorted, so each directory is looked at once.
    fn look_at(&mut self, directory: &str, names: &Names) {
        if directory == self.last {
            return;
        }
        let last = std::mem::replace(&mut self.last, directory.to_owned());
        let ends = directory.match_indices('/').map(|(at, _)| at).chain([directory.len()]);
        for end in ends.filter(|end| !is_inside(&last, &directory[..*end])) {
            self.read(&names.resolved().join(&directory[..end]), names);
        }
    }

    fn read(&mut self, base: &Path, names: &Names) {
        let path = base.join(MARKS);
        let marks = match Directory::open(&path, base) {
            Ok(None) => return,
            Ok(Some(directory)) => directory.marks(),
            Err(_) => vec![Found::unreadable(path)],
        };
        let mut links = Links::default();
        for Found { file, paths, .. } in marks {
            // A mark that cannot be read may be of any path in its cache root.
            let roots = paths.unwrap_or_else(|| {
                self.unreadable.push(file);
                vec![base.to_owned()]
            });
            for root in roots {
                match names.part(&root, &mut links) {
                    Part::None => {}
                    Part::Below(key) => self.below.push(key),
                    Part::Everything => self.everything = true,
                }
            }
        }
    }
}

/// Returns true if a relative directory is another one or lies inside it.
fn is_inside(directory: &str, outer: &str) -> bool {
    directory.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::mark_file::Recorded;
    use super::*;

    #[test]
    fn marks_below_a_target_are_found_with_its_files() {
        let disk = tempfile::tempdir().unwrap();
        let target = fs::canonicalize(disk.path()).unwrap();
        let system = super::super::system::System::this();
        let recorded = Recorded { site: None, session: None, system, id: "id".to_owned(), writers: Vec::new() };
        let mark = |root: &str, path: &str| {
            let root = target.join(root);
            fs::create_dir_all(&root).unwrap();
            Directory::create(&root.join(MARKS), &root).unwrap().write(&[path.into()], &recorded).unwrap()
        };
        let _marks = [mark("a/root", "_/out"), mark("b", ""), mark("c/d", "x/file")];
        fs::create_dir_all(target.join("e")).unwrap();
        fs::write(target.join("e").join(MARKS), "no directory").unwrap();
        let nested = Nested::new(Names::one(target));
        for (key, expected) in [
            ("file", false),
            ("a/root/.pos3-unsaved/mark", true),
            ("a/root/_/other", false),
            ("a/root/_/out/1", true),
            ("a/root/_/out/deep/2", true),
            ("a/root2/_/out/1", false),
            ("b/1", true),
            ("b/deep/1", true),
            ("ba/1", false),
            ("c/d/x/file", true),
            ("c/d/x/file2", false),
            ("e/deep/1", true),
            // Out of order.
            ("a/root/_/out/1", true),
            ("a/other", false),
        ] {
            assert_eq!(nested.covers(&Key::from(key)), expected, "{key}");
        }
        assert!(
            nested.unreadable().iter().all(|path| path.ends_with("e/.pos3-unsaved")) && !nested.unreadable().is_empty()
        );
    }
}
