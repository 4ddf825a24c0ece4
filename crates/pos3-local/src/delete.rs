//! Deletes files and empty directories. Never deletes through a symbolic link, and never deletes a directory with
//! contents.

use pos3_core::{DeleteKey, ErrorKind, Key, Operation, Result, StoreError};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::blocking::Waited;
use crate::directory;
use crate::error::{changed, displaced, failed, stuck, unfit};
use crate::facts;
use crate::leftover::Leftover;
use crate::options::Symlinks;
use crate::path::{self, PathError};
use crate::root::Root;
use crate::take_out::{self, Taken};

/// Deletes keys and returns a result for each, in the given order. A failure does not stop the others.
pub(crate) fn delete(root: &Root, keys: &[DeleteKey], waited: &Waited) -> Vec<Result<()>> {
    match root.open(Operation::Delete) {
        Ok(opened) => {
            let go_on = |asked: &DeleteKey| waited.check().and_then(|()| unless_halted(asked));
            keys.iter().map(|asked| go_on(asked).and_then(|()| delete_one(opened.as_fd(), asked))).collect()
        }
        Err(error) if error.kind() == ErrorKind::NotFound => keys.iter().map(|_| Ok(())).collect(),
        Err(_) => {
            let failed =
                |asked: &DeleteKey| root.open(Operation::Delete).map(drop).map_err(|error| error.with_key(&asked.key));
            keys.iter().map(failed).collect()
        }
    }
}

/// Fails if the delete is to be started no more.
fn unless_halted(asked: &DeleteKey) -> Result<()> {
    match &asked.halt {
        Some(halt) if halt.is_cancelled() => {
            Err(StoreError::new(ErrorKind::Stopped, Operation::Delete).with_key(&asked.key))
        }
        _ => Ok(()),
    }
}

fn delete_one(root: BorrowedFd<'_>, asked: &DeleteKey) -> Result<()> {
    let key = &asked.key;
    key.check_path().map_err(|rule| unfit(Operation::Delete, key, rule))?;
    let (path, is_directory) = match key.as_str().strip_suffix('/') {
        Some(path) => (path, true),
        None => (key.as_str(), false),
    };
    let (parent, name) = path::split(path);
    let directory = match path::open(root, parent, path::STEP, Symlinks::Skip) {
        Ok(directory) => directory,
        Err(PathError::System(Errno::NOENT)) => return Ok(()),
        Err(PathError::Blocked { by, .. }) if by != FileType::Symlink => return Ok(()),
        Err(error) => return Err(error.reading(Operation::Delete, key)),
    };
    let stat = match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed(Operation::Delete, key, errno)),
    };
    let deleted = match (facts::file_type(&stat), is_directory) {
        (FileType::RegularFile, false)
            if asked.unless_changed.as_ref().is_some_and(|seen| !seen.is(&facts::file(key.clone(), &stat))) =>
        {
            return Err(changed(Operation::Delete, key));
        }
        (FileType::RegularFile, false) if asked.unless_changed.is_some() => {
            match take_out::delete(directory.as_fd(), name, &stat) {
                Ok(Taken::Changed) => return Err(changed(Operation::Delete, key)),
                Ok(Taken::Displaced(kept)) => return Err(displaced(Operation::Delete, key, &kept)),
                Ok(Taken::Stuck { at, errno }) => return Err(stuck(Operation::Delete, key, &at, errno)),
                Ok(Taken::Unsupported) => rustix::fs::unlinkat(&directory, name, AtFlags::empty()),
                Ok(Taken::Done | Taken::Missing) => Ok(()),
                Err(errno) => Err(errno),
            }
        }
        (FileType::RegularFile, false) => rustix::fs::unlinkat(&directory, name, AtFlags::empty()),
        (FileType::Directory, true) => remove_directory(directory.as_fd(), name),
        (FileType::RegularFile, true) => return Ok(()),
        (other, _) => return Err(other_thing(key, other)),
    };
    match deleted {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) if is_directory => Ok(()),
        Err(errno) => Err(failed(Operation::Delete, key, errno)),
    }
}

/// Removes an empty directory. As in a listing, unfinished files of crashed writers do not count.
fn remove_directory(above: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    match rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            let flags = path::LIST | OFlags::NOFOLLOW;
            let directory = rustix::fs::openat(above, name, flags, Mode::empty())?;
            remove_leftovers(directory.as_fd())?;
            rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR)
        }
        removed => removed,
    }
}

/// Removes unfinished files of dead writers if the directory contains nothing else.
fn remove_leftovers(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    for name in directory::leftovers(directory)? {
        if let Some(leftover) = Leftover::take(directory, &name)?.filter(|leftover| leftover.is_stale(&name)) {
            leftover.remove(directory, &name)?;
        }
    }
    Ok(())
}

/// Returns the error for an entry of another kind than the key names. pos3 must not delete it.
fn other_thing(key: &Key, found: FileType) -> StoreError {
    StoreError::new(ErrorKind::Precondition, Operation::Delete)
        .with_key(key)
        .with_message(format!("it is a {}", facts::name(found)))
}

/// Returns the results for keys whose work ended before their turn.
pub(crate) fn ended<'a>(keys: impl IntoIterator<Item = &'a Key>, error: &StoreError) -> Vec<Result<()>> {
    keys.into_iter().map(|key| Err(error.clone().with_key(key))).collect()
}
