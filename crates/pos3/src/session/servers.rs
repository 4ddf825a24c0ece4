//! Records which server the local copies of a bucket belong to.
//!
//! The path of a local copy does not contain the endpoint. Without the record, buckets of one name on two servers would
//! share their local copies, and a session of one server would upload the files of the other one. pos3 never replaces a
//! record: files of the first server may lie on a disk that is not mounted, and its program may still write.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::error::SessionError;
use super::layout;
use crate::location::RemoteLocation;

const FORMAT: &str = "pos3 server of local copies 1";

/// The longest record that is read.
const LONGEST: u64 = 64 << 10;

/// The local copies of one bucket in a cache root.
#[derive(Clone, Debug)]
pub(super) struct LocalCopies {
    location: String,
    server: Server,
    root: PathBuf,
    /// The directories of all of them.
    directories: [PathBuf; 2],
    /// The one of these directories that has the local copy of the location.
    path: PathBuf,
    /// The names of the record, from the cache root down.
    record: [String; 3],
}

/// A server, with the scheme of its locations.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server(String);

/// A record, or a directory above it, that cannot be used.
#[derive(Debug)]
struct Fault {
    at: PathBuf,
    cause: String,
}

impl LocalCopies {
    /// Returns the local copies of a bucket. `server` is the name of its server; see
    /// [`Provider::server`](crate::Provider::server).
    pub(super) fn new(root: PathBuf, local_name: &str, remote: &RemoteLocation, server: Option<&str>) -> Self {
        let directories = layout::buckets(&root, local_name, remote);
        let [usual, escaped] = &directories;
        let is_escaped = layout::path(&root, local_name, remote).starts_with(escaped);
        Self {
            location: remote.to_string(),
            server: Server(format!("{} {}", remote.scheme(), server.unwrap_or_default())),
            path: if is_escaped { escaped } else { usual }.clone(),
            record: layout::server_record(local_name, remote),
            directories,
            root,
        }
    }

    /// Returns the directories of all of them.
    pub(super) fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Returns true if their server is recorded, and false if there is no record. Changes nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if another server is recorded, or if the record cannot be read.
    pub(super) fn are_recorded(&self) -> Result<bool, SessionError> {
        match self.read().map_err(|fault| self.unknown(fault))? {
            Some(recorded) if recorded == self.server => Ok(true),
            Some(recorded) => Err(self.of_other(&recorded)),
            None => Ok(false),
        }
    }

    /// Records their server, unless that was done before.
    pub(super) fn record(&self) -> Result<(), SessionError> {
        if fs::create_dir_all(&self.root).is_err() {
            // Without a cache root there are no local copies, and the session cannot create them either.
            return Ok(());
        }
        if self.are_recorded()? || self.create().map_err(|fault| self.not_recorded(fault))? {
            return Ok(());
        }
        // Another process was faster.
        match self.are_recorded()? {
            true => Ok(()),
            false => Err(self.not_recorded(self.fault("another process removed it"))),
        }
    }

    /// Creates the record, unless there is one. Returns true if it was created.
    fn create(&self) -> Result<bool, Fault> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let directory = self.directory(true)?.ok_or_else(|| self.fault(Errno::NOENT))?;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        // No name of a record begins like this.
        let new = format!("%.new-{time}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let created = create_exclusively(&directory, &new, &self.record[2], &encode(&self.server));
        // It has its other name now, or it failed, which is the error to report.
        let _renamed = rustix::fs::unlinkat(&directory, &new, AtFlags::empty());
        created.map_err(|cause| self.fault(cause))
    }

    fn read(&self) -> Result<Option<Server>, Fault> {
        let Some(directory) = self.directory(false)? else { return Ok(None) };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&directory, &self.record[2], flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.fault(errno)),
        };
        let mut content = Vec::new();
        file.take(LONGEST).read_to_end(&mut content).map_err(|cause| self.fault(cause))?;
        decode(&content).map(Some).ok_or_else(|| self.fault("it is damaged"))
    }

    /// Opens the directory of the record, without following links below the cache root. Returns `None` if it does not
    /// exist and is not to be created.
    fn directory(&self, create: bool) -> Result<Option<OwnedFd>, Fault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fault = |path: &Path, errno: Errno| Fault { at: path.to_owned(), cause: errno.to_string() };
        let mut path = self.root.clone();
        let mut directory = match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) if !create => return Ok(None),
            opened => opened.map_err(|errno| fault(&path, errno))?,
        };
        for name in &self.record[..2] {
            path.push(name);
            if create {
                match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) => rustix::fs::fsync(&directory).map_err(|errno| fault(&path, errno))?,
                    Err(Errno::EXIST) => {}
                    Err(errno) => return Err(fault(&path, errno)),
                }
            }
            directory = match rustix::fs::openat(&directory, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Err(Errno::NOENT) if !create => return Ok(None),
                opened => opened.map_err(|errno| fault(&path, errno))?,
            };
        }
        Ok(Some(directory))
    }

    fn record_path(&self) -> PathBuf {
        self.record.iter().fold(self.root.clone(), |path, name| path.join(name))
    }

    fn fault(&self, cause: impl fmt::Display) -> Fault {
        Fault { at: self.record_path(), cause: cause.to_string() }
    }

    fn of_other(&self, recorded: &Server) -> SessionError {
        SessionError::OtherServer {
            location: self.location.clone(),
            path: self.path.clone(),
            recorded: recorded.to_string(),
            server: self.server.to_string(),
            record: self.record_path(),
        }
    }

    fn unknown(&self, Fault { at, cause }: Fault) -> SessionError {
        SessionError::ServerUnknown { path: self.path.clone(), record: self.record_path(), at, cause }
    }

    fn not_recorded(&self, Fault { at: record, cause }: Fault) -> SessionError {
        let (path, server) = (self.path.clone(), self.server.to_string());
        SessionError::ServerNotRecorded { path, server, record, cause }
    }

    /// Returns the error for output that was marked when a server was recorded, and now none is. `output` is the marked
    /// path, if the mark can be read.
    pub(super) fn of_unknown_server(&self, mark: PathBuf, output: Option<PathBuf>) -> SessionError {
        let (location, record) = (self.location.clone(), self.record_path());
        SessionError::OutputOfUnknownServer { location, output, mark, record }
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

/// Creates a file, unless another file has its name. Returns true if it was created. The file gets its name when it is
/// complete, so a process that is killed meanwhile leaves no damaged file. Before, it is called `new`.
fn create_exclusively(directory: &OwnedFd, new: &str, name: &str, content: &[u8]) -> io::Result<bool> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(directory, new, flags, Mode::from_raw_mode(0o644))?);
    file.write_all(content)?;
    file.sync_all()?;
    let is_created = name_exclusively(directory, new, name)?;
    rustix::fs::fsync(directory)?;
    Ok(is_created)
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
