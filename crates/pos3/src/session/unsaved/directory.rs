//! A directory of marks.
//!
//! It is accessed through an open handle. A directory above a download may belong to another user, who could replace it
//! at any time: the marks in it may keep local files, but pos3 writes to no such directory and removes nothing in it.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::mark_file::{self, Content, Recorded};
use crate::local_path::resolve;

/// The suffix of a mark that is still being written.
const NEW: &str = ".new";

/// The suffix of a past mark.
const PAST: &str = ".past";

/// The longest mark that is read.
const LONGEST: u64 = 1 << 20;

/// The memory for a usual mark, which then needs one read.
const USUAL: usize = 1 << 10;

/// The marks to read: those that protect files, or past ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Marks,
    Past,
}

/// An open directory of marks.
pub(super) struct Directory {
    path: PathBuf,
    /// The directory that relative paths in the marks begin at.
    base: PathBuf,
    handle: File,
    facts: Metadata,
}

/// A mark of any session.
pub(super) struct Found {
    pub(super) file: PathBuf,
    /// The absolute marked paths, or `None` if the mark cannot be read.
    pub(super) paths: Option<Vec<PathBuf>>,
    /// Whether a process has locked it: its session, or one that inherited the lock.
    pub(super) is_locked: bool,
    /// What it records about the processes that may write there.
    pub(super) recorded: Option<Recorded>,
}

impl Found {
    /// Returns a mark, or a directory of marks, that cannot be read.
    pub(super) fn unreadable(file: PathBuf) -> Self {
        Self { file, paths: None, is_locked: true, recorded: None }
    }

    /// Returns the file that the mark had before it became a past one.
    pub(super) fn origin(&self) -> PathBuf {
        let name = self.file.as_os_str().as_bytes();
        PathBuf::from(OsStr::from_bytes(name.strip_suffix(PAST.as_bytes()).unwrap_or(name)))
    }
}

impl Directory {
    /// Opens a directory of marks, or returns `None` if it does not exist.
    pub(super) fn open(path: &Path, base: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            Ok(handle) => File::from(handle),
            Err(Errno::NOENT) => return Ok(None),
            // A file where a directory above it would be.
            Err(Errno::NOTDIR) if fs::symlink_metadata(path).is_err() => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let facts = handle.metadata()?;
        Ok(Some(Self { path: path.to_owned(), base: base.to_owned(), handle, facts }))
    }

    /// Opens or creates a directory for marks, and checks that no other user can replace its files.
    pub(super) fn create(path: &Path, base: &Path) -> io::Result<Self> {
        match rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let why = || format!("'{}' is not a directory that only this user can write to", path.display());
        let directory = match Self::open(path, base) {
            Ok(Some(directory)) if directory.is_safe() => directory,
            Ok(_) | Err(_) => return Err(io::Error::other(why())),
        };
        // Its name must survive a power cut. A process that created it may have been killed before it flushed the name.
        match rustix::fs::openat(&directory.handle, "..", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(above) => rustix::fs::fsync(above)?,
            // A directory that cannot be read cannot be flushed either.
            Err(Errno::ACCESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(directory)
    }

    /// Returns the device and the inode.
    pub(super) fn identity(&self) -> (u64, u64) {
        (self.facts.dev(), self.facts.ino())
    }

    /// Returns the marks in the directory that protect files.
    pub(super) fn marks(&self) -> Vec<Found> {
        self.all(Which::Marks)
    }

    /// Returns the marks of one kind in the directory.
    pub(super) fn all(&self, which: Which) -> Vec<Found> {
        let Ok(entries) = Dir::read_from(&self.handle) else { return vec![Found::unreadable(self.path.clone())] };
        let found = entries.filter_map(|entry| {
            let Ok(entry) = entry else { return Some(Found::unreadable(self.path.clone())) };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            (kind(name) == Some(which)).then(|| self.read(name))?
        });
        found.collect()
    }

    /// Writes a mark, which is locked until the returned file is closed. It gets its name when it is complete, so a
    /// process that is killed meanwhile leaves no unreadable one. Writes to the returned file are appended.
    pub(super) fn write(&self, paths: &[PathBuf], recorded: &Recorded) -> io::Result<(PathBuf, File)> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let process = std::process::id();
        let name = format!("{time}-{process}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let new = format!("{name}{NEW}");
        let flags =
            OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut lock = File::from(rustix::fs::openat(&self.handle, &new, flags, Mode::from_raw_mode(0o644))?);
        let written = lock.lock().and_then(|()| {
            lock.write_all(&mark_file::encode(paths, recorded))?;
            lock.sync_all()?;
            rustix::fs::renameat(&self.handle, &new, &self.handle, &name)?;
            Ok(rustix::fs::fsync(&self.handle)?)
        });
        match written {
            Ok(()) => Ok((self.path.join(name), lock)),
            Err(error) => {
                // The error of the write is the one to report.
                let _ignored = rustix::fs::unlinkat(&self.handle, &new, AtFlags::empty());
                Err(error)
            }
        }
    }

    /// Reads a mark. Returns `None` if its session has just removed it.
    fn read(&self, name: &OsStr) -> Option<Found> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.handle, name, flags, Mode::empty());
        let path = self.path.join(name);
        if matches!(opened, Err(Errno::NOENT)) {
            return None;
        }
        let read = opened.map_err(io::Error::from).and_then(|handle| {
            let (file, mut content) = (File::from(handle), Vec::with_capacity(USUAL));
            (&file).take(LONGEST).read_to_end(&mut content)?;
            // The session has an exclusive lock as long as it runs.
            Ok((content, file.try_lock_shared().is_err()))
        });
        let Ok((content, is_locked)) = read else { return Some(Found::unreadable(path)) };
        let (paths, recorded) = match mark_file::decode(&content) {
            Some(Content { paths, recorded }) => (Some(paths), recorded),
            None => (None, None),
        };
        let paths = paths.map(|paths| paths.iter().map(|path| self.base.join(path)).collect::<Vec<_>>());
        let paths = paths.filter(|paths| paths.iter().all(|path| self.has(path)));
        Some(Found { file: path, paths, is_locked, recorded })
    }

    /// Returns true if a marked path lies where the paths of this directory begin. An absolute path of the earlier format
    /// does not if the cache root was moved, and then it is not known what it marks.
    fn has(&self, path: &Path) -> bool {
        path.starts_with(&self.base) || path.starts_with(resolve(&self.base))
    }

    /// Returns true if only this user can create and replace files in the directory.
    fn is_safe(&self) -> bool {
        let is_own = self.facts.uid() == rustix::process::geteuid().as_raw() || self.facts.uid() == 0;
        is_own && self.facts.mode() & 0o022 == 0
    }
}

/// Removes a mark, unless other users can write to its directory. If a mark remains, users may have to resolve
/// conflicts, but no data is lost.
pub(super) fn remove(file: &Path) {
    change(file, |directory, name| rustix::fs::unlinkat(directory, name, AtFlags::empty()));
}

/// Makes a mark a past one, under the same conditions.
pub(super) fn make_past(file: &Path) {
    change(file, |directory, name| {
        let mut past = name.to_owned();
        past.push(PAST);
        rustix::fs::renameat(directory, name, directory, &past)
    });
}

fn change(file: &Path, change: impl FnOnce(&File, &OsStr) -> Result<(), Errno>) {
    let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else { return };
    if let Ok(Some(directory)) = Directory::open(directory, directory)
        && directory.is_safe()
    {
        let _stays = change(&directory.handle, name);
    }
}

/// Returns the kind of the mark with this name, or `None` if it is not a mark.
fn kind(name: &OsStr) -> Option<Which> {
    match name.as_bytes() {
        b"." | b".." => None,
        name if name.ends_with(NEW.as_bytes()) => None,
        name if name.ends_with(PAST.as_bytes()) => Some(Which::Past),
        _ => Some(Which::Marks),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn recorded() -> Recorded {
        let system = super::super::system::System::this();
        Recorded { site: None, session: None, system, id: "id".to_owned(), writers: Vec::new() }
    }

    fn open(path: &Path) -> Directory {
        Directory::create(path, path.parent().unwrap()).unwrap()
    }

    #[test]
    fn a_mark_is_locked_until_its_session_has_ended() {
        let disk = tempfile::tempdir().unwrap();
        let directory = open(&disk.path().join("marks"));
        let (file, lock) = directory.write(&["_/x".into(), "".into()], &recorded()).unwrap();
        let found = directory.marks();
        assert!(found.len() == 1 && found[0].is_locked && found[0].file == file);
        assert_eq!(found[0].paths.as_deref(), Some(&[disk.path().join("_/x"), disk.path().to_owned()][..]));
        lock.unlock().unwrap();
        assert!(!directory.marks()[0].is_locked, "the mark stays");
        remove(&file);
        assert!(directory.marks().is_empty());
    }

    #[test]
    fn a_past_mark_is_not_among_those_that_protect_files() {
        let disk = tempfile::tempdir().unwrap();
        let directory = open(&disk.path().join("marks"));
        let (file, _lock) = directory.write(&["x".into()], &recorded()).unwrap();
        make_past(&file);
        let past = directory.all(Which::Past);
        assert!(directory.marks().is_empty() && past.len() == 1 && past[0].origin() == file);
        assert_eq!(past[0].paths.as_deref(), Some(&[disk.path().join("x")][..]));
        remove(&past[0].file);
        assert!(directory.all(Which::Past).is_empty());
    }

    #[test]
    fn an_absolute_path_outside_the_cache_root_of_its_mark_may_be_any_path() {
        let disk = tempfile::tempdir().unwrap();
        let root = disk.path().join("root");
        fs::create_dir(&root).unwrap();
        symlink("root", disk.path().join("link")).unwrap();
        let path_of =
            |base: &Path| Directory::open(&base.join("marks"), base).unwrap().unwrap().marks()[0].paths.clone();
        let marked = root.join("_/x");
        let _mark = open(&root.join("marks")).write(std::slice::from_ref(&marked), &recorded()).unwrap();
        assert_eq!(path_of(&root), Some(vec![marked.clone()]));
        assert_eq!(path_of(&disk.path().join("link")), Some(vec![marked]));
        fs::rename(&root, disk.path().join("moved")).unwrap();
        assert_eq!(path_of(&disk.path().join("moved")), None);
    }

    #[test]
    fn a_directory_for_marks_that_others_can_write_to_is_not_used() {
        let disk = tempfile::tempdir().unwrap();
        symlink("/tmp", disk.path().join("link")).unwrap();
        assert!(Directory::create(&disk.path().join("link"), disk.path()).is_err());
        fs::create_dir(disk.path().join("open")).unwrap();
        fs::set_permissions(disk.path().join("open"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Directory::create(&disk.path().join("open"), disk.path()).is_err());
    }

    #[test]
    fn a_mark_where_others_can_write_is_read_and_never_removed() {
        let disk = tempfile::tempdir().unwrap();
        let path = disk.path().join("marks");
        let (file, _lock) = open(&path).write(&["x".into()], &recorded()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let found = Directory::open(&path, disk.path()).unwrap().unwrap().marks();
        assert_eq!(found[0].paths.as_deref(), Some(&[disk.path().join("x")][..]));
        remove(&file);
        assert!(file.exists());
        // Neither through a link that replaced the directory.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&path, disk.path().join("victim")).unwrap();
        symlink(disk.path().join("victim"), &path).unwrap();
        remove(&file);
        assert!(disk.path().join("victim").join(file.file_name().unwrap()).exists());
    }

    #[test]
    fn what_is_no_mark_is_unreadable_and_what_is_absent_is_none() {
        let disk = tempfile::tempdir().unwrap();
        let path = disk.path().join("marks");
        assert!(Directory::open(&path, disk.path()).unwrap().is_none());
        fs::write(&path, "a file").unwrap();
        assert!(Directory::open(&path, disk.path()).is_err());
        assert!(Directory::open(&path.join("below a file"), disk.path()).unwrap().is_none());
        fs::remove_file(&path).unwrap();
        let directory = open(&path);
        fs::create_dir(path.join("directory")).unwrap();
        symlink("/etc/hostname", path.join("link")).unwrap();
        fs::write(path.join("empty"), "").unwrap();
        fs::write(path.join("being written.new"), "").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path.join("pipe")).status().unwrap().success());
        let found = directory.marks();
        assert!(found.len() == 4 && found.iter().all(|found| found.paths.is_none()));
    }
}
