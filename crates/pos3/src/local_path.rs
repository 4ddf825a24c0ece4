//! The actual path of a local file or directory.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Returns the path with all symbolic links resolved, as far as it exists. In the rest, each `..` removes one name.
pub(crate) fn resolve(path: &Path) -> PathBuf {
    let mut existing = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut rest: Vec<OsString> = Vec::new();
    loop {
        if let Ok(resolved) = fs::canonicalize(&existing) {
            return rest.iter().rev().fold(resolved, |path, name| path.join(name));
        }
        match (existing.components().next_back(), existing.parent()) {
            (Some(Component::Normal(name)), Some(parent)) => {
                rest.push(name.to_owned());
                existing = parent.to_owned();
            }
            // A name that does not exist is not a link, so `..` leads to its parent.
            (Some(Component::ParentDir), Some(parent)) => {
                existing = parent.parent().unwrap_or(parent).to_owned();
            }
            _ => return rest.iter().rev().fold(existing, |path, name| path.join(name)),
        }
    }
}
