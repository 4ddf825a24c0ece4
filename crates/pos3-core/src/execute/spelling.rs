//! Recognises a key that its store finds only because it ignores the case of letters.
//!
//! If a file is renamed from `A` to `a`, its object `A` must be deleted. A lookup of `A` in a directory that ignores case
//! finds `a`, so without this check the object would stay. Of two objects `A` and `a`, such a directory holds one. Without
//! this check, every run would report that the file has changed.

use futures::TryStreamExt;

use crate::entry::Entry;
use crate::error::{ErrorKind, Operation, StoreError};
use crate::key::Key;
use crate::store::{ListOptions, Result};
use crate::tree::Tree;

/// The [code](StoreError::code) of the error for a key that its target has only in another spelling.
pub const OTHER_SPELLING: &str = "OtherSpelling";

/// Returns the error for a key that the target cannot have beside the `other` spelling of it.
pub(super) fn refused(key: &Key, other: &Key) -> StoreError {
    StoreError::new(ErrorKind::InvalidKey, Operation::Write).with_key(key).with_code(OTHER_SPELLING).with_message(
        format!(
            "the target has it as '{other}' and cannot hold both: its file system does not distinguish the two names"
        ),
    )
}

/// Returns the name of `found` in the tree, if `found` is the result of a lookup of another spelling of that name.
pub(super) async fn other(tree: &Tree, found: &Entry) -> Result<Option<Key>> {
    if tree.is_object() {
        return Ok(None);
    }
    let key = found.key.as_str();
    let mut start = 0;
    for name in key.trim_end_matches('/').split('/') {
        let (above, below) = (&key[..start], &key[start + name.len()..]);
        start += name.len() + 1;
        let swapped = Key::from(format!("{above}{}{below}", swapped(name)));
        if swapped != found.key
            && is_same(tree, &swapped, found).await?
            && let Some(other) = listed_otherwise(tree, above, name).await?
        {
            return Ok(Some(Key::from(format!("{above}{other}{below}"))));
        }
    }
    Ok(None)
}

/// Returns the name with the other case of every letter.
fn swapped(name: &str) -> String {
    let swap = |letter: char| {
        if letter.is_lowercase() { letter.to_uppercase().to_string() } else { letter.to_lowercase().to_string() }
    };
    name.chars().map(swap).collect()
}

async fn is_same(tree: &Tree, key: &Key, found: &Entry) -> Result<bool> {
    match tree.look_up(key, Operation::LookUp).await {
        Ok(other) => Ok(found.fingerprint.is_some() && other.fingerprint == found.fingerprint),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the other spelling of the name in the directory `above`, if the directory contains no other one.
async fn listed_otherwise(tree: &Tree, above: &str, name: &str) -> Result<Option<String>> {
    let options = ListOptions::default().with_shallow(true);
    let mut listed = tree.store().list(tree.key(&Key::from(above)).as_str(), options);
    let mut found = None;
    while let Some(entry) = listed.try_next().await? {
        let Some(relative) = tree.relative(&entry.key) else { continue };
        let Some(other) = relative.as_str().strip_prefix(above) else { continue };
        match other.trim_end_matches('/') {
            other if other == name => return Ok(None),
            other if other.to_lowercase() == name.to_lowercase() => found = Some(other.to_owned()),
            _ => {}
        }
    }
    Ok(found)
}
