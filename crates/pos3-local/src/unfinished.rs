//! Lists and removes unfinished puts.

use pos3_core::{ErrorKind, Key, Operation, Result, StoreError, Unfinished, is_partial_name, is_staged_name};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::blocking::Waited;
use crate::directory::{self, ReadBuffer, Step};
use crate::error::{failed, unfit};
use crate::leftover::Leftover;
use crate::options::Symlinks;
use crate::path::{self, PathError};
use crate::root::Root;

/// Returns the unfinished files below `prefix` without a writer, each under its own path, in order.
///
/// Skips directories that cannot be read, because the result is only used for cleaning up.
pub(crate) fn unfinished(root: &Root, prefix: &str, waited: &Waited) -> Result<Vec<(Key, Unfinished)>> {
    let opened = match root.open(Operation::List) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut buffer = ReadBuffer::default();
    let mut found = Vec::new();
    let mut pending = vec![prefix[..prefix.rfind('/').map_or(0, |at| at + 1)].to_owned()];
    while let Some(base) = pending.pop() {
        waited.check()?;
        let path = base.trim_end_matches('/');
        let Ok(directory) = path::open(opened.as_fd(), path, path::LIST, Symlinks::Skip) else { continue };
        let mut names = Vec::new();
        // A directory that cannot be read completely may still have returned some names.
        let _ = buffer.each(directory.as_fd(), |name, kind| {
            match name.to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(text) if directory::unfinished(name, kind).is_some() => names.push(text.to_owned()),
                Ok(name) if matches!(kind, FileType::Directory | FileType::Unknown) => {
                    pending.push(format!("{base}{name}/"));
                }
                Ok(_) => {}
            }
            Step::Continue
        });
        pending.retain(|directory| directory.starts_with(prefix));
        names.retain(|name| format!("{base}{name}").starts_with(prefix));
        found.extend(names.into_iter().filter_map(|name| nobodys(directory.as_fd(), &base, name)));
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

fn nobodys(directory: BorrowedFd<'_>, base: &str, name: String) -> Option<(Key, Unfinished)> {
    let leftover = Leftover::take(directory, &name).ok()??;
    let key = Key::from(format!("{base}{name}"));
    Some((key, Unfinished { id: name, since: leftover.since(), state: Vec::new() }))
}

/// Removes unfinished files, unless they have a writer. Each is named by its ID and lies beside or at its key.
pub(crate) fn abandon(root: &Root, puts: &[(Key, Unfinished)], waited: &Waited) -> Vec<Result<()>> {
    puts.iter().map(|(key, put)| waited.check().and_then(|()| abandon_one(root, key, &put.id))).collect()
}

fn abandon_one(root: &Root, key: &Key, name: &str) -> Result<()> {
    let (parent, _) = path::split(key.as_str());
    if !parent.is_empty() {
        Key::from(parent).check_path().map_err(|rule| unfit(Operation::Abort, key, rule))?;
    }
    if !is_partial_name(name) && !is_staged_name(name) {
        return Err(StoreError::new(ErrorKind::InvalidKey, Operation::Abort)
            .with_key(key)
            .with_message("it is not an unfinished file"));
    }
    let opened = match root.open(Operation::Abort) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(|error| error.with_key(key))?,
    };
    let directory = match path::open(opened.as_fd(), parent, path::STEP, Symlinks::Skip) {
        Err(PathError::System(Errno::NOENT)) => return Ok(()),
        opened => opened.map_err(|error| error.reading(Operation::Abort, key))?,
    };
    let taken = match Leftover::take(directory.as_fd(), name) {
        Err(Errno::NOENT) => return Ok(()),
        taken => taken.map_err(|errno| failed(Operation::Abort, key, errno))?,
    };
    match taken {
        Some(leftover) => {
            leftover.remove(directory.as_fd(), name).map_err(|errno| failed(Operation::Abort, key, errno))
        }
        None => Err(StoreError::new(ErrorKind::Precondition, Operation::Abort)
            .with_key(key)
            .with_message("it is being written")
            .temporary()),
    }
}
