//! Recognises a key that its store finds only because it ignores the case of letters.
//!
//! If a file is renamed from `A` to `a`, its object `A` must be deleted. A lookup of `A` in a directory that ignores case
//! finds `a`, so without this check the object would stay.

use futures::TryStreamExt;

use crate::entry::Entry;
use crate::error::{ErrorKind, Operation};
use crate::key::Key;
use crate::store::{ListOptions, Result};
use crate::tree::Tree;

/// Returns true if `found`, the result of a lookup, has another name in the tree than the one that was looked up.
pub(super) async fn is_other(tree: &Tree, found: &Entry) -> Result<bool> {
    if tree.is_object() {
        return Ok(false);
    }
    let key = found.key.as_str();
    let mut start = 0;
    for name in key.trim_end_matches('/').split('/') {
        let (above, below) = (&key[..start], &key[start + name.len()..]);
        start += name.len() + 1;
        let swapped = Key::from(format!("{above}{}{below}", swapped(name)));
        if swapped != found.key
            && is_same(tree, &swapped, found).await?
            && is_listed_otherwise(tree, above, name).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
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

/// Returns true if the directory `above` contains the name only in another spelling.
async fn is_listed_otherwise(tree: &Tree, above: &str, name: &str) -> Result<bool> {
    let options = ListOptions::default().with_shallow(true);
    let mut listed = tree.store().list(tree.key(&Key::from(above)).as_str(), options);
    let mut is_otherwise = false;
    while let Some(entry) = listed.try_next().await? {
        let Some(relative) = tree.relative(&entry.key) else { continue };
        let Some(other) = relative.as_str().strip_prefix(above) else { continue };
        match other.trim_end_matches('/') {
            other if other == name => return Ok(false),
            other => is_otherwise |= other.to_lowercase() == name.to_lowercase(),
        }
    }
    Ok(is_otherwise)
}
