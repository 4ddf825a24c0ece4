//! Checks whether a directory can be removed to make room for a file.
//!
//! Deletes remove only entries that the listing contains and the filter admits. An excluded file or a link stays, and
//! so does its directory. The file could then never be written, and the other entries of the directory would be deleted
//! in vain. So pos3 lists the directory, without the filter, before it decides on a replacement.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;

use crate::action::{Action, SkipEffect, SkipReason};
use crate::entry::{Kind, Protection};
use crate::filter::Filter;
use crate::key::Key;
use crate::store::{ListOptions, Result};
use crate::tree::Tree;

/// The directories that files are to replace, and the entries found to stay in them.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The directory that the target listing is in, if a file is to replace it. One is enough: the keys below a
    /// directory are contiguous.
    last: Option<Key>,
    staying: BTreeMap<Key, Key>,
}

impl Room {
    /// Notes that a file is to replace `obstacle`.
    pub(super) fn want(&mut self, obstacle: &Key) {
        self.last = obstacle.is_marker().then(|| obstacle.clone());
    }

    /// Notes a key of the target that will not be deleted.
    pub(super) fn note_kept(&mut self, key: &Key) {
        if let Some(directory) = &self.last
            && key.as_str().starts_with(directory.as_str())
        {
            self.staying.entry(directory.clone()).or_insert_with(|| key.clone());
        }
    }

    /// Returns the action, or a skip instead of a replacement if an entry would stay in the way.
    ///
    /// # Errors
    ///
    /// Fails if the target's directory cannot be listed.
    pub(super) async fn check(&self, action: Action, target: &Tree, filter: &Filter) -> Result<Action> {
        let Action::Replace { source, obstacle } = &action else { return Ok(action) };
        let stays = match self.staying.get(obstacle) {
            Some(key) => Some(key.clone()),
            None if obstacle.is_marker() => first_to_stay(target, obstacle, filter).await?,
            None => None,
        };
        Ok(match stays {
            None => action,
            Some(stays) => Action::Skip { key: source.key.clone(), why: SkipReason::Occupied(stays) },
        })
    }
}

/// The entries that stay, because nothing replaces them after all.
///
/// The source does not have them, so they would be deleted. But the entry that takes their path is only skipped for now,
/// and the target would have neither.
#[derive(Debug, Default)]
pub(super) struct Unreplaced {
    skipped: BTreeSet<Key>,
    replaced: BTreeSet<Key>,
}

impl Unreplaced {
    /// Notes what became of the replacement of an entry. A skip that withholds all deletes need not be noted.
    pub(super) fn note(&mut self, obstacle: Key, action: &Action) {
        match action {
            Action::Skip { why, .. } if why.effect() == SkipEffect::WithholdsDeletes => {}
            Action::Skip { .. } => {
                self.skipped.insert(obstacle);
            }
            // Another entry of the source may take the path all the same.
            Action::Copy { .. } | Action::Delete { .. } | Action::Replace { .. } => {
                self.replaced.insert(obstacle);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.skipped.is_empty()
    }

    /// Returns true for an entry that stays, and for everything in a directory that stays.
    pub(super) fn has(&self, key: &Key) -> bool {
        let directories = key.as_str().match_indices('/').map(|(at, _)| Key::from(&key.as_str()[..=at]));
        let stays = |key: &Key| self.skipped.contains(key) && !self.replaced.contains(key);
        stays(key) || directories.into_iter().any(|directory| stays(&directory))
    }
}

/// Returns the first entry in a directory of the target that deletes would not remove.
async fn first_to_stay(target: &Tree, directory: &Key, filter: &Filter) -> Result<Option<Key>> {
    let mut entries = target.store().list(target.key(directory).as_str(), ListOptions::default());
    while let Some(entry) = entries.try_next().await? {
        let Some(relative) = target.relative(&entry.key) else { continue };
        let stays = match entry.kind {
            Kind::Directory | Kind::Protected(Protection::Vanished) => false,
            Kind::Protected(_) => true,
            Kind::File | Kind::Marker => !filter.admits(relative.as_str()),
        };
        if stays {
            return Ok(Some(relative));
        }
    }
    Ok(None)
}
