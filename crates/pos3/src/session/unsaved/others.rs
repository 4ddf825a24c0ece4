//! Whether other sessions may still write to an output: [`Asking::others`].
//!
//! The program of another session may have removed a file only to write it again, or moved it to a place from which it is
//! not uploaded yet. So this session must not treat the absence of the file as final.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::compared::Now;
use super::directory::Found;
use super::mark_file::Recorded;
use super::names::Names;
use super::warnings::of_others;
use super::writing::Writing;

/// The session that asks.
pub(super) struct Asking<'a> {
    /// Its ID, by which its own marks are known.
    pub(super) id: &'a str,
    /// Its output.
    pub(super) names: &'a Names,
    /// The [origins](Found::origin) of the marks of sessions that had ended before it began. What these removed, it has
    /// never seen.
    pub(super) earlier: &'a [PathBuf],
}

impl Asking<'_> {
    /// Returns which other session may still write to the output, or ended without a success while this session ran. The
    /// marks that were found include the past ones.
    pub(super) fn others(&self, found: &[Found], now: &mut Now) -> Option<String> {
        let (mut processes, mut unknown, mut unreadable) = (BTreeSet::new(), None, None);
        for mark in found.iter().filter(|mark| !self.owns(mark)) {
            if mark.paths.is_none() {
                unreadable = unreadable.or(Some(&*mark.file));
                continue;
            }
            if !now.concerns(mark, self.names) {
                continue;
            }
            let recorded = mark.recorded.as_ref();
            match now.writers.of(mark) {
                Writing::Processes(ids) => processes.extend(ids),
                _ if recorded.is_some_and(Recorded::is_settled) => {}
                Writing::Session => processes.extend(recorded.and_then(|recorded| Some(recorded.session.as_ref()?.id))),
                Writing::Ended if self.earlier.contains(&mark.origin()) => {}
                Writing::Ended | Writing::Unknown | Writing::Invisible => unknown = unknown.or(Some(&mark.file)),
            }
        }
        of_others(&processes, unknown.map(|mark| &**mark), unreadable, self.names.resolved())
    }

    fn owns(&self, mark: &Found) -> bool {
        mark.recorded.as_ref().is_some_and(|recorded| recorded.id == self.id)
    }
}

/// Returns the [origins](Found::origin) of the marks of sessions that have ended and that concern a path with these names.
pub(super) fn earlier(found: &[Found], names: &Names, now: &mut Now) -> Vec<PathBuf> {
    let mut is_earlier = |mark: &&Found| now.concerns(mark, names) && now.has_ended(mark);
    found.iter().filter(|mark| is_earlier(mark)).map(Found::origin).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::super::directory::{Directory, Which, make_past};
    use super::super::mark_file::{SETTLED, encode_writers};
    use super::super::system::{Process, System};
    use super::*;

    #[test]
    fn other_sessions_count_until_they_have_succeeded() {
        let disk = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(disk.path()).unwrap();
        let names = Names::one(base.join("a/out"));
        let recorded = |id: &str| Recorded {
            site: None,
            session: Process::find(std::process::id()),
            system: System::this(),
            id: id.to_owned(),
            writers: Vec::new(),
        };
        let directory = Directory::create(&base.join("marks"), &base).unwrap();
        let others = |earlier: &[PathBuf]| {
            Asking { id: "mine", names: &names, earlier }.others(&directory.marks(), &mut Now::default())
        };
        for path in ["a", "a/out", "a/out/deep"] {
            let own = directory.write(&[path.into()], &recorded("mine")).unwrap();
            assert_eq!(others(&[]), None, "{path}: its own mark");
            let (file, mut lock) = directory.write(&[path.into()], &recorded("other")).unwrap();
            let why = others(std::slice::from_ref(&file)).unwrap();
            assert!(why.contains(&format!("(PID {})", std::process::id())), "{path}: {why}");
            lock.write_all(&encode_writers(&[SETTLED])).unwrap();
            assert_eq!(others(&[]), None, "{path}: it has succeeded");
            lock.unlock().unwrap();
            assert_eq!(others(&[]), None, "{path}: it has ended, too");
            fs::remove_file(&file).unwrap();
            let (file, lock) = directory.write(&[path.into()], &recorded("killed")).unwrap();
            lock.unlock().unwrap();
            let why = others(&[]).unwrap();
            assert!(why.contains(file.to_str().unwrap()), "{path}: it ended meanwhile: {why}");
            assert_eq!(others(std::slice::from_ref(&file)), None, "{path}: it had ended before");
            make_past(&file);
            let past = directory.all(Which::Past);
            let asks =
                |earlier: &[PathBuf]| Asking { id: "mine", names: &names, earlier }.others(&past, &mut Now::default());
            assert!(asks(&[]).is_some(), "{path}: its files are stored since then");
            assert_eq!(asks(std::slice::from_ref(&file)), None, "{path}: it had ended before");
            fs::rename(&past[0].file, &file).unwrap();
            assert_eq!(earlier(&directory.marks(), &names, &mut Now::default()), std::slice::from_ref(&file), "{path}");
            fs::remove_file(&file).unwrap();
            fs::remove_file(&own.0).unwrap();
        }
        let _elsewhere = directory.write(&["a/other".into(), "b".into()], &recorded("other")).unwrap();
        assert_eq!(others(&[]), None);
        fs::write(base.join("marks/damaged"), "x").unwrap();
        assert!(others(&[]).unwrap().contains("marks/damaged"), "it may be of any session");
    }
}
