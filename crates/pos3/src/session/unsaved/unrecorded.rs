//! Marks of output whose server is not recorded: [`Marks`].
//!
//! A session records the server of its local copies before it marks them. So if there is a mark and no record, the record
//! was deleted, and it is not known to which server the marked output belongs.

use std::path::{Path, PathBuf};

use super::super::inner::Inner;
use super::super::mark::MARKS;
use super::directory::{Directory, Found};
use super::names::{Links, Names, Part};
use super::places::{ELSEWHERE, cache_root};

/// The marks of the paths in a cache root, as far as a session can make such marks.
#[derive(Clone, Debug)]
pub(in super::super) struct Marks {
    cache_root: Option<PathBuf>,
    /// The directory for the marks of paths that lead out of the cache root, or that lie above it.
    elsewhere: Option<PathBuf>,
    /// The ID of this session.
    session: String,
}

/// A mark of another session.
#[derive(Debug)]
pub(in super::super) struct OtherMark {
    pub(in super::super) file: PathBuf,
    /// The marked path, or `None` if the mark cannot be read.
    pub(in super::super) output: Option<PathBuf>,
}

impl Marks {
    pub(in super::super) fn of(inner: &Inner) -> Self {
        Self {
            cache_root: cache_root(inner),
            elsewhere: inner.remembers.for_marks().map(|state| state.path().join(ELSEWHERE)),
            session: inner.id.clone(),
        }
    }

    /// Returns a mark of another session that has a path at one of these directories, in it or above it. A mark that
    /// cannot be read may have any path.
    pub(in super::super) fn of_others(&self, directories: &[PathBuf]) -> Option<OtherMark> {
        let found: Vec<_> = self.found().into_iter().filter(|mark| !self.is_own(mark)).collect();
        let of_directory = |directory: &PathBuf| {
            let (names, mut links) = (Names::with_links(directory), Links::default());
            found.iter().find_map(|Found { file, paths, .. }| {
                let output = match paths {
                    Some(paths) => Some(paths.iter().find(|path| names.part(path, &mut links) != Part::None)?.clone()),
                    None => None,
                };
                Some(OtherMark { file: file.clone(), output })
            })
        };
        directories.iter().find_map(of_directory)
    }

    fn found(&self) -> Vec<Found> {
        let in_root = self.cache_root.iter().flat_map(|root| match Directory::open(&root.join(MARKS), root) {
            Ok(directory) => directory.map(|directory| directory.marks()).unwrap_or_default(),
            Err(_) => vec![Found::unreadable(root.join(MARKS))],
        });
        // A session works without a state directory that it cannot use.
        let elsewhere = self.elsewhere.iter().filter_map(|path| Directory::open(path, Path::new("/")).ok().flatten());
        in_root.chain(elsewhere.flat_map(|directory| directory.marks())).collect()
    }

    fn is_own(&self, mark: &Found) -> bool {
        mark.recorded.as_ref().is_some_and(|recorded| recorded.id == self.session)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::mark_file::Recorded;
    use super::super::system::System;
    use super::*;

    #[test]
    fn marks_of_other_sessions_at_a_directory_in_it_and_above_it_are_found() {
        let disk = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(disk.path()).unwrap().join("cache");
        let elsewhere = root.with_file_name("state");
        fs::create_dir_all(&root).unwrap();
        let marks =
            Marks { cache_root: Some(root.clone()), elsewhere: Some(elsewhere.clone()), session: "mine".to_owned() };
        let directories = [root.join("_/b"), root.join("_/%/b")];
        let find = || marks.of_others(&directories).map(|mark| (mark.file, mark.output));
        let recorded = |id: &str| {
            let (system, id) = (System::this(), id.to_owned());
            Recorded { site: None, session: None, system, id, writers: Vec::new() }
        };
        assert_eq!(find(), None, "there is no directory of marks");
        for (base, of_marks, path, is_found) in [
            (&root, root.join(MARKS), "_/b", true),
            (&root, root.join(MARKS), "_/b/x/file", true),
            (&root, root.join(MARKS), "_/%/b/%2F", true),
            (&root, root.join(MARKS), "_", true),
            (&root, root.join(MARKS), "", true),
            (&root, root.join(MARKS), "_/b2", false),
            (&root, root.join(MARKS), "lab/b", false),
            (&PathBuf::from("/"), elsewhere.clone(), disk.path().strip_prefix("/").unwrap().to_str().unwrap(), true),
            (&PathBuf::from("/"), elsewhere.clone(), "none", false),
        ] {
            let directory = Directory::create(&of_marks, base).unwrap();
            let (own, _lock) = directory.write(&[path.into()], &recorded("mine")).unwrap();
            assert_eq!(find(), None, "{path}: its own mark");
            let (file, lock) = directory.write(&[path.into()], &recorded("other")).unwrap();
            let expected = is_found.then(|| (file.clone(), Some(base.join(path))));
            assert_eq!(find(), expected, "{path}: another session runs");
            drop(lock);
            assert_eq!(find(), expected, "{path}: another session has ended");
            fs::remove_file(&file).unwrap();
            fs::remove_file(&own).unwrap();
        }
        for damaged in [elsewhere.join("damaged"), root.join(MARKS).join("damaged")] {
            fs::write(&damaged, "damaged").unwrap();
            assert_eq!(find(), Some((damaged.clone(), None)));
            fs::remove_file(&damaged).unwrap();
        }
        fs::remove_dir_all(&elsewhere).unwrap();
        fs::write(&elsewhere, "no directory").unwrap();
        assert_eq!(find(), None);
        fs::remove_dir_all(root.join(MARKS)).unwrap();
        fs::write(root.join(MARKS), "no directory").unwrap();
        assert_eq!(find(), Some((root.join(MARKS), None)));
    }
}
