//! The directories of marks: where the mark of an output belongs ([`places`]), and where marks are that may concern a path
//! ([`look`]).

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::super::inner::{Inner, absolute};
use super::super::mark::MARKS;
use super::compared::Now;
use super::directory::{Directory, Found, Which};
use super::mark_file::Recorded;
use super::names::Names;

/// The directory in the state directory for marks of paths outside the cache root.
pub(super) const ELSEWHERE: &str = "unsaved";

/// A directory for the mark of an output, and the paths that the mark contains there.
pub(super) struct Place {
    directory: PathBuf,
    base: PathBuf,
    paths: Vec<PathBuf>,
}

/// Returns where the mark of an output belongs. A path in the cache root that leads out of it has two places.
pub(super) fn places(inner: &Inner, names: &Names) -> Vec<io::Result<Place>> {
    let root = cache_root(inner);
    let in_root = root.as_ref().and_then(|root| Place::in_root(root, names));
    let is_inside = root.is_some_and(|root| names.resolved().starts_with(root));
    let elsewhere = if is_inside { None } else { Place::elsewhere(inner, names).transpose() };
    let places: Vec<_> = in_root.map(Ok).into_iter().chain(elsewhere).collect();
    if places.is_empty() { vec![Err(io::Error::other("there is no directory for the mark"))] } else { places }
}

impl Place {
    /// Returns the place for the names that lie in the cache root, if there are any.
    fn in_root(root: &Path, names: &Names) -> Option<Self> {
        let paths: Vec<_> = names.iter().filter_map(|name| Some(name.strip_prefix(root).ok()?.to_owned())).collect();
        (!paths.is_empty()).then(|| Self { directory: root.join(MARKS), base: root.to_owned(), paths })
    }

    /// Returns the place in the state directory, if there is one.
    fn elsewhere(inner: &Inner, names: &Names) -> io::Result<Option<Self>> {
        let Some(state) = inner.remembers.for_marks() else { return Ok(None) };
        state.prepare().map_err(io::Error::other)?;
        let paths = names.iter().cloned().collect();
        Ok(Some(Self { directory: state.path().join(ELSEWHERE), base: PathBuf::from("/"), paths }))
    }

    /// Writes a mark. The returned file has locked it.
    pub(super) fn mark(&self, recorded: &Recorded) -> io::Result<(PathBuf, File)> {
        Directory::create(&self.directory, &self.base)?.write(&self.paths, recorded)
    }

    /// Returns true if a mark is in the directory.
    pub(super) fn has(&self, mark: &Path) -> bool {
        mark.parent() == Some(&self.directory)
    }

    /// Returns the marks of ended sessions in the directory that a mark of this place makes redundant.
    pub(super) fn redundant(&self) -> Vec<PathBuf> {
        let Ok(Some(directory)) = Directory::open(&self.directory, &self.base) else { return Vec::new() };
        let covered: Vec<_> = self.paths.iter().map(|path| self.base.join(path)).collect();
        let is_covered = |path: &PathBuf| covered.iter().any(|root| path.starts_with(root));
        let is_redundant = |found: &&Found| found.paths.as_ref().is_some_and(|paths| paths.iter().all(is_covered));
        let (marks, mut now) = (directory.marks(), Now::default());
        let redundant = marks.iter().filter(is_redundant).filter(|found| now.has_ended(found) && now.is_here(found));
        redundant.map(|found| found.file.clone()).collect()
    }
}

/// Returns the marks of all sessions that may concern a path.
pub(super) fn found(inner: &Inner, names: &Names) -> Vec<Found> {
    look(inner, names, Which::Marks)
}

/// Returns the marks of one kind that may concern a path: those in the cache root, in the state directory, and in every
/// directory above the path, each of which may be or have been a cache root.
pub(super) fn look(inner: &Inner, names: &Names, which: Which) -> Vec<Found> {
    let roots = names.iter().flat_map(|name| name.ancestors().map(Path::to_owned)).chain(cache_root(inner));
    let in_roots = roots.map(|root| (root.join(MARKS), root));
    let state = inner.remembers.for_marks().map(|state| state.path().join(ELSEWHERE));
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (path, base) in in_roots.chain(state.map(|path| (path, PathBuf::from("/")))) {
        match Directory::open(&path, &base) {
            Ok(Some(directory)) if seen.insert(directory.identity()) => found.extend(directory.all(which)),
            Ok(_) => {}
            Err(_) => found.push(Found::unreadable(path)),
        }
    }
    found
}

pub(super) fn cache_root(inner: &Inner) -> Option<PathBuf> {
    absolute(&inner.cache_root).ok()
}
