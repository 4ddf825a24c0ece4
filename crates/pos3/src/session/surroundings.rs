//! Detects that the directories of an output are not those of its beginning: [`Surroundings`].
//!
//! If a file system is mounted or unmounted there, or if a directory above the output is replaced, the path of the output
//! leads to other files than those that the program wrote. An older copy of the output would then replace newer objects,
//! and an empty directory would look like an output without changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pos3_local::FileSystem;

use super::overlay;
use crate::place::mount_points;

/// More than one tick of the clock from which file systems take their times. It may be behind by that much.
const TICK: Duration = Duration::from_millis(20);

/// The directories above the path of an output, and the mounts above it, at it and below it.
#[derive(Debug)]
pub(super) struct Surroundings {
    path: PathBuf,
    /// The directory of pos3 in which the path lies, if it does. No program replaces a directory of it.
    cache_root: PathBuf,
    begun: SystemTime,
    found: Found,
}

#[derive(Debug)]
struct Found {
    /// Each directory above the path, the topmost first, and the path itself. `None` if it does not exist.
    steps: Vec<(PathBuf, Option<Step>)>,
    below: BTreeMap<PathBuf, FileSystem>,
}

/// One name of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    system: FileSystem,
    /// `None` if the file system may give the directory another one.
    inode: Option<u64>,
    created: Option<SystemTime>,
    is_link: bool,
}

/// A change since the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) path: PathBuf,
    pub(super) how: PathChange,
    pub(super) reach: Reach,
}

/// Where a path has changed, seen from the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Above the output, so that all its files are others.
    Above,
    /// At the output itself.
    At,
    /// In a part of the output.
    Below,
}

/// Who wrote the files at the path of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ownership {
    /// The program of this session may have written them.
    Program,
    /// The path leads to other files, so they are treated as if they had existed before the session.
    Others,
}

/// How the path of an output has changed since the session returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathChange {
    /// A file system was mounted there.
    Mounted,
    /// A file system was unmounted there.
    Unmounted,
    /// Another file system is mounted there.
    OtherFileSystem,
    /// Another directory is there.
    OtherDirectory,
}

impl Surroundings {
    /// Returns those of a path without links.
    pub(super) fn of(path: &Path, cache_root: &Path) -> Self {
        let (path, cache_root) = (path.to_owned(), cache_root.to_owned());
        Self { begun: SystemTime::now(), found: Found::at(&path), path, cache_root }
    }

    /// Returns the first change since then, from the top. Returns `None` for a path that is gone or leads through a link
    /// now, which an upload detects by itself.
    pub(super) fn moved(&self) -> Option<Moved> {
        let now = Found::at(&self.path);
        if now.steps.iter().any(|(_, step)| step.is_some_and(|step| step.is_link)) {
            return None;
        }
        self.moved_above(&now).or_else(|| self.moved_below(&now))
    }

    fn moved_above(&self, now: &Found) -> Option<Moved> {
        for index in 0..self.found.steps.len() {
            let (path, then) = &self.found.steps[index];
            let (then, here) = ((*then)?, now.steps.get(index)?.1?);
            let is_output = *path == self.path;
            let is_other = if is_output { then.system != here.system } else { self.is_other(path, then, here) };
            if is_other {
                let reach = if is_output { Reach::At } else { Reach::Above };
                let how = match (self.found.is_mount_point(index), now.is_mount_point(index)) {
                    (false, true) => PathChange::Mounted,
                    (true, false) => PathChange::Unmounted,
                    (true, true) if then.system != here.system => PathChange::OtherFileSystem,
                    (true, true) | (false, false) => PathChange::OtherDirectory,
                };
                return Some(Moved { path: path.clone(), how, reach });
            }
        }
        None
    }

    /// Returns true if another directory is above the output. Outside the cache root, a program may have removed a
    /// directory and created it again. The mounts are compared only then, because an automatic mount gets another number
    /// whenever it is made again.
    fn is_other(&self, path: &Path, then: Step, now: Step) -> bool {
        let is_made_again = || {
            let is_new = now.created.is_some_and(|created| created + TICK >= self.begun);
            is_new && then.system == now.system && !path.starts_with(&self.cache_root)
        };
        then.system.device != now.system.device || (then.is_other_directory(now) && !is_made_again())
    }

    fn moved_below(&self, now: &Found) -> Option<Moved> {
        let (then, now) = (&self.found.below, &now.below);
        let mut points: Vec<_> = then.keys().chain(now.keys()).collect();
        points.sort();
        points.into_iter().find_map(|point| {
            let how = match (then.get(point), now.get(point)) {
                (Some(_), None) => PathChange::Unmounted,
                (None, _) => PathChange::Mounted,
                (Some(then), Some(now)) if then != now => PathChange::OtherFileSystem,
                (Some(_), Some(_)) => return None,
            };
            Some(Moved { path: point.clone(), how, reach: Reach::Below })
        })
    }
}

impl Found {
    fn at(path: &Path) -> Self {
        let mut steps: Vec<_> = path.ancestors().map(|above| (above.to_owned(), Step::at(above))).collect();
        steps.reverse();
        let below = mount_points().into_iter().map(|point| point.path);
        let below = below.filter(|point| point != path && point.starts_with(path));
        Self { steps, below: below.filter_map(|point| FileSystem::at(&point).map(|found| (point, found))).collect() }
    }

    fn is_mount_point(&self, index: usize) -> bool {
        let system = |index: usize| self.steps.get(index).and_then(|(_, step)| step.map(|step| step.system));
        index.checked_sub(1).and_then(system) != system(index)
    }
}

impl Step {
    fn at(path: &Path) -> Option<Self> {
        let facts = fs::symlink_metadata(path).ok()?;
        let (system, created) = (system_at(path, &facts)?, facts.created().ok());
        let inode = keeps_inode(path, created.is_some()).then(|| facts.ino());
        Some(Self { system, inode, created, is_link: facts.is_symlink() })
    }

    /// Returns true if two directories at one path are different ones. A fact that only one of them has shows nothing.
    fn is_other_directory(self, now: Self) -> bool {
        let was_created_elsewhere = self.created.zip(now.created).is_some_and(|(then, now)| then != now);
        was_created_elsewhere || self.inode.zip(now.inode).is_some_and(|(then, now)| then != now)
    }
}

/// Returns the file system of a path. The number of the device of a file in an overlay may be that of a layer, so a file
/// that is reached through the mount of its directory has the device of this directory.
fn system_at(path: &Path, facts: &fs::Metadata) -> Option<FileSystem> {
    let system = FileSystem::at(path)?;
    let above = path.parent().filter(|_| !facts.is_dir()).and_then(FileSystem::at);
    Some(above.filter(|above| above.mount.is_some() && above.mount == system.mount).unwrap_or(system))
}

/// Returns true if a directory at this path keeps its inode. On FUSE and in an overlay, it may get another one after the
/// system has forgotten it. Most overlays keep it, so it counts there if the time of creation is unknown.
#[cfg(target_os = "linux")]
fn keeps_inode(path: &Path, has_time: bool) -> bool {
    /// `FUSE_SUPER_MAGIC` of Linux.
    const FUSE: i128 = 0x6573_5546;
    let is_fuse = rustix::fs::statfs(path).is_ok_and(|facts| i128::from(facts.f_type) == FUSE);
    let is_overlay_with_time = has_time && overlay::is_overlay(path);
    !is_fuse && !is_overlay_with_time
}

/// Returns true, because only Linux reports the type of a file system by a number.
#[cfg(not(target_os = "linux"))]
fn keeps_inode(_path: &Path, _has_time: bool) -> bool {
    true
}

impl PathChange {
    /// Returns a text about what has happened at a path.
    pub(super) fn describe(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Mounted => format!("a file system was mounted over '{path}' since the start"),
            Self::Unmounted => format!("the file system at '{path}' was unmounted since the start"),
            Self::OtherFileSystem => format!("another file system than at the start is mounted at '{path}'"),
            Self::OtherDirectory => format!("another directory than at the start is at '{path}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn disk() -> (tempfile::TempDir, PathBuf) {
        let disk = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(disk.path()).unwrap();
        fs::create_dir_all(path.join("a/b/out")).unwrap();
        fs::create_dir_all(path.join("old/b/out")).unwrap();
        // A file system records the time with the granularity of a tick.
        thread::sleep(Duration::from_millis(50));
        (disk, path)
    }

    #[test]
    fn another_directory_above_an_output_is_found() {
        for (replaced, by) in [("a", "old"), ("a/b", "old/b")] {
            for cache_root in ["a", "elsewhere"] {
                let (_disk, path) = disk();
                let out = path.join("a/b/out");
                let begun = Surroundings::of(&out, &path.join(cache_root));
                assert_eq!(begun.moved(), None);
                fs::rename(path.join(replaced), path.join("kept")).unwrap();
                assert_eq!(begun.moved(), None, "the output is gone, which an upload finds");
                fs::rename(path.join(by), path.join(replaced)).unwrap();
                let (path, how) = (path.join(replaced), PathChange::OtherDirectory);
                assert_eq!(begun.moved(), Some(Moved { path, how, reach: Reach::Above }), "{replaced} {cache_root}");
            }
        }
    }

    #[test]
    fn a_directory_above_an_output_that_is_made_again_is_another_one_only_in_the_cache_root() {
        for (cache_root, is_other) in [("elsewhere", false), ("a", true)] {
            let (_disk, path) = disk();
            let begun = Surroundings::of(&path.join("a/b/out"), &path.join(cache_root));
            thread::sleep(Duration::from_millis(50));
            fs::remove_dir_all(path.join("a/b")).unwrap();
            fs::create_dir_all(path.join("a/b/out")).unwrap();
            assert_eq!(begun.moved().is_some(), is_other, "{cache_root} {:?}", begun.moved());
        }
    }

    #[test]
    fn a_directory_that_is_made_again_at_once_is_not_another_one() {
        let (_disk, path) = disk();
        for attempt in 0..30 {
            let begun = Surroundings::of(&path.join("a/b/out"), &path.join("elsewhere"));
            fs::remove_dir_all(path.join("a/b")).unwrap();
            fs::create_dir_all(path.join("a/b/out")).unwrap();
            assert_eq!(begun.moved(), None, "attempt {attempt}");
            thread::sleep(Duration::from_millis(3));
        }
    }

    #[test]
    fn a_program_may_replace_its_output_itself() {
        let (_disk, path) = disk();
        let out = path.join("a/b/out");
        let begun = Surroundings::of(&out, &path.join("a"));
        fs::remove_dir(&out).unwrap();
        fs::create_dir(&out).unwrap();
        assert_eq!(begun.moved(), None);
        fs::rename(&out, path.join("a/b/earlier")).unwrap();
        fs::rename(path.join("old/b/out"), &out).unwrap();
        assert_eq!(begun.moved(), None);
        fs::remove_dir(&out).unwrap();
        fs::write(&out, "one file").unwrap();
        assert_eq!(begun.moved(), None);
        fs::remove_file(&out).unwrap();
        std::os::unix::fs::symlink("/", &out).unwrap();
        assert_eq!(begun.moved(), None, "an upload does not follow it");
    }
}
