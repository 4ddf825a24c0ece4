//! Returns the entry of one key, which is the same as in a listing.

use pos3_core::{Entry, ErrorKind, Key, Operation, Protection, Result, StoreError};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::directory::is_empty;
use crate::error::{failed, unfit};
use crate::facts;
use crate::options::Symlinks;
use crate::path::{self, BROKEN_LINK};
use crate::root::Root;

/// Returns the entry at `key`: a file or, if the key ends in `/`, a directory. The entry is protected if it is in a
/// listing.
pub(crate) fn head(root: &Root, key: &Key, operation: Operation) -> Result<Entry> {
    key.check_path().map_err(|rule| unfit(operation, key, rule))?;
    let opened = root.open(operation)?;
    match key.as_str().strip_suffix('/') {
        Some(directory) => head_directory(root, opened.as_fd(), directory, key, operation),
        None => head_file(root, opened.as_fd(), key, operation),
    }
}

fn head_file(root: &Root, opened: BorrowedFd<'_>, key: &Key, operation: Operation) -> Result<Entry> {
    let (parent, name) = path::split(key.as_str());
    let directory =
        path::open(opened, parent, path::STEP, root.symlinks()).map_err(|error| error.reading(operation, key))?;
    let how = match root.symlinks() {
        Symlinks::Skip => AtFlags::SYMLINK_NOFOLLOW,
        Symlinks::Follow => AtFlags::empty(),
    };
    let stat = match rustix::fs::statat(&directory, name, how) {
        Ok(stat) => stat,
        Err(Errno::LOOP) if root.symlinks() == Symlinks::Follow => {
            return Ok(Entry::protected(key.clone(), Protection::LinkLoop));
        }
        Err(_) if root.symlinks() == Symlinks::Follow && path::has_broken_link(directory.as_fd(), name) => {
            return Ok(Entry::protected(key.clone(), Protection::Unreadable(BROKEN_LINK.into())));
        }
        Err(errno) => return Err(failed(operation, key, errno)),
    };
    match facts::file_type(&stat) {
        FileType::RegularFile if root.own().contains(&stat) => Ok(Entry::protected(key.clone(), Protection::Own)),
        FileType::RegularFile => Ok(facts::file(key.clone(), &stat)),
        FileType::Directory => Err(is_directory(operation, key)),
        FileType::Symlink => Ok(Entry::protected(key.clone(), Protection::Symlink)),
        special => Ok(Entry::protected(key.clone(), Protection::Special(facts::name(special).into()))),
    }
}

fn head_directory(
    root: &Root,
    opened: BorrowedFd<'_>,
    directory: &str,
    key: &Key,
    operation: Operation,
) -> Result<Entry> {
    let path = directory;
    let directory = match path::open(opened, path, path::LIST, root.symlinks()) {
        Ok(directory) => directory,
        Err(path::PathError::Blocked { at, by: FileType::Symlink }) if at == path => {
            return Ok(Entry::protected(key.clone(), Protection::Symlink));
        }
        Err(error) => return Err(error.reading(operation, key)),
    };
    let is_loop = leads_back(root, opened, path, directory.as_fd());
    if is_loop.map_err(|errno| failed(operation, key, errno))? {
        return Ok(Entry::protected(key.clone(), Protection::LinkLoop));
    }
    directory_entry(directory.as_fd(), key).map_err(|errno| failed(operation, key, errno))
}

/// Returns true if a followed link in the path leads to a directory that contains the path. A walk does not enter such
/// a link.
fn leads_back(root: &Root, opened: BorrowedFd<'_>, path: &str, directory: BorrowedFd<'_>) -> Result<bool, Errno> {
    if root.symlinks() == Symlinks::Skip {
        return Ok(false);
    }
    let identity = facts::identity(&rustix::fs::fstat(directory)?);
    let above = path.match_indices('/').map(|(at, _)| &path[..at]);
    for above in std::iter::once(".").chain(above) {
        if facts::identity(&rustix::fs::statat(opened, above, AtFlags::empty())?) == identity {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the entry of an open directory.
pub(crate) fn directory_entry(directory: BorrowedFd<'_>, key: &Key) -> Result<Entry, Errno> {
    if !is_empty(directory)? {
        return Ok(Entry::directory(key.clone()));
    }
    Ok(facts::marker(key.clone(), &rustix::fs::fstat(directory)?))
}

/// Returns the error if the key of a file names a directory. As an object, it does not exist.
pub(crate) fn is_directory(operation: Operation, key: &Key) -> StoreError {
    StoreError::new(ErrorKind::NotFound, operation).with_key(key).with_message("it is a directory, not a file")
}
