//! Records which server the local copies of a bucket belong to.
//!
//! The path of a local copy does not contain the endpoint. Without the record, buckets of one name on two servers would
//! share their local copies, and a session of one server would upload the files of the other one.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use sha2::{Digest as _, Sha256};

use super::error::SessionError;
use super::layout;
use crate::location::RemoteLocation;

const FORMAT: &str = "pos3 server of local copies 1";

/// The longest record that is read.
const LONGEST: u64 = 64 << 10;

/// How often, and at which interval, a step is repeated while another process replaces the record.
const ATTEMPTS: u32 = 50;
const AGAIN: Duration = Duration::from_millis(100);

/// The records that a session uses. They are locked until it is dropped, so that no other process replaces them before
/// there are any files.
#[derive(Debug, Default)]
pub(super) struct Servers(Mutex<BTreeMap<PathBuf, (Server, File)>>);

/// The local copies of one bucket in a cache root.
pub(super) struct LocalCopies {
    location: String,
    server: Server,
    /// The directories of all of them.
    paths: [PathBuf; 2],
    root: PathBuf,
    /// The names of the record, from the cache root down.
    record: [String; 3],
}

/// A server, with the scheme of its locations.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server(String);

impl Servers {
    /// Records the server of local copies if that was not done before, and keeps the record locked.
    pub(super) fn claim(&self, copies: &LocalCopies) -> Result<(), SessionError> {
        if fs::create_dir_all(&copies.root).is_err() {
            // Without a cache root there are no local copies, and the session cannot create them either.
            return Ok(());
        }
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = copies.record_path();
        if held.get(&record).is_none_or(|(server, _)| *server != copies.server) {
            let file = copies.claim()?;
            held.insert(record, (copies.server.clone(), file));
        }
        Ok(())
    }

    /// Sets whether processes that are started from now on inherit the locks. They may write files after this process was
    /// killed.
    pub(super) fn set_inherited(&self, by_children: bool) {
        let flags = if by_children { FdFlags::empty() } else { FdFlags::CLOEXEC };
        for (_, lock) in self.0.lock().unwrap_or_else(PoisonError::into_inner).values() {
            // If this fails, the record can be replaced before a process whose session was killed writes its first file.
            let _not_inherited = fcntl_setfd(lock, flags);
        }
    }
}

impl LocalCopies {
    /// Returns the local copies of a bucket. `server` is the name of its server; see
    /// [`Provider::server`](crate::Provider::server).
    pub(super) fn new(root: PathBuf, local_name: &str, remote: &RemoteLocation, server: Option<&str>) -> Self {
        Self {
            location: remote.to_string(),
            server: Server(format!("{} {}", remote.scheme(), server.unwrap_or_default())),
            paths: layout::buckets(&root, local_name, remote),
            record: layout::server_record(local_name, remote),
            root,
        }
    }

    /// Returns an error if they belong to another server. Changes nothing.
    pub(super) fn check(&self) -> Result<(), SessionError> {
        match self.open()? {
            Some(file) => self.compare(&self.read(&file)?),
            None => Ok(()),
        }
    }

    /// Records the server, and returns the record with a shared lock.
    fn claim(&self) -> Result<File, SessionError> {
        for _ in 0..ATTEMPTS {
            let Some(file) = self.open()? else {
                match self.create().map_err(|error| self.not_recorded(&error))? {
                    Some(file) => return Ok(file),
                    // Another process was faster.
                    None => continue,
                }
            };
            lock_shared(&file).map_err(|error| self.unknown(&error))?;
            if !self.is_current(&file) {
                continue;
            }
            let recorded = self.read(&file)?;
            if recorded == self.server {
                return Ok(file);
            }
            self.compare(&recorded)?;
            self.remove(&file, &recorded)?;
        }
        Err(self.unknown(&io::Error::other("other processes replace it")))
    }

    /// Returns an error if another server is recorded, unless there is no local copy any more.
    fn compare(&self, recorded: &Server) -> Result<(), SessionError> {
        if *recorded == self.server || self.has_no_file() { Ok(()) } else { Err(self.of_other(recorded)) }
    }

    /// Removes the record of another server, unless a session uses it. The caller has a shared lock.
    fn remove(&self, file: &File, recorded: &Server) -> Result<(), SessionError> {
        // Without a working lock, it is unknown whether a session uses it.
        if file.try_lock().is_err() || !self.has_no_file() {
            return Err(self.of_other(recorded));
        }
        let removed = self.directory(false).and_then(|directory| match directory {
            // The lock was released for a moment, so another process may have replaced the record.
            Some(directory) if self.is_current(file) => {
                Ok(rustix::fs::unlinkat(&directory, &self.record[2], AtFlags::empty())?)
            }
            _ => Ok(()),
        });
        removed.map_err(|error| self.not_recorded(&error))
    }

    /// Creates the record with a shared lock. Returns `None` if another process has created one. The file gets its name
    /// when it is complete, so a process that is killed meanwhile leaves no damaged record.
    fn create(&self) -> io::Result<Option<File>> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let Some(directory) = self.directory(true)? else { return Ok(None) };
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        // No name of a record begins like this.
        let new = format!("%.new-{time}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&directory, &new, flags, Mode::from_raw_mode(0o644))?);
        let created = lock_shared(&file).and_then(|()| {
            file.write_all(&encode(&self.server))?;
            file.sync_all()?;
            let is_created = name_exclusively(&directory, &new, &self.record[2])?;
            rustix::fs::fsync(&directory)?;
            Ok(is_created)
        });
        // It has its other name now, or it failed, which is the error to report.
        let _renamed = rustix::fs::unlinkat(&directory, &new, AtFlags::empty());
        Ok(created?.then_some(file))
    }

    fn open(&self) -> Result<Option<File>, SessionError> {
        let open = || {
            let Some(directory) = self.directory(false)? else { return Ok(None) };
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            match rustix::fs::openat(&directory, &self.record[2], flags, Mode::empty()) {
                Ok(file) => Ok(Some(File::from(file))),
                Err(Errno::NOENT) => Ok(None),
                Err(errno) => Err(io::Error::from(errno)),
            }
        };
        open().map_err(|error| self.unknown(&error))
    }

    fn read(&self, file: &File) -> Result<Server, SessionError> {
        let mut content = Vec::new();
        file.take(LONGEST).read_to_end(&mut content).map_err(|error| self.unknown(&error))?;
        decode(&content).ok_or_else(|| self.unknown(&io::Error::other("it is damaged")))
    }

    /// Returns true if a file is still the record.
    fn is_current(&self, file: &File) -> bool {
        let identity = |file: &File| file.metadata().map(|found| (found.dev(), found.ino())).ok();
        let current = self.open().ok().flatten();
        current.is_some_and(|current| identity(&current) == identity(file))
    }

    /// Opens the directory of the record, without following links below the cache root. Returns `None` if it does not
    /// exist and is not to be created.
    fn directory(&self, create: bool) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut directory = match rustix::fs::openat(CWD, &self.root, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) if !create => return Ok(None),
            opened => opened?,
        };
        for name in &self.record[..2] {
            if create {
                match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) => rustix::fs::fsync(&directory)?,
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            directory = match rustix::fs::openat(&directory, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Err(Errno::NOENT) if !create => return Ok(None),
                opened => opened?,
            };
        }
        Ok(Some(directory))
    }

    fn has_no_file(&self) -> bool {
        self.paths.iter().all(|path| has_no_file(path))
    }

    /// Returns the directory that messages name.
    fn path(&self) -> PathBuf {
        let [usual, _] = &self.paths;
        self.paths.iter().find(|path| !has_no_file(path)).unwrap_or(usual).clone()
    }

    fn record_path(&self) -> PathBuf {
        self.record.iter().fold(self.root.clone(), |path, name| path.join(name))
    }

    fn of_other(&self, recorded: &Server) -> SessionError {
        SessionError::OtherServer {
            location: self.location.clone(),
            path: self.path(),
            recorded: recorded.to_string(),
            server: self.server.to_string(),
            record: self.record_path(),
        }
    }

    fn unknown(&self, cause: &io::Error) -> SessionError {
        let (path, record) = (self.path(), self.record_path());
        SessionError::ServerUnknown { path, record, cause: cause.to_string() }
    }

    fn not_recorded(&self, cause: &io::Error) -> SessionError {
        let (path, server, record) = (self.path(), self.server.to_string(), self.record_path());
        SessionError::ServerNotRecorded { path, server, record, cause: cause.to_string() }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once(' ') {
            Some((scheme, "")) => write!(f, "of {scheme}://"),
            Some((_, server)) => f.write_str(server),
            None => f.write_str(&self.0),
        }
    }
}

/// Takes a shared lock, which a process that replaces the record delays for a moment. Some file systems have no locks.
fn lock_shared(file: &File) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        match file.try_lock_shared() {
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(AGAIN),
        }
    }
    Err(io::Error::other("another process has locked it"))
}

/// Gives a file its name unless another file has that name. Returns true if it got the name.
fn name_exclusively(directory: &OwnedFd, new: &str, name: &str) -> io::Result<bool> {
    // Not every file system has hard links, and not every one can rename on this condition.
    let linked = rustix::fs::linkat(directory, new, directory, name, AtFlags::empty());
    let named = match linked {
        Ok(()) | Err(Errno::EXIST) => linked,
        Err(_) => rename_exclusively(directory, new, name),
    };
    match named {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_exclusively(directory: &OwnedFd, new: &str, name: &str) -> Result<(), Errno> {
    rustix::fs::renameat_with(directory, new, directory, name, rustix::fs::RenameFlags::NOREPLACE)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_exclusively(_directory: &OwnedFd, _new: &str, _name: &str) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

/// Returns true if a directory does not exist, or has only empty directories. A directory that cannot be read may have
/// files.
fn has_no_file(path: &Path) -> bool {
    let is_empty = |entry: io::Result<fs::DirEntry>| {
        let directory = entry.and_then(|entry| Ok(entry.file_type()?.is_dir().then(|| entry.path())));
        directory.is_ok_and(|directory| directory.is_some_and(|directory| has_no_file(&directory)))
    };
    match fs::read_dir(path) {
        Ok(mut entries) => entries.all(is_empty),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn encode(Server(server): &Server) -> Vec<u8> {
    format!("{FORMAT}\n{}\n{server}\n", checksum(server.as_bytes())).into_bytes()
}

/// Returns the server in a record, or `None` if the record is damaged.
fn decode(content: &[u8]) -> Option<Server> {
    let rest = content.strip_prefix(FORMAT.as_bytes())?.strip_prefix(b"\n")?;
    let (sum, server) = std::str::from_utf8(rest).ok()?.strip_suffix('\n')?.split_once('\n')?;
    (sum == checksum(server.as_bytes())).then(|| Server(server.to_owned()))
}

fn checksum(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
