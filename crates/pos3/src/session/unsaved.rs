//! Marks local paths that may have output which is stored nowhere else.
//!
//! A session marks the local path of an output before the program can write to it, and removes the mark once everything
//! there is stored. The mark belongs to the path: a download of any location to this path, or to one above or below it,
//! must not overwrite that output. So the marks are not part of the sync state, which belongs to a pair of locations
//! and can be lost. Each session has its own mark, because another session may end first.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use pos3_core::{Event, Key};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use super::inner::{Inner, absolute};
use super::registration::Registration;
use super::unknown;
use crate::location::Location;
use crate::place::paths_overlap;
use crate::state::ends_with_the_process;

/// The directory of the marks in the cache root. Marks of other paths are in [`ELSEWHERE`] in the state directory.
pub(super) const MARKS: &str = ".pos3-unsaved";
const ELSEWHERE: &str = "unsaved";

/// The first line of a mark. A checksum of the path, the process ID and the path follow.
const FORMAT: &str = "pos3 unsaved output 1";

/// The suffix of a mark that is still being written.
const NEW: &str = ".new";

/// The longest mark that is read.
const LONGEST: u64 = 64 << 10;

/// The mark of a running session. It is locked until it is dropped, so other processes see that the session still runs.
#[derive(Debug)]
pub(super) struct Mark {
    file: PathBuf,
    /// The marks that ended sessions left at this path and below it. They are removed with this one.
    left: Vec<PathBuf>,
    _lock: File,
}

/// The parts of a directory that have unsaved output.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsaved {
    /// Whether all of it may have unsaved output.
    everything: bool,
    /// The relative keys of paths that may have unsaved output.
    below: Arc<Vec<Key>>,
}

/// A mark of any session.
struct Found {
    file: PathBuf,
    /// The marked path, or `None` if the mark cannot be read.
    root: Option<PathBuf>,
    is_alive: bool,
}

impl Unsaved {
    pub(super) fn is_empty(&self) -> bool {
        !self.everything && self.below.is_empty()
    }

    /// Returns true if the file with this key may be unsaved output.
    pub(super) fn covers(&self, key: &Key) -> bool {
        self.everything || self.below.iter().any(|root| key == root || key.is_inside(root.as_str()))
    }
}

/// Marks the local path of an output, unless this session has done so. If that fails, the session warns and continues.
pub(super) async fn mark(inner: &Inner, registration: &Registration) {
    let local = Location::Local(registration.local.clone());
    let mut mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner);
    if mark.is_some() || ends_with_the_process(&registration.location, &local).is_some() {
        return;
    }
    let made = directory_for(inner, &registration.local).and_then(|directory| {
        let directory = directory.ok_or_else(|| io::Error::other("there is no directory for the mark"))?;
        let ended = all(inner).into_iter().filter(|found| !found.is_alive);
        let inside =
            ended.filter(|found| found.root.as_ref().is_some_and(|root| root.starts_with(&registration.local)));
        let left = inside.map(|found| found.file).collect();
        make(&directory, &registration.local, left)
    });
    match made {
        Ok(made) => *mark = Some(made),
        Err(error) => warn(
            inner,
            &format!(
                "'{}' cannot be marked as unsaved output, so a later download may overwrite what this session does not \
             upload: {error}",
                registration.local.display()
            ),
        ),
    }
}

/// Removes the mark of an output whose upload has stored everything, unless excluded files are not known to be stored.
pub(super) async fn saved(registration: &Registration) {
    if !registration.kind.exclude().is_empty() && !unknown::are_none(registration).await {
        return;
    }
    let mark = registration.mark.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(Mark { file, left, _lock }) = mark {
        // A mark that stays costs decisions by the user, but no data.
        left.into_iter().chain([file]).for_each(|file| drop(fs::remove_file(file)));
    }
}

/// Removes the marks of ended sessions at a path and below it, because everything there equals stored objects.
pub(super) fn clear(inner: &Inner, path: &Path) {
    let ended = all(inner).into_iter().filter(|found| !found.is_alive);
    ended
        .filter(|found| found.root.as_ref().is_some_and(|root| root.starts_with(path)))
        .for_each(|found| drop(fs::remove_file(found.file)));
}

/// Returns which parts of a path may have unsaved output. A mark that cannot be read may be of any path.
pub(super) fn below(inner: &Inner, path: &Path) -> Unsaved {
    let (mut everything, mut below) = (false, Vec::new());
    for Found { file, root, .. } in all(inner) {
        let Some(root) = root else {
            everything = true;
            warn(
                inner,
                &format!(
                    "'{}' marks output that was not uploaded and cannot be read, so no local file is overwritten that may be \
                 such output; delete it if there is none",
                    file.display()
                ),
            );
            continue;
        };
        match root.strip_prefix(path).ok().map(Path::to_str) {
            Some(Some(key)) if !key.is_empty() => below.push(Key::from(key)),
            Some(_) => everything = true,
            None => everything |= paths_overlap(&root, path),
        }
    }
    Unsaved { everything, below: Arc::new(below) }
}

fn warn(inner: &Inner, warning: &str) {
    if inner.is_news(warning) {
        tracing::warn!("{warning}");
        inner.tell(&Event::Warning(warning));
    }
}

/// Returns the directory for the mark of a path, which exists then, or `None` if there is none for paths outside the
/// cache.
fn directory_for(inner: &Inner, local: &Path) -> io::Result<Option<PathBuf>> {
    if let Some(root) = cache_root(inner).filter(|root| local.starts_with(root)) {
        return prepare(root.join(MARKS)).map(Some);
    }
    let Some(state) = inner.remembers.for_marks() else { return Ok(None) };
    state.prepare().map_err(io::Error::other)?;
    prepare(state.path().join(ELSEWHERE)).map(Some)
}

fn cache_root(inner: &Inner) -> Option<PathBuf> {
    absolute(&inner.cache_root).ok()
}

/// Creates a directory for marks, and checks that no other user can replace it or its files.
fn prepare(directory: PathBuf) -> io::Result<PathBuf> {
    let made = DirBuilder::new().mode(0o755).create(&directory);
    made.or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })?;
    let facts = fs::symlink_metadata(&directory)?;
    let is_own = facts.uid() == rustix::process::geteuid().as_raw() || facts.uid() == 0;
    if !facts.is_dir() || !is_own || facts.mode() & 0o022 != 0 {
        let why = format!("'{}' is not a directory that only this user can write to", directory.display());
        return Err(io::Error::other(why));
    }
    Ok(directory)
}

/// Writes a mark. It gets its name when it is complete, so a process that is killed meanwhile leaves no unreadable one.
fn make(directory: &Path, local: &Path, left: Vec<PathBuf>) -> io::Result<Mark> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let process = std::process::id();
    let name = format!("{time}-{process}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let (new, file) = (directory.join(format!("{name}{NEW}")), directory.join(name));
    let mut lock = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
    let path = local.as_os_str().as_bytes();
    let written = lock.lock().and_then(|()| {
        lock.write_all(format!("{FORMAT}\n{}\nprocess {process}\n", checksum(path)).as_bytes())?;
        lock.write_all(path)?;
        lock.sync_all()?;
        fs::rename(&new, &file)?;
        File::open(directory)?.sync_all()
    });
    match written {
        Ok(()) => Ok(Mark { file, left, _lock: lock }),
        Err(error) => {
            // The error of the write is the one to report.
            let _ignored = fs::remove_file(&new);
            Err(error)
        }
    }
}

/// Returns the marks of all sessions.
fn all(inner: &Inner) -> Vec<Found> {
    let elsewhere = inner.remembers.for_marks().map(|state| state.path().join(ELSEWHERE));
    let directories = cache_root(inner).map(|root| root.join(MARKS)).into_iter().chain(elsewhere);
    directories.flat_map(|directory| in_directory(&directory)).collect()
}

fn in_directory(directory: &Path) -> Vec<Found> {
    let unreadable = |file: &Path| Found { file: file.to_owned(), root: None, is_alive: true };
    let names = match fs::read_dir(directory) {
        Ok(names) => names,
        Err(_) if is_absent(directory) => return Vec::new(),
        Err(_) => return vec![unreadable(directory)],
    };
    let found = names.filter_map(|name| match name {
        Ok(name) if name.file_name().as_bytes().ends_with(NEW.as_bytes()) => None,
        Ok(name) => match read(&name.path()) {
            Ok(found) => Some(found),
            // Its session has just removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => Some(unreadable(&name.path())),
        },
        Err(_) => Some(unreadable(directory)),
    });
    found.collect()
}

/// Returns true if nothing exists at a path, also because a file is where a directory above it would be.
fn is_absent(path: &Path) -> bool {
    let absent = |error: io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    fs::symlink_metadata(path).is_err_and(absent)
}

fn read(path: &Path) -> io::Result<Found> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    let mut content = Vec::new();
    (&file).take(LONGEST).read_to_end(&mut content)?;
    // The session holds an exclusive lock as long as it runs.
    let is_alive = file.try_lock_shared().is_err();
    Ok(Found { file: path.to_owned(), root: root_in(&content), is_alive })
}

/// Returns the path in a mark, or `None` if the mark is damaged.
fn root_in(content: &[u8]) -> Option<PathBuf> {
    let mut fields = content.splitn(4, |byte| *byte == b'\n');
    let (format, sum, _process, path) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let is_whole = format == FORMAT.as_bytes() && sum == checksum(path).as_bytes();
    is_whole.then(|| PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())))
}

fn checksum(path: &[u8]) -> String {
    Sha256::digest(path).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_that_is_damaged_has_no_path() {
        let disk = tempfile::tempdir().unwrap();
        let path = Path::new("/x/a line\nand another");
        let mark = make(disk.path(), path, Vec::new()).unwrap();
        let whole = fs::read(&mark.file).unwrap();
        assert_eq!(root_in(&whole).as_deref(), Some(path));
        for cut in 0..whole.len() {
            assert_eq!(root_in(&whole[..cut]), None, "{cut}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(root_in(&damaged).is_none_or(|found| found == path), "{at}");
        }
    }

    #[test]
    fn a_mark_is_alive_until_its_session_has_ended() {
        let disk = tempfile::tempdir().unwrap();
        let mark = make(disk.path(), Path::new("/x"), Vec::new()).unwrap();
        let found = in_directory(disk.path());
        assert!(found.len() == 1 && found[0].is_alive && found[0].root.as_deref() == Some(Path::new("/x")));
        drop(mark);
        assert!(!in_directory(disk.path())[0].is_alive, "the mark stays");
    }

    #[test]
    fn a_directory_for_marks_that_others_can_write_to_is_not_used() {
        let disk = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp", disk.path().join("link")).unwrap();
        assert!(prepare(disk.path().join("link")).is_err());
        fs::create_dir(disk.path().join("open")).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(disk.path().join("open"), open).unwrap();
        assert!(prepare(disk.path().join("open")).is_err());
    }
}
