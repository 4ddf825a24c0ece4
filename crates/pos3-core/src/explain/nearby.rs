//! The entries of one side that can matter to a key: itself, what it lies in, and something that lies in it.
//!
//! What a key lies in matters where a name cannot be a file and a directory at once, and where something protected stands
//! above it. Looking costs a request a level on a store that is asked over a network, so it is done only there.

use futures::TryStreamExt;

use crate::entry::{Entry, Kind, Protection};
use crate::error::{ErrorKind, StoreError};
use crate::key::Key;
use crate::store::{KeyRule, ListOptions, Result};
use crate::tree::Tree;

/// Returns the entries of `tree` that can matter to a key in a sync to `target`, in order.
///
/// # Errors
///
/// What kept a store from answering. On a disk it is a protected entry, as in a listing.
pub(super) async fn of(tree: &Tree, target: &Tree, key: &Key) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let side = Nearby { tree, is_local: tree.store().capabilities().local_reads };
    if side.is_local || target.store().capabilities().keys == KeyRule::FilePath {
        for above in above(key) {
            if let Some(entry) = side.obstacle(&above).await? {
                found.push(entry);
                // Nothing lies below it.
                return Ok(found);
            }
        }
    }
    found.extend(side.look_up(key).await?);
    found.extend(side.first_inside(key).await?);
    Ok(found)
}

struct Nearby<'a> {
    tree: &'a Tree,
    is_local: bool,
}

impl Nearby<'_> {
    async fn look_up(&self, key: &Key) -> Result<Option<Entry>> {
        match self.tree.look_up(key, "look up").await {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidKey) => Ok(None),
            Err(error) if self.is_local => Ok(Some(unreadable(key, &error))),
            Err(error) => Err(error),
        }
    }

    /// Returns what stands where a key needs a directory: a file, or something protected.
    async fn obstacle(&self, name: &Key) -> Result<Option<Entry>> {
        let stands = |entry: &Entry| matches!(entry.kind, Kind::File | Kind::Protected(_));
        if self.is_local {
            let directory = Key::from(format!("{}/", name.as_str()));
            let protected = |entry: &Entry| matches!(entry.kind, Kind::Protected(_));
            if let Some(entry) = self.look_up(&directory).await?.filter(protected) {
                return Ok(Some(entry));
            }
        }
        Ok(self.look_up(name).await?.filter(stands))
    }

    /// Returns the first entry of the directory that the key is, or would have to be.
    async fn first_inside(&self, key: &Key) -> Result<Option<Entry>> {
        if self.tree.is_object() {
            return Ok(None);
        }
        let slash = if key.is_marker() { "" } else { "/" };
        let directory = self.tree.key(&Key::from(format!("{}{slash}", key.as_str())));
        let mut inside = self.tree.store().list(directory.as_str(), ListOptions::default());
        loop {
            match inside.try_next().await {
                Ok(Some(entry)) => {
                    let relative = Key::from(&entry.key.as_str()[self.tree.prefix().len()..]);
                    if relative != *key {
                        return Ok(Some(Entry { key: relative, ..entry }));
                    }
                }
                Ok(None) => return Ok(None),
                Err(error) if self.is_local || error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Returns the names above a key: `a` and `a/b` for `a/b/c`, and for `a/b/c/`.
fn above(key: &Key) -> Vec<Key> {
    let text = key.as_str().trim_end_matches('/');
    text.match_indices('/').filter(|(at, _)| *at > 0).map(|(at, _)| Key::from(&text[..at])).collect()
}

fn unreadable(key: &Key, error: &StoreError) -> Entry {
    Entry::protected(key.clone(), Protection::Unreadable(error.cause().into()))
}
