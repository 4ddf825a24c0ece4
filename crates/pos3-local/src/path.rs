//! Opens the file of a key without following symbolic links and without leaving the root.
//!
//! A path that is checked before it is used can change in between. So the kernel resolves names relative to an open
//! directory, and each step rejects links. On Linux, one `openat2` call does this. Without `openat2`, pos3 calls
//! `openat` for each segment.

use std::path::{Component, Path};

use pos3_core::{BEHIND_LINK, ErrorKind, Key, Operation, StoreError};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
#[cfg(target_os = "linux")]
use rustix::fs::ResolveFlags;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error;
use crate::facts::{self, Identity};
use crate::options::Symlinks;

/// The flags for a directory in which names are only resolved.
#[cfg(target_os = "linux")]
pub(crate) const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// The flags for a directory in which names are only resolved.
#[cfg(not(target_os = "linux"))]
pub(crate) const STEP: OFlags = LIST;

/// The flags for a directory whose names are read.
pub(crate) const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The flags for content. Opening a FIFO must not block.
pub(crate) const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Why a path could not be resolved.
#[derive(Debug)]
pub(crate) enum PathError {
    /// The system reported this error.
    System(Errno),
    /// A segment is an entry that cannot be followed or opened.
    Blocked {
        /// The path up to and including that segment.
        at: String,
        /// The type of the entry.
        by: FileType,
    },
}

impl PathError {
    /// Returns the error of an operation that reads `key`. A path below a file does not exist.
    pub(crate) fn reading(self, operation: Operation, key: &Key) -> StoreError {
        match self {
            Self::System(errno) => error::failed(operation, key, errno),
            Self::Blocked { at, by: FileType::Symlink } => StoreError::new(ErrorKind::Unsupported, operation)
                .with_key(key)
                .with_message(format!("'{}' is a symbolic link, which is not followed", Key::from(at))),
            Self::Blocked { by: FileType::RegularFile | FileType::Directory, .. } => {
                error::failed(operation, key, Errno::NOENT)
            }
            Self::Blocked { at, by } if at == key.as_str() => StoreError::new(ErrorKind::Unsupported, operation)
                .with_key(key)
                .with_message(format!("it is a {}", facts::name(by))),
            Self::Blocked { .. } => error::failed(operation, key, Errno::NOENT),
        }
    }

    /// Returns the error of an operation that writes `key`. The blocking entry must stay.
    pub(crate) fn writing(self, operation: Operation, key: &Key) -> StoreError {
        match self {
            Self::System(errno) => error::failed(operation, key, errno),
            Self::Blocked { at, by } => {
                let message = format!("'{}' is a {}, so '{key}' cannot be written", Key::from(at), facts::name(by));
                let error = StoreError::new(ErrorKind::AlreadyExists, operation).with_key(key).with_message(message);
                if by == FileType::Symlink { error.with_code(BEHIND_LINK) } else { error }
            }
        }
    }
}

/// Splits a file's key into its directory, without the last `/`, and its name.
pub(crate) fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('/').unwrap_or(("", key))
}

/// Opens `path` below `root`. An empty path is the root itself.
pub(crate) fn open(root: BorrowedFd<'_>, path: &str, flags: OFlags, symlinks: Symlinks) -> Result<OwnedFd, PathError> {
    if path.is_empty() {
        return rustix::fs::openat(root, ".", flags, Mode::empty()).map_err(PathError::System);
    }
    match symlinks {
        Symlinks::Follow => rustix::fs::openat(root, path, flags, Mode::empty()).map_err(PathError::System),
        Symlinks::Skip => match open_beneath(root, path, flags) {
            Ok(opened) => Ok(opened),
            Err(Errno::NOENT) => Err(PathError::System(Errno::NOENT)),
            Err(_) => open_stepwise(root, path, flags),
        },
    }
}

/// Opens an absolute path without following symbolic links.
pub(crate) fn open_exactly(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    match open_without_links(path, flags) {
        Err(Errno::NOSYS | Errno::PERM) => open_name_by_name(path, flags),
        opened => opened,
    }
}

#[cfg(target_os = "linux")]
fn open_without_links(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::io::retry_on_intr(|| rustix::fs::openat2(CWD, path, flags, Mode::empty(), resolve))
}

#[cfg(not(target_os = "linux"))]
fn open_without_links(_path: &Path, _flags: OFlags) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

fn open_name_by_name(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut names = path.components().filter(|part| !matches!(part, Component::RootDir)).peekable();
    let flags_of = |is_last: bool| if is_last { flags } else { STEP };
    let mut directory = rustix::fs::openat(CWD, "/", flags_of(names.peek().is_none()), Mode::empty())?;
    while let Some(name) = names.next() {
        let flags = flags_of(names.peek().is_none()) | OFlags::NOFOLLOW;
        let name = name.as_os_str();
        directory = rustix::io::retry_on_intr(|| rustix::fs::openat(&directory, name, flags, Mode::empty()))?;
    }
    Ok(directory)
}

/// Returns the directories above an open one, the nearest first, as far as they can be opened.
pub(crate) fn identities_above(directory: BorrowedFd<'_>) -> Vec<Identity> {
    let up = |below: BorrowedFd<'_>| {
        let above = rustix::fs::openat(below, "..", STEP, Mode::empty()).ok()?;
        let identity = facts::identity(&rustix::fs::fstat(&above).ok()?);
        Some((above, identity))
    };
    let mut identities = Vec::new();
    let mut next = up(directory);
    while let Some((above, identity)) = next.filter(|(_, identity)| identities.last() != Some(identity)) {
        identities.push(identity);
        next = up(above.as_fd());
    }
    identities
}

/// Why a followed link cannot be read.
pub(crate) const BROKEN_LINK: &str = "it is a broken symbolic link";

/// Returns true if a segment of `path` is a broken link. What lies below it is then unknown.
pub(crate) fn has_broken_link(root: BorrowedFd<'_>, path: &str) -> bool {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let leads_nowhere = |path: &str| {
        rustix::fs::statat(root, path, AtFlags::empty()).is_err()
            && rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| facts::file_type(&stat) == FileType::Symlink)
    };
    ends.map(|end| &path[..end]).any(leads_nowhere)
}

/// Opens the directory at `path` for writing. Creates missing directories.
pub(crate) fn open_or_make(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, PathError> {
    match open(root, path, STEP, Symlinks::Skip) {
        Err(PathError::System(Errno::NOENT)) => make(root, path),
        opened => opened,
    }
}

#[cfg(target_os = "linux")]
fn open_beneath(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::io::retry_on_intr(|| rustix::fs::openat2(root, path, flags, Mode::empty(), resolve))
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(_root: BorrowedFd<'_>, _path: &str, _flags: OFlags) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// Opens segment by segment. This also explains a failure, because it detects the blocking segment.
fn open_stepwise(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, PathError> {
    walk(root, path, |directory, segment, is_last| open_segment(directory, segment, if is_last { flags } else { STEP }))
}

fn make(root: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, PathError> {
    walk(root, path, |directory, segment, _| match open_segment(directory, segment, STEP) {
        Err(Errno::NOENT) => match rustix::fs::mkdirat(directory, segment, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => open_segment(directory, segment, STEP),
            Err(errno) => Err(errno),
        },
        opened => opened,
    })
}

fn walk(
    root: BorrowedFd<'_>,
    path: &str,
    enter: impl Fn(BorrowedFd<'_>, &str, bool) -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, PathError> {
    let mut directory: Option<OwnedFd> = None;
    let mut end = 0;
    for segment in path.split('/') {
        end += segment.len();
        let above = directory.as_ref().map_or(root, AsFd::as_fd);
        let next = enter(above, segment, end == path.len())
            .map_err(|errno| explain(above, segment, errno).into_path_error(&path[..end]))?;
        directory = Some(next);
        end += 1;
    }
    directory.ok_or(PathError::System(Errno::NOENT))
}

fn open_segment(directory: BorrowedFd<'_>, segment: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::openat(directory, segment, flags | OFlags::NOFOLLOW, Mode::empty()))
}

/// Why a step failed.
enum Obstacle {
    Errno(Errno),
    Thing(FileType),
}

impl Obstacle {
    fn into_path_error(self, at: &str) -> PathError {
        match self {
            Self::Errno(errno) => PathError::System(errno),
            Self::Thing(by) => PathError::Blocked { at: at.to_owned(), by },
        }
    }
}

fn explain(directory: BorrowedFd<'_>, segment: &str, errno: Errno) -> Obstacle {
    if !matches!(errno, Errno::NOTDIR | Errno::LOOP | Errno::MLINK | Errno::NXIO | Errno::EXIST) {
        return Obstacle::Errno(errno);
    }
    match rustix::fs::statat(directory, segment, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Obstacle::Thing(facts::file_type(&stat)),
        Err(errno) => Obstacle::Errno(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_path_is_opened_exactly_by_one_call_or_name_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(directory.path()).unwrap();
        fs::create_dir_all(base.join("a/b")).unwrap();
        symlink("a", base.join("link")).unwrap();
        symlink("b", base.join("a/last")).unwrap();
        for (path, opens) in [("a/b", true), ("", true), ("link/b", false), ("a/last", false), ("link", false)] {
            let path = base.join(path);
            assert_eq!(open_without_links(&path, LIST).is_ok(), opens, "{path:?}");
            assert_eq!(open_name_by_name(&path, LIST).is_ok(), opens, "{path:?}");
        }
        assert!(open_name_by_name(Path::new("/"), LIST).is_ok() && open_without_links(Path::new("/"), LIST).is_ok());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn one_call_and_one_call_per_segment_agree() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/f"), "x").unwrap();
        symlink("a", at("link")).unwrap();
        symlink("f", at("a/b/l")).unwrap();
        let root = fs::File::open(directory.path()).unwrap();
        for (path, opens) in
            [("a/b/f", true), ("a/b/l", false), ("link/b/f", false), ("a/b/f/x", false), ("a/none", false)]
        {
            assert_eq!(open_beneath(root.as_fd(), path, READ).is_ok(), opens, "{path}");
            assert_eq!(open_stepwise(root.as_fd(), path, READ).is_ok(), opens, "{path}");
        }
        let blocked = open_stepwise(root.as_fd(), "link/b/f", READ).unwrap_err();
        assert!(matches!(blocked, PathError::Blocked { at, by: FileType::Symlink } if at == "link"));
    }
}
