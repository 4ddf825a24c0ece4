//! Converts error numbers of the system to errors of the engine.

use std::io;

use pos3_core::{ErrorKind, Key, Operation, Reach, StoreError, UnsafeKey};
use rustix::io::Errno;

/// Returns the error if `operation` on `key` failed with `errno`.
pub(crate) fn failed(operation: Operation, key: &Key, errno: Errno) -> StoreError {
    unnamed(operation, errno).with_key(key)
}

/// Returns the error if `operation` failed with `errno` and no key is to be named.
pub(crate) fn unnamed(operation: Operation, errno: Errno) -> StoreError {
    let error = StoreError::new(kind(errno), operation).with_reach(reach(operation, errno));
    let error = error.with_source(io::Error::from(errno));
    match plainly(errno) {
        Some(words) => error.with_message(words),
        None => error,
    }
}

/// Returns whether other files would fail, too. If one file cannot be read, others can. If the disk is full,
/// downloading more content is useless.
fn reach(operation: Operation, errno: Errno) -> Reach {
    match (operation, errno) {
        (_, Errno::NOSPC | Errno::DQUOT) => Reach::Everything,
        (Operation::Write, Errno::ROFS | Errno::ACCESS | Errno::PERM | Errno::IO) => Reach::Suspected,
        _ => Reach::Key,
    }
}

/// Returns a specific text for errors that the user can resolve and whose kind is too general.
fn plainly(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::NOSPC => "the disk is full",
        Errno::DQUOT => "the disk quota is used up",
        Errno::FBIG => "the file is larger than the file system or a limit of this process allows",
        Errno::MFILE | Errno::NFILE => "too many files are open",
        Errno::ROFS => "the file system is read-only",
        _ => return None,
    })
}

/// Returns the error for an I/O error of the standard library.
pub(crate) fn io_failed(operation: Operation, key: &Key, error: io::Error) -> StoreError {
    match Errno::from_io_error(&error) {
        Some(errno) => failed(operation, key, errno),
        None => StoreError::new(ErrorKind::Other, operation).with_key(key).with_source(error),
    }
}

/// Returns the error for a key that cannot be a path. It names the violated rule.
pub(crate) fn unfit(operation: Operation, key: &Key, rule: UnsafeKey) -> StoreError {
    StoreError::new(ErrorKind::InvalidKey, operation).with_key(key).with_message(rule.to_string())
}

/// Returns the error for an operation whose file has changed.
pub(crate) fn changed(operation: Operation, key: &Key) -> StoreError {
    StoreError::new(ErrorKind::Precondition, operation).with_key(key)
}

/// Returns the error for a changed file that another process replaced while pos3 put it back. It is not a failed
/// precondition, whose report would not contain the name.
pub(crate) fn displaced(operation: Operation, key: &Key, kept: &str) -> StoreError {
    StoreError::new(ErrorKind::Other, operation)
        .with_key(key)
        .with_message(format!("it changed twice meanwhile; its earlier content is in '{kept}' beside it"))
}

/// Returns the error for a file that was moved to the name `at` and could not be moved back.
pub(crate) fn stuck(operation: Operation, key: &Key, at: &str, errno: Errno) -> StoreError {
    StoreError::new(ErrorKind::Other, operation)
        .with_key(key)
        .with_message(format!("pos3 moved it to '{at}' beside it to compare it, and could not move it back"))
        .with_source(io::Error::from(errno))
}

/// Returns the error for a file that is complete at its final path, but whose name `at` during the write could not be
/// removed.
pub(crate) fn left_over(operation: Operation, key: &Key, at: &str, errno: Errno) -> StoreError {
    StoreError::new(kind(errno), operation)
        .with_key(key)
        .with_message(format!("the file is complete, but pos3 could not remove its other name '{at}' beside it"))
        .with_source(io::Error::from(errno))
}

/// Returns the system's text for `errno`.
pub(crate) fn words(errno: Errno) -> String {
    io::Error::from(errno).to_string()
}

fn kind(errno: Errno) -> ErrorKind {
    match errno {
        Errno::NOENT | Errno::NOTDIR => ErrorKind::NotFound,
        Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY => ErrorKind::AlreadyExists,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorKind::Denied,
        Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::FBIG => ErrorKind::Exhausted,
        Errno::NAMETOOLONG | Errno::ILSEQ => ErrorKind::InvalidKey,
        Errno::LOOP | Errno::OPNOTSUPP | Errno::NOSYS => ErrorKind::Unsupported,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_exhausted_and_the_line_names_the_key_once() {
        let error = failed(Operation::Write, &Key::from("a/b"), Errno::NOSPC);
        assert_eq!(error.kind(), ErrorKind::Exhausted);
        assert_eq!(error.to_string(), "cannot write 'a/b': the disk is full");
        assert!(error.cause().contains("No space left"), "{}", error.cause());
    }
}
