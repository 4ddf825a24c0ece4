//! The ordered walk: one directory's names per level in memory, whatever the size of the tree.
//!
//! It is where "not readable" and "not there" part: what vanished is gone, everything else that cannot be read is
//! listed as protected, and a root that cannot be read fails the listing.

use std::sync::Arc;

use pos3_core::{Entry, ErrorKind, Key, ListOptions, Protection, Result, StoreError, UnsafeKey};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, OFlags};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::Batch;
use super::directory::ReadBuffer;
use super::level::{Found, Names};
use crate::error::{changed, failed, unfit, words};
use crate::facts::{self, Identity};
use crate::options::{MissingRoot, Symlinks};
use crate::path::{self, PathError};
use crate::root::Root;

/// Entries handed over at once.
const BATCH: usize = 256;

/// Directories held open; those further up are opened again when the walk comes back to them.
const OPEN_LEVELS: usize = 64;

/// A walk that sends what it finds.
pub(super) struct Walk {
    root: Arc<Root>,
    prefix: String,
    options: ListOptions,
    /// The key being visited; each level owns its first `depth` bytes.
    key: String,
    levels: Vec<Level>,
    /// The directories above the first level, which a followed link must not lead back to.
    above: Vec<Identity>,
    buffer: ReadBuffer,
    batch: Batch,
    sender: mpsc::Sender<Batch>,
}

struct Level {
    directory: Option<OwnedFd>,
    identity: Identity,
    /// The length of this directory's own key; 0 for the root.
    depth: usize,
    names: Names,
}

/// Nobody takes entries any more.
struct Dropped;

/// How a walk can end before its end.
enum End {
    Dropped,
    Failed(StoreError),
}

impl From<Dropped> for End {
    fn from(Dropped: Dropped) -> Self {
        Self::Dropped
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Walk {
    pub(super) fn new(root: Arc<Root>, prefix: String, options: ListOptions, sender: mpsc::Sender<Batch>) -> Self {
        Self {
            root,
            prefix,
            options,
            key: String::new(),
            levels: Vec::new(),
            above: Vec::new(),
            buffer: ReadBuffer::default(),
            batch: Vec::with_capacity(BATCH),
            sender,
        }
    }

    /// Walks to the end; a failure is the last thing sent.
    pub(super) fn run(mut self) {
        if let Err(End::Failed(error)) = self.walk() {
            self.batch.push(Err(error));
        }
        if !self.batch.is_empty() {
            // A consumer that is gone has no use for the rest.
            let _ = self.sender.blocking_send(self.batch);
        }
    }

    fn walk(&mut self) -> Result<(), End> {
        let Some(root) = self.start()? else { return Ok(()) };
        while self.step(root.as_fd())? {}
        let stat = rustix::fs::fstat(&root).map_err(|errno| self.failed(errno))?;
        if stat.st_nlink == 0 {
            let message = format!("the directory '{}' was removed while it was listed", self.root.path().display());
            return Err(StoreError::new(ErrorKind::NotFound, "list").with_message(message).into());
        }
        Ok(())
    }

    /// Opens the root and the directory that the prefix starts in. Returns none if there is nothing to list.
    fn start(&mut self) -> Result<Option<OwnedFd>, End> {
        let root = match self.root.open_to_list("list") {
            Err(error) if error.kind() == ErrorKind::NotFound && self.root.missing() == MissingRoot::Empty => {
                return Ok(None);
            }
            opened => opened?,
        };
        let (base, partial) = self.prefix.split_at(self.prefix.rfind('/').map_or(0, |at| at + 1));
        let (base, partial) = (base.to_owned(), partial.to_owned());
        match Key::from(base.as_str()).check_path() {
            Err(rule @ UnsafeKey::TooLong) => return Err(unfit("list", &Key::from(base), rule).into()),
            Err(_) if !base.is_empty() => return Ok(None),
            Ok(()) | Err(_) => {}
        }
        let path = base.trim_end_matches('/');
        let directory = match path::open(root.as_fd(), path, path::LIST, self.root.symlinks()) {
            Ok(directory) => directory,
            Err(PathError::System(Errno::NOENT | Errno::NOTDIR))
                if !base.is_empty() && !path::has_broken_link(root.as_fd(), path) =>
            {
                return Ok(None);
            }
            Err(PathError::Blocked { by, .. }) if by != FileType::Symlink => return Ok(None),
            Err(error) => return Err(error.reading("list", &Key::from(base)).into()),
        };
        self.above = self.identities_above(root.as_fd(), path)?;
        self.key.push_str(&base);
        let mut names = Names::read(directory.as_fd(), self.root.symlinks(), &mut self.buffer)
            .map_err(|errno| self.failed(errno))?;
        self.note_unfinished(&names);
        let stat = rustix::fs::fstat(&directory).map_err(|errno| self.failed(errno))?;
        if names.is_empty() && partial.is_empty() && !base.is_empty() && self.is_asked_for() {
            self.send(facts::marker(Key::from(base.as_str()), &stat))?;
        }
        names.keep(&partial);
        self.levels.push(Level {
            directory: Some(directory),
            identity: facts::identity(&stat),
            depth: base.len(),
            names,
        });
        Ok(Some(root))
    }

    fn identities_above(&self, root: BorrowedFd<'_>, path: &str) -> Result<Vec<Identity>, End> {
        if self.root.symlinks() == Symlinks::Skip || path.is_empty() {
            return Ok(Vec::new());
        }
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        std::iter::once(".")
            .chain(above)
            .map(|path| rustix::fs::statat(root, path, AtFlags::empty()))
            .map(|stat| Ok(facts::identity(&stat.map_err(|errno| self.failed(errno))?)))
            .collect()
    }

    /// Visits one name. Returns false at the end.
    fn step(&mut self, root: BorrowedFd<'_>) -> Result<bool, End> {
        let Some(level) = self.levels.last_mut() else { return Ok(false) };
        self.key.truncate(level.depth);
        match level.names.next(&mut self.key) {
            None => {
                self.levels.pop();
            }
            Some(Found::File) if self.is_asked_for() => self.file(root)?,
            Some(Found::File) => {}
            Some(Found::Directory) => self.directory(root)?,
            Some(Found::Protected(why)) => self.protected(why)?,
        }
        Ok(true)
    }

    fn file(&mut self, root: BorrowedFd<'_>) -> Result<(), End> {
        let how = match self.root.symlinks() {
            Symlinks::Skip => AtFlags::SYMLINK_NOFOLLOW,
            Symlinks::Follow => AtFlags::empty(),
        };
        let (directory, name) = self.here(root)?;
        match rustix::fs::statat(directory, name, how) {
            Ok(stat) if facts::file_type(&stat) == FileType::RegularFile => {
                Ok(self.send(facts::file(Key::from(self.key.as_str()), &stat))?)
            }
            Ok(_) => self.either("it changed while it was listed"),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => self.either(&words(errno)),
        }
    }

    fn directory(&mut self, root: BorrowedFd<'_>) -> Result<(), End> {
        if self.sender.is_closed() {
            return Err(End::Dropped);
        }
        if self.options.prune.prunes(&self.key[self.prefix.len()..]) || self.is_passed() {
            return Ok(());
        }
        if self.options.shallow {
            return self.send_if_asked_for(Entry::directory(self.key.as_str()));
        }
        let nofollow = match self.root.symlinks() {
            Symlinks::Skip => OFlags::NOFOLLOW,
            Symlinks::Follow => OFlags::empty(),
        };
        let (above, name) = self.here(root)?;
        let opened = rustix::fs::openat(above, name, path::LIST | nofollow, rustix::fs::Mode::empty());
        match opened.and_then(|directory| self.enter(directory)) {
            Ok(entry) => self.send_if_asked_for(entry),
            Err(Errno::NOENT) => Ok(()),
            Err(Errno::NOTDIR | Errno::LOOP) => self.unreadable("it changed while it was listed"),
            Err(errno) => self.unreadable(&words(errno)),
        }
    }

    /// Reads a directory's names, to be visited next, and returns its own entry.
    fn enter(&mut self, directory: OwnedFd) -> Result<Entry, Errno> {
        let stat = rustix::fs::fstat(&directory)?;
        let identity = facts::identity(&stat);
        if self.root.symlinks() == Symlinks::Follow && self.is_inside(identity) {
            return Ok(Entry::protected(self.key.as_str(), Protection::Symlink));
        }
        let names = Names::read(directory.as_fd(), self.root.symlinks(), &mut self.buffer)?;
        self.note_unfinished(&names);
        if names.is_empty() {
            return Ok(facts::marker(Key::from(self.key.as_str()), &stat));
        }
        if let Some(far) = self.levels.len().checked_sub(OPEN_LEVELS) {
            self.levels[far].directory = None;
        }
        self.levels.push(Level { directory: Some(directory), identity, depth: self.key.len(), names });
        Ok(Entry::directory(self.key.as_str()))
    }

    /// Notes what dead writers may have left in the directory of the key.
    fn note_unfinished(&self, names: &Names) {
        names.unfinished().iter().for_each(|name| self.root.seen().note(&self.key, name));
    }

    fn is_inside(&self, identity: Identity) -> bool {
        self.above.contains(&identity) || self.levels.iter().any(|level| level.identity == identity)
    }

    /// Protects what stands at the key whether it is a file or a directory.
    fn either(&mut self, cause: &str) -> Result<(), End> {
        if let Some(level) = self.levels.last_mut() {
            let name = format!("{}/", &self.key[level.depth..]);
            level.names.protect_later(name, Protection::Unreadable(cause.into()));
        }
        self.unreadable(cause)
    }

    fn unreadable(&mut self, cause: &str) -> Result<(), End> {
        self.protected(Protection::Unreadable(cause.into()))
    }

    /// Sends a protected entry. One that is not asked for, but protects keys that are, would be missed: it ends the
    /// listing.
    fn protected(&mut self, why: Protection) -> Result<(), End> {
        if self.is_asked_for() {
            return Ok(self.send(Entry::protected(self.key.as_str(), why))?);
        }
        if self.is_passed() {
            return Ok(());
        }
        let error = StoreError::new(ErrorKind::Other, "list").with_message(why.to_string());
        Err(error.with_key(&Key::from(self.key.as_str())).into())
    }

    fn send_if_asked_for(&mut self, entry: Entry) -> Result<(), End> {
        if self.is_asked_for() { Ok(self.send(entry)?) } else { Ok(()) }
    }

    fn send(&mut self, entry: Entry) -> Result<(), Dropped> {
        self.batch.push(Ok(entry));
        if self.batch.len() < BATCH {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.sender.blocking_send(batch).map_err(|_| Dropped)
    }

    /// True if the key being visited comes after the one the caller has.
    fn is_asked_for(&self) -> bool {
        self.options.start_after.as_ref().is_none_or(|after| self.key.as_str() > after.as_str())
    }

    /// True if neither this key nor, for a directory, anything below it is asked for.
    fn is_passed(&self) -> bool {
        let Some(after) = &self.options.start_after else { return false };
        let reaches_below = self.key.ends_with('/') && after.as_str().starts_with(&self.key);
        !self.is_asked_for() && !reaches_below
    }

    /// Returns the open directory and the name in it that the key being visited stands for.
    fn here(&mut self, root: BorrowedFd<'_>) -> Result<(BorrowedFd<'_>, &str), End> {
        let symlinks = self.root.symlinks();
        let Some(level) = self.levels.last_mut() else { return Err(failed_here(&self.key, Errno::BADF)) };
        if level.directory.is_none() {
            level.directory = Some(reopen(root, &self.key[..level.depth], level.identity, symlinks)?);
        }
        let name = self.key[level.depth..].trim_end_matches('/');
        match &level.directory {
            Some(directory) => Ok((directory.as_fd(), name)),
            None => Err(failed_here(&self.key, Errno::BADF)),
        }
    }

    fn failed(&self, errno: Errno) -> StoreError {
        failed("list", &Key::from(self.key.as_str()), errno)
    }
}

fn failed_here(key: &str, errno: Errno) -> End {
    End::Failed(failed("list", &Key::from(key), errno))
}

/// Opens a directory again that was closed to save file handles, and makes sure that it is the same one.
fn reopen(root: BorrowedFd<'_>, key: &str, identity: Identity, symlinks: Symlinks) -> Result<OwnedFd, End> {
    let directory = path::open(root, key.trim_end_matches('/'), path::LIST, symlinks)
        .map_err(|error| error.reading("list", &Key::from(key)))?;
    let stat = rustix::fs::fstat(&directory).map_err(|errno| failed_here(key, errno))?;
    if facts::identity(&stat) != identity {
        return Err(End::Failed(changed("list", &Key::from(key))));
    }
    Ok(directory)
}
