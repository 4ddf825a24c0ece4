//! Compares marks with the current state of the system: which of them may be removed, and why the others stay.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::site::Sites;
use super::directory::Found;
use super::names::{Links, Names, Part};
use super::writing::{Writers, Writing};

/// What the marks are compared with: the processes that run, and where paths lead.
#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) writers: Writers,
    pub(super) links: Links,
    pub(super) sites: Sites,
}

impl Now {
    /// Returns true if no process may write at the paths of a mark any more.
    pub(super) fn has_ended(&self, mark: &Found) -> bool {
        self.writers.of(mark) == Writing::Ended
    }

    /// Returns true if every path of a mark leads to the output of the mark.
    pub(super) fn is_here(&mut self, mark: &Found) -> bool {
        self.not_here(mark).is_none()
    }

    /// Returns the first path of a mark that does not lead to the output of the mark. A mark of an earlier version does not
    /// record where its output lies.
    fn not_here(&mut self, mark: &Found) -> Option<PathBuf> {
        let then = mark.recorded.as_ref()?.site.as_ref()?;
        mark.paths.iter().flatten().find(|path| !self.sites.has(path, then)).cloned()
    }

    /// Returns true if a mark has a path at these names, below them or above them.
    pub(super) fn concerns(&mut self, mark: &Found, names: &Names) -> bool {
        mark.paths.iter().flatten().any(|path| names.part(path, &mut self.links) != Part::None)
    }
}

/// Why marks of ended sessions stay.
#[derive(Debug)]
pub(super) struct Staying {
    /// The processes that may still write.
    pub(super) writing: BTreeSet<u32>,
    /// The paths that led to another place when they were marked. Each path has its mark.
    pub(super) elsewhere: Vec<(PathBuf, PathBuf)>,
    /// The first mark that stays because processes are not visible.
    pub(super) invisible: Option<PathBuf>,
}

/// Returns why marks that concern a path with these names stay.
pub(super) fn staying(found: &[Found], names: &Names, now: &mut Now) -> Staying {
    Staying {
        writing: processes(found, names, now),
        elsewhere: elsewhere(found, names, now),
        invisible: invisible(found, names, now),
    }
}

/// Returns the marks that have no path outside the names, whose paths lead to their output, and at whose paths no process
/// may write any more.
pub(super) fn ended(found: &[Found], names: &Names, now: &mut Now) -> Vec<PathBuf> {
    let is_inside = |found: &Found, links: &mut Links| {
        found.paths.as_ref().is_some_and(|paths| paths.iter().all(|path| names.contain(path, links)))
    };
    let ended =
        found.iter().filter(|found| is_inside(found, &mut now.links) && now.has_ended(found) && now.is_here(found));
    ended.map(|found| found.file.clone()).collect()
}

/// Returns the paths of the marks of ended sessions whose output lies elsewhere, if the marks concern a path with these
/// names. Each path has its mark.
fn elsewhere(found: &[Found], names: &Names, now: &mut Now) -> Vec<(PathBuf, PathBuf)> {
    let mut elsewhere = Vec::new();
    for found in found {
        if now.concerns(found, names) && now.has_ended(found) {
            elsewhere.extend(now.not_here(found).map(|path| (path, found.file.clone())));
        }
    }
    elsewhere
}

/// Returns the first mark that concerns a path with these names and that stays because processes are not visible.
fn invisible(found: &[Found], names: &Names, now: &mut Now) -> Option<PathBuf> {
    let is_invisible = |found: &&Found| now.concerns(found, names) && now.writers.of(found) == Writing::Invisible;
    found.iter().find(is_invisible).map(|found| found.file.clone())
}

/// Returns the processes of ended sessions that may write to a path with these names.
fn processes(found: &[Found], names: &Names, now: &mut Now) -> BTreeSet<u32> {
    let of =
        |found: &Found, now: &Now| if let Writing::Processes(ids) = now.writers.of(found) { ids } else { Vec::new() };
    let mut all = BTreeSet::new();
    for found in found {
        if now.concerns(found, names) {
            all.extend(of(found, now));
        }
    }
    all
}
