//! Names the files of an output that are not known to be stored. Sends no request, because the server may not respond
//! and the time may be over.

use std::time::Duration;

use pos3_core::{Entries, Entry, Filter, IgnoreSet, Key, Kind, ListOptions, Protection};

use super::error::SessionError;
use super::options::excluding;
use super::place;
use super::registration::Registration;
use crate::ignore_files::IgnoreFiles;

/// The time limit for listing the local files.
const PATIENCE: Duration = Duration::from_secs(1);

/// Returns the local files whose current content is not known to be stored. If listing takes more than a second,
/// returns those found until then.
pub(super) async fn files(registration: &Registration) -> Vec<Key> {
    let mut unknown = Vec::new();
    // The result is partial if the time was over or if a directory cannot be read.
    let _partly = tokio::time::timeout(PATIENCE, list(registration, &mut unknown)).await;
    unknown
}

/// Returns true if every local file is known to be stored, including the excluded ones.
pub(super) async fn are_none(registration: &Registration) -> bool {
    let Ok(Some(local)) = place::local_side(registration) else { return false };
    let mut entries = Entries::open(&local, ListOptions::default());
    loop {
        match entries.next().await {
            Ok(None) => return true,
            // A marker is a directory, and the content of a link is elsewhere.
            Ok(Some((_, entry))) if matches!(entry.kind, Kind::Marker | Kind::Protected(Protection::Symlink)) => {}
            Ok(Some((key, entry))) if entry.kind == Kind::File && is_stored(registration, &key, &entry) => {}
            Ok(Some(_)) | Err(_) => return false,
        }
    }
}

fn is_stored(registration: &Registration, key: &Key, entry: &Entry) -> bool {
    registration.memory.known.has_local(&Entry { key: key.clone(), ..entry.clone() })
}

async fn list(registration: &Registration, unknown: &mut Vec<Key>) -> Result<(), SessionError> {
    let Some(local) = place::local_side(registration)? else { return Ok(()) };
    let filter = excluding(registration.kind.exclude())?;
    let names = registration.kind.ignore_files();
    let ignored = IgnoreFiles::new(names).of(&local, &filter, &IgnoreSet::new()).await.unwrap_or_default();
    let filter = Filter::builder().filter(&filter).and_then(|builder| builder.ignore_set(ignored).build());
    let filter = filter.map_err(SessionError::BadPattern)?;
    let mut entries = Entries::open(&local, ListOptions::default().with_prune(filter.clone()));
    while let Ok(Some((key, entry))) = entries.next().await {
        if entry.kind == Kind::File && filter.admits(key.as_str()) && !is_stored(registration, &key, &entry) {
            unknown.push(key);
        }
    }
    Ok(())
}
