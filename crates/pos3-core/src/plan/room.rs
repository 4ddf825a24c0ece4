//! Checks whether a directory can be removed to make room for a file.
//!
//! Deletes remove only entries that the listing contains and the filter admits. An excluded file or a link stays, and
//! so does its directory. The file could then never be written, and the other entries of the directory would be deleted
//! in vain. So pos3 lists the directory, without the filter, before it decides on a replacement.

use std::collections::BTreeMap;

use futures::TryStreamExt;

use super::{Action, SkipReason};
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

/// Returns the first entry in a directory of the target that deletes would not remove.
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
