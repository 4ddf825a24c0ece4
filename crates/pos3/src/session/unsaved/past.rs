//! Past marks.
//!
//! A past mark protects no files: they are stored, or a later mark covers them. It belongs to a session that has ended without
//! a success. Another session that ran at the same time may have seen files that the program of the failed session removed, and
//! must not delete their objects. So the mark stays until no session runs there any more that it could concern.

use std::path::PathBuf;

use super::compared::Now;
use super::directory::{self, Found};
use super::names::{Links, Names};

/// Returns true if a session with another ID may run whose output overlaps with a path with these names. A running session
/// has locked its mark.
pub(super) fn is_shared(found: &[Found], id: &str, names: &Names) -> bool {
    let mut now = Now::default();
    let is_own = |mark: &Found| mark.recorded.as_ref().is_some_and(|recorded| recorded.id == id);
    let mut runs_there = |mark: &Found| mark.paths.is_none() || now.concerns(mark, names);
    found.iter().any(|mark| mark.is_locked && !is_own(mark) && runs_there(mark))
}

/// Ends the protection of files by marks. They become past marks if other sessions run there.
pub(super) fn release(marks: &[PathBuf], is_shared: bool) {
    let release = if is_shared { directory::make_past } else { directory::remove };
    marks.iter().for_each(|mark| release(mark));
}

/// Removes the past marks that have no path outside these names, where no other session runs.
pub(super) fn remove(past: &[Found], names: &Names) {
    let mut links = Links::default();
    let mut is_inside = |mark: &&Found| {
        mark.paths.as_ref().is_some_and(|paths| paths.iter().all(|path| names.contain(path, &mut links)))
    };
    past.iter().filter(|mark| is_inside(mark)).for_each(|mark| directory::remove(&mark.file));
}
