//! Explains why the system does not permit a change although the permissions do.
//!
//! `chattr +a` and `chattr +i` apply even to root. The error number is that of missing permissions, and `ls -l` does not show
//! these attributes. So users would look for the cause in the wrong place.

use std::io;
use std::path::Path;

use pos3_core::{Key, StoreError};
use rustix::io::Errno;

/// The [code](StoreError::code) of the error for an entry that may only grow (`chattr +a`).
pub const APPEND_ONLY: &str = "AppendOnly";

/// The [code](StoreError::code) of the error for an entry that must not change (`chattr +i`).
pub const IMMUTABLE: &str = "Immutable";

/// An attribute of a file or directory that prevents changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attribute {
    AppendOnly,
    Immutable,
}

/// Returns the error of a change below `root`, with the attribute that caused it, if there is one.
pub(crate) fn explained(root: &Path, key: &Key, error: StoreError) -> StoreError {
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    if source.and_then(Errno::from_io_error) != Some(Errno::PERM) || key.check_path().is_err() {
        return error;
    }
    let entry = root.join(key.as_str());
    let Some((path, attribute)) = found(&entry) else { return error };
    let (code, words) = match attribute {
        Attribute::AppendOnly => (APPEND_ONLY, "append-only (chattr +a)"),
        Attribute::Immutable => (IMMUTABLE, "immutable (chattr +i)"),
    };
    let attribute = format!("'{}' is {words}", path.display());
    // The message of the error may name a file that pos3 could not move back.
    let message = match error.message() {
        Some(message) => format!("{message}: {attribute}"),
        None => attribute,
    };
    error.with_code(code).with_message(message)
}

/// Returns the attribute of an entry or of its directory. If the directory does not exist, it would be created in the
/// nearest existing one. An attribute does not affect entries further below.
fn found(entry: &Path) -> Option<(&Path, Attribute)> {
    for path in entry.ancestors() {
        match of(path) {
            Ok(Some(attribute)) => return Some((path, attribute)),
            Ok(None) if path != entry => return None,
            Ok(None) | Err(_) => {}
        }
    }
    None
}

/// Returns the attribute of a path. Fails if there is nothing at the path.
#[cfg(target_os = "linux")]
fn of(path: &Path) -> Result<Option<Attribute>, Errno> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

    let attributes = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())?.stx_attributes;
    Ok(if attributes.contains(StatxAttributes::IMMUTABLE) {
        Some(Attribute::Immutable)
    } else {
        attributes.contains(StatxAttributes::APPEND).then_some(Attribute::AppendOnly)
    })
}

/// Returns `None`, because only Linux reports these attributes in this way.
#[cfg(not(target_os = "linux"))]
fn of(_path: &Path) -> Result<Option<Attribute>, Errno> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use pos3_core::Operation;

    use super::*;
    use crate::error::failed;

    #[test]
    fn an_error_without_an_attribute_stays_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let key = Key::from("d/f");
        for errno in [Errno::PERM, Errno::ACCESS, Errno::NOSPC] {
            let error = failed(Operation::Write, &key, errno);
            let expected = error.cause();
            assert_eq!(explained(directory.path(), &key, error).cause(), expected);
        }
    }
}
