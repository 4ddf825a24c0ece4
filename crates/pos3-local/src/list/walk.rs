//! The ordered walk. It has the names of one directory per level in memory, whatever the size of the tree.
//!
//! It distinguishes unreadable entries from absent ones, and lists unreadable ones as protected. A name that vanishes
//! before its turn is protected, too: it may have been renamed to one that this walk has already passed. If the root
//! cannot be read, the listing fails.

use std::sync::Arc;

use pos3_core::{
    Entry, ErrorKind, Key, ListOptions, Operation, Protection, Result, StoreError, UnsafeKey, is_staged_name,
    open_file_limit,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use rustix::io::Errno;

use super::Batch;
use super::level::{Found, MovedFiles, Names};
use super::settle::{self, Settled};
use crate::blocking::Waited;
use crate::directory::ReadBuffer;
use crate::error::{changed, failed, unfit, words};
use crate::facts::{self, Identity};
use crate::mounts::{FileSystem, Mounted};
use crate::options::{MissingRoot, Symlinks};
use crate::own_files::Present;
use crate::path::{self, PathError};
use crate::root::Root;

/// The number of entries in a batch.
const BATCH: usize = 256;

/// The largest number of open directories. Those further up are opened again when the walk returns to them.
const OPEN_LEVELS: usize = 64;

/// At most this fraction of the limit of open files is used, because two walks and the copies need the rest.
const SHARE: usize = 8;

/// A walk that advances one batch at a time and occupies no thread in between.
pub(super) struct Walk {
    root: Arc<Root>,
    prefix: String,
    options: ListOptions,
    /// The current key. Each level owns its first `depth` bytes.
    key: String,
    levels: Vec<Level>,
    /// The directories above the first level. A followed link must not lead to one of them.
    above: Vec<Identity>,
    /// The other locations of a sync.
    apart: Vec<Identity>,
    /// The files and directories that the program itself writes.
    own: Present,
    buffer: ReadBuffer,
    batch: Batch,
    open_levels: usize,
    stage: Stage,
}

/// The progress of a walk.
enum Stage {
    Begun,
    Walking(OwnedFd),
    Ended,
}

struct Level {
    directory: Option<OwnedFd>,
    identity: Identity,
    file_system: FileSystem,
    /// The length of the directory's own key; 0 for the root.
    depth: usize,
    names: Names,
}

impl Walk {
    pub(super) fn new(root: Arc<Root>, prefix: String, options: ListOptions) -> Self {
        Self {
            root,
            prefix,
            options,
            key: String::new(),
            levels: Vec::new(),
            above: Vec::new(),
            apart: Vec::new(),
            own: Present::default(),
            buffer: ReadBuffer::default(),
            batch: Vec::new(),
            open_levels: OPEN_LEVELS.min(open_file_limit() / SHARE).max(1),
            stage: Stage::Begun,
        }
    }

    /// Walks until a batch is full, and returns it with the walk. Returns `None` at the end. A failure is the last
    /// entry.
    pub(super) fn next(mut self, waited: &Waited) -> Option<(Batch, Self)> {
        self.batch = Vec::with_capacity(BATCH);
        if let Err(error) = self.walk(waited) {
            self.stage = Stage::Ended;
            self.batch.push(Err(error));
        }
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() { None } else { Some((batch, self)) }
    }

    fn walk(&mut self, waited: &Waited) -> Result<()> {
        let root = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Ended => return Ok(()),
            Stage::Walking(root) => root,
            Stage::Begun => match self.start()? {
                Some(root) => root,
                None => return Ok(()),
            },
        };
        while self.step(root.as_fd(), waited)? {
            if self.batch.len() >= BATCH {
                self.stage = Stage::Walking(root);
                return Ok(());
            }
        }
        let stat = rustix::fs::fstat(&root).map_err(|errno| self.failed(errno))?;
        if stat.st_nlink == 0 {
            let message = format!("the directory '{}' was removed while it was listed", self.root.path().display());
            return Err(StoreError::new(ErrorKind::NotFound, Operation::List).with_message(message));
        }
        Ok(())
    }

    /// Opens the root and the directory in which the prefix begins. Returns `None` if there is nothing to list.
    fn start(&mut self) -> Result<Option<OwnedFd>> {
        let root = match self.root.open_to_list(Operation::List) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.root.missing() == MissingRoot::Empty => {
                if self.is_whole() {
                    self.root.mounts().begin_at_none();
                }
                return Ok(None);
            }
            opened => opened?,
        };
        let (base, partial) = self.prefix.split_at(self.prefix.rfind('/').map_or(0, |at| at + 1));
        let (base, partial) = (base.to_owned(), partial.to_owned());
        match Key::from(base.as_str()).check_path() {
            Err(rule @ UnsafeKey::TooLong) => return Err(unfit(Operation::List, &Key::from(base), rule)),
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
            Err(error) => return Err(error.reading(Operation::List, &Key::from(base))),
        };
        self.above = self.identities_above(root.as_fd(), path)?;
        self.apart = self.root.apart();
        self.own = self.root.own();
        self.key.push_str(&base);
        let stat = rustix::fs::fstat(&directory).map_err(|errno| self.failed(errno))?;
        let mut names = self.names(directory.as_fd(), &stat).map_err(|errno| self.failed(errno))?;
        let identity = facts::identity(&stat);
        if names.is_empty() && partial.is_empty() && !base.is_empty() && self.is_asked_for() {
            self.send(facts::marker(Key::from(base.as_str()), &stat));
        }
        names.keep(&partial);
        let file_system = FileSystem::of(directory.as_fd(), "", identity.device);
        if self.is_whole() {
            let mounted = || Mounted::at(directory.as_fd());
            self.root.mounts().begin(file_system, FileSystem::above(root.as_fd()), mounted);
        }
        self.levels.push(Level { directory: Some(directory), identity, file_system, depth: base.len(), names });
        Ok(Some(root))
    }

    fn identities_above(&self, root: BorrowedFd<'_>, path: &str) -> Result<Vec<Identity>> {
        if self.root.symlinks() == Symlinks::Skip || path.is_empty() {
            return Ok(Vec::new());
        }
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        std::iter::once(".")
            .chain(above)
            .map(|path| rustix::fs::statat(root, path, AtFlags::empty()))
            .map(|stat| stat.map(|stat| facts::identity(&stat)).map_err(|errno| self.failed(errno)))
            .collect()
    }

    /// Visits one name. Returns false at the end.
    fn step(&mut self, root: BorrowedFd<'_>, waited: &Waited) -> Result<bool> {
        let Some(level) = self.levels.last_mut() else { return Ok(false) };
        self.key.truncate(level.depth);
        match level.names.next(&mut self.key) {
            None => {
                self.levels.pop();
            }
            Some(Found::File) if self.is_asked_for() => self.file(root)?,
            Some(Found::File) => {}
            Some(Found::Directory) => {
                waited.check()?;
                self.directory(root)?;
            }
            Some(Found::Protected(why)) => self.protected(why)?,
        }
        Ok(true)
    }

    fn file(&mut self, root: BorrowedFd<'_>) -> Result<()> {
        let how = match self.root.symlinks() {
            Symlinks::Skip => AtFlags::SYMLINK_NOFOLLOW,
            Symlinks::Follow => AtFlags::empty(),
        };
        let (directory, name) = self.here(root)?;
        match rustix::fs::statat(directory, name, how) {
            Ok(stat) if facts::file_type(&stat) == FileType::RegularFile => {
                if self.own.contains(&stat) {
                    return self.protected(Protection::Own);
                }
                self.root.clocks().note(&stat);
                self.send(facts::file(Key::from(self.key.as_str()), &stat));
                Ok(())
            }
            Ok(_) => self.either("it changed while it was listed"),
            Err(Errno::NOENT) => self.vanished(),
            Err(errno) => self.either(&words(errno)),
        }
    }

    fn directory(&mut self, root: BorrowedFd<'_>) -> Result<()> {
        if self.options.prune.prunes(&self.key[self.prefix.len()..]) || self.is_passed() {
            return Ok(());
        }
        if self.options.shallow {
            self.send_if_asked_for(Entry::directory(self.key.as_str()));
            return Ok(());
        }
        let nofollow = match self.root.symlinks() {
            Symlinks::Skip => OFlags::NOFOLLOW,
            Symlinks::Follow => OFlags::empty(),
        };
        let (above, name) = self.here(root)?;
        let opened = rustix::fs::openat(above, name, path::LIST | nofollow, rustix::fs::Mode::empty());
        if let Ok(directory) = &opened
            && self.leads_elsewhere(directory.as_fd())
        {
            return Err(StoreError::new(ErrorKind::Overlap, Operation::List).with_key(&Key::from(self.key.as_str())));
        }
        match opened.and_then(|directory| self.enter(directory)) {
            Ok(entry) => {
                self.send_if_asked_for(entry);
                Ok(())
            }
            Err(Errno::NOENT) => self.vanished(),
            Err(Errno::NOTDIR | Errno::LOOP) => self.unreadable("it changed while it was listed"),
            Err(errno) => self.unreadable(&words(errno)),
        }
    }

    /// Reads the names of a directory, which are visited next, and returns its own entry.
    fn enter(&mut self, directory: OwnedFd) -> Result<Entry, Errno> {
        let stat = rustix::fs::fstat(&directory)?;
        if self.own.contains(&stat) {
            return Ok(Entry::protected(self.key.as_str(), Protection::Own));
        }
        let identity = facts::identity(&stat);
        if self.root.symlinks() == Symlinks::Follow && self.is_inside(identity) {
            return Ok(Entry::protected(self.key.as_str(), Protection::LinkLoop));
        }
        let names = self.names(directory.as_fd(), &stat)?;
        let file_system = FileSystem::of(directory.as_fd(), "", identity.device);
        if let Some(above) = self.levels.last().filter(|_| self.is_whole()) {
            let mounted = || Mounted::at(directory.as_fd());
            self.root.mounts().enter(&self.key, file_system, above.file_system, mounted);
        }
        if names.is_empty() {
            return Ok(facts::marker(Key::from(self.key.as_str()), &stat));
        }
        if let Some(far) = self.levels.len().checked_sub(self.open_levels) {
            self.levels[far].directory = None;
        }
        self.levels.push(Level { directory: Some(directory), identity, file_system, depth: self.key.len(), names });
        Ok(Entry::directory(self.key.as_str()))
    }

    /// Returns true if a directory is another location of the sync, or lies in one because of a followed link.
    fn leads_elsewhere(&self, directory: BorrowedFd<'_>) -> bool {
        if self.apart.is_empty() {
            return false;
        }
        let is_apart = rustix::fs::fstat(directory).is_ok_and(|stat| self.apart.contains(&facts::identity(&stat)));
        is_apart || (self.root.symlinks() == Symlinks::Follow && self.lies_elsewhere(directory))
    }

    /// Returns true if a directory is not in the directory from which the walk entered it, but lies in another location.
    fn lies_elsewhere(&self, directory: BorrowedFd<'_>) -> bool {
        let here = self.levels.last().map(|level| level.identity);
        let above = path::identities_above(directory);
        above.first().copied() != here && above.iter().any(|above| self.apart.contains(above))
    }

    /// Reads the names in the directory of the key, and records its unfinished files. `stat` is its status before.
    fn names(&mut self, directory: BorrowedFd<'_>, stat: &Stat) -> Result<Names, Errno> {
        let (links, buffer) = (self.root.symlinks(), &mut self.buffer);
        let moved_files = if self.root.restores_moved() { MovedFiles::Restored } else { MovedFiles::Protected };
        let (mut names, settled) =
            settle::read(directory, stat, |directory| Names::read(directory, links, moved_files, buffer))?;
        if settled == Settled::No {
            self.options.doubts.note_unsettled(&Key::from(self.key.as_str()));
        }
        for name in names.unfinished() {
            self.root.seen().note(&self.key, name);
            if is_staged_name(name) {
                self.options.doubts.note_staged(&Key::from(format!("{}{name}", self.key)));
            }
        }
        self.protect_own(&mut names, facts::identity(stat));
        Ok(names)
    }

    /// Protects the names in the directory of the key that belong to the program, even if they do not exist yet.
    fn protect_own(&self, names: &mut Names, identity: Identity) {
        let above = self.levels.iter().map(|level| (level.identity, level.depth));
        for (identity, depth) in above.chain([(identity, self.key.len())]) {
            let own = self.own.names(identity, &self.key[depth..]);
            own.for_each(|name| names.protect_later(name.to_owned(), Protection::Own));
        }
    }

    fn is_inside(&self, identity: Identity) -> bool {
        self.above.contains(&identity) || self.levels.iter().any(|level| level.identity == identity)
    }

    /// Protects the key both as a file and as a directory.
    fn either(&mut self, cause: &str) -> Result<()> {
        if let Some(level) = self.levels.last_mut() {
            let name = format!("{}/", &self.key[level.depth..]);
            level.names.protect_later(name, Protection::Unreadable(cause.into()));
        }
        self.unreadable(cause)
    }

    fn vanished(&mut self) -> Result<()> {
        self.send_if_asked_for(Entry::protected(self.key.as_str(), Protection::Vanished));
        Ok(())
    }

    fn unreadable(&mut self, cause: &str) -> Result<()> {
        self.protected(Protection::Unreadable(cause.into()))
    }

    /// Sends a protected entry. If the entry itself was not requested but protects requested keys, the listing fails,
    /// because it would be missing.
    fn protected(&mut self, why: Protection) -> Result<()> {
        if self.is_asked_for() {
            self.send(Entry::protected(self.key.as_str(), why));
            return Ok(());
        }
        if self.is_passed() {
            return Ok(());
        }
        let error = StoreError::new(ErrorKind::Other, Operation::List).with_message(why.to_string());
        Err(error.with_key(&Key::from(self.key.as_str())))
    }

    fn send_if_asked_for(&mut self, entry: Entry) {
        if self.is_asked_for() {
            self.send(entry);
        }
    }

    fn send(&mut self, entry: Entry) {
        self.batch.push(Ok(entry));
    }

    /// Returns true if everything below the root is listed.
    fn is_whole(&self) -> bool {
        self.prefix.is_empty() && self.options.start_after.is_none() && !self.options.shallow
    }

    /// Returns true if the current key comes after the last key that the caller has.
    fn is_asked_for(&self) -> bool {
        self.options.start_after.as_ref().is_none_or(|after| self.key.as_str() > after.as_str())
    }

    /// Returns true if neither this key nor anything below it is requested.
    fn is_passed(&self) -> bool {
        let Some(after) = &self.options.start_after else { return false };
        let reaches_below = self.key.ends_with('/') && after.as_str().starts_with(&self.key);
        !self.is_asked_for() && !reaches_below
    }

    /// Returns the open directory of the current key, and its name there.
    fn here(&mut self, root: BorrowedFd<'_>) -> Result<(BorrowedFd<'_>, &str)> {
        let symlinks = self.root.symlinks();
        let Some(level) = self.levels.last_mut() else { return Err(failed_here(&self.key, Errno::BADF)) };
        let name = self.key[level.depth..].trim_end_matches('/');
        let directory = match level.directory.take() {
            Some(directory) => directory,
            None => reopen(root, &self.key[..level.depth], level.identity, symlinks)?,
        };
        let directory: &OwnedFd = level.directory.insert(directory);
        Ok((directory.as_fd(), name))
    }

    fn failed(&self, errno: Errno) -> StoreError {
        failed(Operation::List, &Key::from(self.key.as_str()), errno)
    }
}

fn failed_here(key: &str, errno: Errno) -> StoreError {
    failed(Operation::List, &Key::from(key), errno)
}

/// Opens a directory again that was closed to save file handles, and verifies that it is the same one.
fn reopen(root: BorrowedFd<'_>, key: &str, identity: Identity, symlinks: Symlinks) -> Result<OwnedFd> {
    let directory = path::open(root, key.trim_end_matches('/'), path::LIST, symlinks)
        .map_err(|error| error.reading(Operation::List, &Key::from(key)))?;
    let stat = rustix::fs::fstat(&directory).map_err(|errno| failed_here(key, errno))?;
    if facts::identity(&stat) != identity {
        return Err(changed(Operation::List, &Key::from(key)));
    }
    Ok(directory)
}
