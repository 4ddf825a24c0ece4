//! Marks local paths that may have output which is stored nowhere else.
//!
//! A session marks the local path of an output before the program can write to it, and removes the mark once everything
//! there is stored. The mark belongs to the path: a download of any location to this path, or to one above or below it,
//! must not overwrite that output. So the marks are not part of the sync state, which belongs to a pair of locations
//! and can be lost. Each session has its own mark, because another session may end first.

mod directory;
mod mark_file;
mod names;
mod nested;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use pos3_core::{Event, Key, run_blocking};
use rustix::io::{FdFlags, fcntl_setfd};

use super::inner::{Inner, absolute};
use super::mark::{MARKS, Mark};
use super::registration::Registration;
use super::unknown;
use crate::location::Location;
use crate::state::ends_with_the_process;
use directory::{Directory, Found};
use names::{Links, Names, Part};
use nested::Nested;

/// The directory in the state directory for marks of paths outside the cache root.
const ELSEWHERE: &str = "unsaved";

/// The parts of a directory that have unsaved output.
#[derive(Clone, Debug)]
pub(super) struct Unsaved {
    /// Whether all of it may have unsaved output.
    everything: bool,
    /// The relative keys of paths that may have unsaved output.
    below: Arc<Vec<Key>>,
    unreadable: Arc<Vec<PathBuf>>,
    /// The marks that sessions left there which had already ended.
    ended: Arc<Vec<PathBuf>>,
    /// The marks of cache roots in the directory.
    nested: Arc<Nested>,
}

/// A directory for the mark of an output, and the paths that the mark contains there.
struct Place {
    directory: PathBuf,
    base: PathBuf,
    paths: Vec<PathBuf>,
}

impl Unsaved {
    /// Returns true if no mark has been found. There may be marks below the directory.
    pub(super) fn is_none_known(&self) -> bool {
        !self.everything && self.below.is_empty()
    }

    /// Returns true if the file with this key may be unsaved output.
    pub(super) fn covers(&self, key: &Key) -> bool {
        let is_inside = |root: &Key| key == root || key.is_inside(root.as_str());
        self.everything || self.below.iter().any(is_inside) || self.nested.covers(key)
    }

    /// Removes the marks of sessions that had already ended, because everything in the directory equals stored objects. A
    /// session that has ended since then may have left output after the directory was listed.
    pub(super) fn clear(&self) {
        self.ended.iter().for_each(|file| directory::remove(file));
    }

    /// Returns a warning for each mark that cannot be read.
    pub(super) fn warnings(&self) -> Vec<String> {
        let nested = self.nested.unreadable();
        self.unreadable.iter().chain(&nested).map(|mark| warning_of(mark)).collect()
    }
}

/// Marks the local path of an output, unless this session has done so. If that fails, the session warns and continues.
pub(super) fn mark(inner: &Inner, registration: &Registration) {
    let local = Location::Local(registration.local.clone());
    let mut mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    if mark.is_some() || ends_with_the_process(&registration.location, &local).is_some() {
        return;
    }
    let names = Names::of(registration, &registration.local);
    let mut made = Mark { files: Vec::new(), left: Vec::new(), locks: Vec::new() };
    for place in places(inner, &names) {
        match place.and_then(|place| place.mark()) {
            Ok((file, lock)) => {
                made.files.push(file);
                made.locks.push(lock);
            }
            Err(error) => warn(
                inner,
                registration,
                &format!(
                    "'{}' cannot be marked as unsaved output, so a later download may overwrite what this session does \
                     not upload: {error}",
                    registration.local.display()
                ),
            ),
        }
    }
    if !made.files.is_empty() {
        made.left = ended(&found(inner, &names), &names, &mut Links::default()).collect();
        *mark = Some(made);
    }
}

/// Sets whether processes that are started from now on inherit the locks of a mark. As long as such a process runs, it may
/// write output, so its mark must not be treated as that of an ended session.
pub(super) fn inherited(registration: &Registration, by_children: bool) {
    let flags = if by_children { FdFlags::empty() } else { FdFlags::CLOEXEC };
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    for lock in mark.iter().flat_map(|mark| &mark.locks) {
        // If this fails, the mark of a killed session can be removed while its program still runs.
        let _not_inherited = fcntl_setfd(lock, flags);
    }
}

/// Removes the mark of an output whose upload has stored everything, unless excluded files are not known to be stored.
pub(super) async fn saved(registration: &Registration) {
    if !registration.kind.exclude().is_empty() && !unknown::are_none(registration).await {
        return;
    }
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(Mark { files, left, locks: _locks }) = mark {
        run_blocking(move || left.iter().chain(&files).for_each(|file| directory::remove(file))).await;
    }
}

/// Returns which parts of a path may have unsaved output. A mark that cannot be read may be of any path.
pub(super) fn below(inner: &Inner, registration: &Registration, path: &Path) -> Unsaved {
    let names = Names::of(registration, path);
    let found = found(inner, &names);
    let mut links = Links::default();
    let ended = ended(&found, &names, &mut links).collect();
    let mut unreadable = Vec::new();
    // Many marks can have the same path, which is compared once.
    let mut roots = BTreeSet::new();
    for Found { file, paths, .. } in found {
        match paths {
            Some(paths) => roots.extend(paths),
            None => unreadable.push(file),
        }
    }
    let (mut everything, mut below) = (!unreadable.is_empty(), Vec::new());
    for root in roots {
        match names.part(&root, &mut links) {
            Part::None => {}
            Part::Below(key) => below.push(key),
            Part::Everything => everything = true,
        }
    }
    let (below, unreadable, ended) = (Arc::new(below), Arc::new(unreadable), Arc::new(ended));
    Unsaved { everything, below, unreadable, ended, nested: Arc::new(Nested::new(names)) }
}

fn warning_of(unreadable: &Path) -> String {
    format!(
        "'{}' marks unsaved output and cannot be read, so pos3 overwrites and deletes no local file that is not known to be \
         stored; once all output is stored, delete it",
        unreadable.display()
    )
}

fn warn(inner: &Inner, registration: &Registration, warning: &str) {
    if inner.is_news(warning) {
        tracing::warn!("{warning}");
        inner.tell(Some(registration), &Event::Warning(warning));
    }
}

/// Returns where the mark of an output belongs. A path in the cache root that leads out of it has two places.
fn places(inner: &Inner, names: &Names) -> Vec<io::Result<Place>> {
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

    /// Writes a mark, and then removes the marks of ended sessions in the same directory that it makes redundant.
    fn mark(&self) -> io::Result<(PathBuf, File)> {
        let directory = Directory::create(&self.directory, &self.base)?;
        let made = directory.write(&self.paths)?;
        let covered: Vec<_> = self.paths.iter().map(|path| self.base.join(path)).collect();
        let is_covered = |path: &PathBuf| covered.iter().any(|root| path.starts_with(root));
        let ended = directory.marks().into_iter().filter(|found| !found.is_alive);
        let redundant = ended.filter(|found| found.paths.as_ref().is_some_and(|paths| paths.iter().all(is_covered)));
        redundant.for_each(|found| directory::remove(&found.file));
        Ok(made)
    }
}

/// Returns the marks of ended sessions that have no path outside the names.
fn ended(found: &[Found], names: &Names, links: &mut Links) -> impl Iterator<Item = PathBuf> {
    let mut is_inside =
        |found: &Found| found.paths.as_ref().is_some_and(|paths| paths.iter().all(|path| names.contain(path, links)));
    found.iter().filter(move |found| !found.is_alive && is_inside(found)).map(|found| found.file.clone())
}

/// Returns the marks of all sessions that may concern a path: those in the cache root, in the state directory, and in
/// every directory above the path, each of which may be or have been a cache root.
fn found(inner: &Inner, names: &Names) -> Vec<Found> {
    let roots = names.iter().flat_map(|name| name.ancestors().map(Path::to_owned)).chain(cache_root(inner));
    let in_roots = roots.map(|root| (root.join(MARKS), root));
    let state = inner.remembers.for_marks().map(|state| state.path().join(ELSEWHERE));
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (path, base) in in_roots.chain(state.map(|path| (path, PathBuf::from("/")))) {
        match Directory::open(&path, &base) {
            Ok(Some(directory)) if seen.insert(directory.identity()) => found.extend(directory.marks()),
            Ok(_) => {}
            Err(_) => found.push(Found::unreadable(path)),
        }
    }
    found
}

fn cache_root(inner: &Inner) -> Option<PathBuf> {
    absolute(&inner.cache_root).ok()
}
