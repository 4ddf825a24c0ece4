//! Files of a local directory that killed runs moved away: [`moved_files`].
//!
//! A run that writes to the directory gives such files their names back. Without this module, nothing could do so for a
//! directory that is only a source, and its deletes would be withheld forever.

use futures::TryStreamExt;
use pos3_core::{Key, Kind, ListOptions, Protection, StoreError, Tree};

use crate::registry::local_store;

/// A file that a killed run moved away in order to replace or delete it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MovedFile {
    /// The name that the file had, or its present name if it cannot have that one back.
    pub key: Key,
    /// Where the file is now, and what to do.
    pub why: String,
    /// Whether the file has its name back.
    pub is_restored: bool,
}

/// Returns the moved files of a local directory, and gives them their names back if `restore` is set and the names are
/// free. Other stores have no such files.
///
/// # Errors
///
/// Fails if the directory cannot be listed.
pub async fn moved_files(tree: &Tree, restore: bool) -> Result<Vec<MovedFile>, StoreError> {
    let Some(store) = local_store(&**tree.store()) else { return Ok(Vec::new()) };
    let mut files = listed(tree).await?;
    if restore && !files.is_empty() {
        store.restore_moved(true);
        let left = listed(tree).await;
        store.restore_moved(false);
        let left = left?;
        files.iter_mut().for_each(|file| file.is_restored = !left.contains(file));
    }
    Ok(files)
}

async fn listed(tree: &Tree) -> Result<Vec<MovedFile>, StoreError> {
    let entries = tree.store().list(tree.prefix(), ListOptions::default());
    let moved = entries.try_filter_map(|entry| async move {
        Ok(match entry.kind {
            Kind::Protected(why @ Protection::Moved(_)) => {
                Some(MovedFile { key: entry.key, why: why.to_string(), is_restored: false })
            }
            _ => None,
        })
    });
    moved.try_collect().await
}
