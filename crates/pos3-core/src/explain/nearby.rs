//! Finds the entries of one side that can affect a key: the key itself, the directories above it, and one entry below
//! it.
//!
//! The entries above a key matter if a name cannot be a file and a directory at once, or if one of them is protected.
//! On a remote store, looking them up takes one request per level, so it is done only if they matter.

use std::collections::BTreeMap;

use futures::TryStreamExt;

use crate::entry::{Entry, Kind, Protection};
use crate::error::{ErrorKind, Operation, StoreError};
use crate::filter::Filter;
use crate::key::Key;
use crate::store::{ListOptions, Namespace, Result};
use crate::tree::Tree;

/// Returns the entries of `tree` that can affect a key in a sync to `target`, in order.
///
/// # Errors
///
/// Returns the error of a store. On a disk, an unreadable entry is a protected entry instead, as in a listing.
pub(super) async fn of(tree: &Tree, target: &Tree, filter: &Filter, key: &Key) -> Result<Vec<Entry>> {
    let has_directories = |tree: &Tree| tree.store().capabilities().namespace == Namespace::Hierarchical;
    let names_matter = has_directories(tree) || has_directories(target);
    let side = Nearby { tree, filter, asked: key, has_directories: has_directories(tree) };
    let mut found = Found::default();
    for name in above(key).into_iter().filter(|_| names_matter) {
        let at_name = side.at_name(&name).await?;
        let is_obstacle = |entry: &Entry| matches!(entry.kind, Kind::File | Kind::Protected(_));
        let blocks = side.has_directories && at_name.iter().any(is_obstacle);
        found.add(at_name);
        if blocks {
            // Nothing can be below this entry.
            return Ok(found.in_order());
        }
    }
    match key.as_str().strip_suffix('/') {
        Some(name) if names_matter => found.add(side.at_name(&Key::from(name)).await?),
        None if side.has_directories => found.add(side.at_name(key).await?),
        _ => {}
    }
    if !found.0.contains_key(key) {
        found.add(side.look_up(key).await?);
    }
    found.add(side.first_inside(key).await?);
    Ok(found.in_order())
}

/// Entries by key.
#[derive(Default)]
struct Found(BTreeMap<Key, Entry>);

impl Found {
    fn add(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.0.extend(entries.into_iter().map(|entry| (entry.key.clone(), entry)));
    }

    fn in_order(self) -> Vec<Entry> {
        self.0.into_values().collect()
    }
}

struct Nearby<'a> {
    tree: &'a Tree,
    filter: &'a Filter,
    /// The key that the explanation is about. A cache must not answer for it.
    asked: &'a Key,
    has_directories: bool,
}

impl Nearby<'_> {
    async fn look_up(&self, key: &Key) -> Result<Option<Entry>> {
        let found = match key == self.asked {
            true => self.tree.confirm(key, Operation::LookUp).await,
            false => self.tree.look_up(key, Operation::LookUp).await,
        };
        match found {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidKey) => Ok(None),
            Err(error) if self.tree.is_local() => Ok(Some(unreadable(key, &error))),
            Err(error) => Err(error),
        }
    }

    /// Returns the entries at a name that a key needs as a directory: a file, and in a hierarchical namespace also the
    /// directory itself.
    async fn at_name(&self, name: &Key) -> Result<Vec<Entry>> {
        let mut found: Vec<Entry> = self.look_up(name).await?.into_iter().collect();
        if self.has_directories {
            found.extend(self.look_up(&Key::from(format!("{}/", name.as_str()))).await?);
        }
        Ok(found)
    }

    /// Returns the first admitted entry in the directory that the key is, or would have to be.
    async fn first_inside(&self, key: &Key) -> Result<Option<Entry>> {
        if self.tree.is_object() {
            return Ok(None);
        }
        let slash = if key.is_marker() { "" } else { "/" };
        let directory = Key::from(format!("{}{slash}", key.as_str()));
        let options = ListOptions::default().with_prune(self.filter.clone());
        let mut listed = self.tree.store().list(self.tree.key(&directory).as_str(), options);
        loop {
            match listed.try_next().await {
                Ok(Some(entry)) => {
                    let relative = self.tree.relative(&entry.key);
                    let inside = relative.filter(|relative| relative.as_str().starts_with(directory.as_str()));
                    // A server may return entries from elsewhere.
                    let Some(relative) = inside else { continue };
                    let is_itself = relative == directory && (key.is_marker() || self.has_directories);
                    if !is_itself && self.filter.admits(relative.as_str()) {
                        return Ok(Some(Entry { key: relative, ..entry }));
                    }
                }
                Ok(None) => return Ok(None),
                // On a disk what cannot be listed is a protected entry. Elsewhere there is no such bucket.
                Err(_) if self.tree.is_local() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Returns the names above a key: `a` and `a/b` for `a/b/c`, and for `a/b/c/`.
fn above(key: &Key) -> Vec<Key> {
    let text = key.as_str();
    let text = text.strip_suffix('/').unwrap_or(text);
    let names = text.match_indices('/').map(|(at, _)| &text[..at]);
    names.filter(|name| !name.is_empty() && !name.ends_with('/')).map(Key::from).collect()
}

fn unreadable(key: &Key, error: &StoreError) -> Entry {
    Entry::protected(key.clone(), Protection::Unreadable(error.cause().into()))
}
