//! Whether the place of a directory can be cleared for a file.
//!
//! Deletes remove what the listing showed and the filter admits. A file that is excluded, or a link, stays, so its
//! directory stays too, and the file that needs the place could never be written: its neighbours would be deleted for
//! nothing. So the directory is looked at as it is, before anything is decided.

use std::collections::BTreeMap;

use futures::TryStreamExt;

use super::{Action, SkipReason};
use crate::entry::{Kind, Protection};
use crate::filter::Filter;
use crate::key::Key;
use crate::store::{ListOptions, Result};
use crate::tree::Tree;

/// The directories whose places files are to have, and what was seen to stay in them.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The one that the listing may be in.
    last: Option<Key>,
    staying: BTreeMap<Key, Key>,
}

impl Room {
    /// Takes note that a file is to have the place of something.
    pub(super) fn want(&mut self, obstacle: &Key) {
        self.last = obstacle.is_marker().then(|| obstacle.clone());
    }

    /// Takes note of a key of the target that will not be deleted.
    pub(super) fn note_kept(&mut self, key: &Key) {
        if let Some(directory) = &self.last
            && key.as_str().starts_with(directory.as_str())
        {
            self.staying.entry(directory.clone()).or_insert_with(|| key.clone());
        }
    }

    /// Returns what replaces something, or the skip where something stays in the way.
    ///
    /// # Errors
    ///
    /// What kept the target's directory from being listed.
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

/// Returns the first thing in a directory of the target that deletes leave alone.
async fn first_to_stay(target: &Tree, directory: &Key, filter: &Filter) -> Result<Option<Key>> {
    let mut entries = target.store().list(target.key(directory).as_str(), ListOptions::default());
    while let Some(entry) = entries.try_next().await? {
        let Some(relative) = entry.key.as_str().strip_prefix(target.prefix()) else { continue };
        let stays = match entry.kind {
            Kind::Directory | Kind::Protected(Protection::Vanished) => false,
            Kind::Protected(_) => true,
            Kind::File | Kind::Marker => !filter.admits(relative),
        };
        if stays {
            return Ok(Some(Key::from(relative)));
        }
    }
    Ok(None)
}
