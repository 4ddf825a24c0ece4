//! Outputs of sessions that have not ended: [`Active`].
//!
//! A file that is missing there may have been removed by the program of such a session, which deletes the object of the file
//! only when it ends.

use std::path::{Path, PathBuf};

use pos3_core::Key;

use super::compared::Now;
use super::directory::Found;
use super::names::{Names, Part};
use super::writing::Writing;

/// An output of a session that has not ended, at the target of a download, in it or above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Active {
    pub(in super::super) position: Position,
    /// Whether the session itself runs. Otherwise, processes of its program may still run.
    pub(in super::super) is_running: bool,
}

/// Where an output lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Position {
    /// The path of the output is that of the target, or lies above it. The text is the relative path of the target, which is
    /// empty if both are the same.
    Around(PathBuf, String),
    /// The path of the output has this relative key in the target.
    Inside(PathBuf, Key),
    /// The output may be anywhere in the target: its mark cannot be read, or the two overlap by a mount.
    Unknown,
}

impl Active {
    /// Returns true if the file with this key belongs to the output.
    pub(in super::super) fn covers(&self, key: &Key) -> bool {
        match &self.position {
            Position::Inside(_, root) => key == root || key.is_inside(root.as_str()),
            Position::Around(..) | Position::Unknown => true,
        }
    }
}

/// Returns the outputs of sessions that have not ended, from the marks that may concern a target with these names.
pub(super) fn active(found: &[Found], names: &Names, now: &mut Now) -> Vec<Active> {
    let mut active = Vec::new();
    for mark in found {
        let positions: Vec<_> = match &mark.paths {
            Some(paths) => paths.iter().filter_map(|path| position(path, names, now)).collect(),
            None => vec![Position::Unknown],
        };
        if positions.is_empty() {
            continue;
        }
        let is_running = match now.writers.of(mark) {
            Writing::Ended => continue,
            Writing::Session => true,
            Writing::Processes(_) | Writing::Unknown | Writing::Invisible => false,
        };
        for position in positions {
            let output = Active { position, is_running };
            // Many marks can have the same path.
            if !active.contains(&output) {
                active.push(output);
            }
        }
    }
    active
}

fn position(marked: &Path, names: &Names, now: &mut Now) -> Option<Position> {
    match names.part(marked, &mut now.links) {
        Part::None => None,
        Part::Below(key) => Some(Position::Inside(marked.to_owned(), key)),
        Part::Everything => Some(match names.inside(marked, &mut now.links) {
            Some(below) => Position::Around(marked.to_owned(), below),
            None => Position::Unknown,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::directory::Directory;
    use super::super::mark_file::Recorded;
    use super::super::system::{Process, System};
    use super::*;

    #[test]
    fn outputs_of_sessions_that_have_not_ended_have_a_position() {
        let disk = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(disk.path()).unwrap();
        let names = Names::one(base.join("a/b"));
        let directory = Directory::create(&base.join("marks"), &base).unwrap();
        let recorded = Recorded {
            site: None,
            session: Process::find(std::process::id()),
            system: System::this(),
            id: "other".to_owned(),
            writers: Vec::new(),
        };
        let find = || active(&directory.marks(), &names, &mut Now::default());
        for (path, expected) in [
            ("a/b", Some(Position::Around(base.join("a/b"), String::new()))),
            ("a", Some(Position::Around(base.join("a"), "b".to_owned()))),
            ("", Some(Position::Around(base.clone(), "a/b".to_owned()))),
            ("a/b/c/d", Some(Position::Inside(base.join("a/b/c/d"), Key::from("c/d")))),
            ("a/b2", None),
        ] {
            let marks = [(); 2].map(|()| directory.write(&[path.into()], &recorded).unwrap());
            let expected: Vec<_> = expected.into_iter().map(|position| Active { position, is_running: true }).collect();
            assert_eq!(find(), expected, "{path}");
            marks.iter().for_each(|(file, _lock)| fs::remove_file(file).unwrap());
        }
        let (_file, lock) = directory.write(&["a/b".into()], &recorded).unwrap();
        lock.unlock().unwrap();
        assert_eq!(find(), [], "the session has ended");
        fs::create_dir(base.join("marks/unreadable")).unwrap();
        assert_eq!(find(), [Active { position: Position::Unknown, is_running: false }]);
        let covers = |position, key: &str| Active { position, is_running: true }.covers(&Key::from(key));
        let inside = || Position::Inside(base.clone(), Key::from("c"));
        assert_eq!(["c", "c/d", "cd", "e"].map(|key| covers(inside(), key)), [true, true, false, false]);
        assert!(covers(Position::Unknown, "e") && covers(Position::Around(base.clone(), String::new()), "e"));
    }
}
