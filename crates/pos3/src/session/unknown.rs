//! Names the files of an output that are not known to be stored. Sends no request, because the server may not respond
//! and the time may be over.

use std::time::Duration;

use pos3_core::{Entries, Key, Kind, ListOptions};

use super::error::SessionError;
use super::known::Sides;
use super::options::excluding;
use super::place;
use super::registration::Registration;

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

async fn list(registration: &Registration, unknown: &mut Vec<Key>) -> Result<(), SessionError> {
    let Some(local) = place::local_side(registration)? else { return Ok(()) };
    let filter = excluding(registration.kind.exclude())?;
    let mut entries = Entries::open(&local, ListOptions::default());
    while let Ok(Some((key, entry))) = entries.next().await {
        let now = Sides { local: entry.fingerprint.as_ref(), remote: None };
        let is_stored = registration.memory.known.compare(&key, now).is_some_and(|then| then.local);
        if entry.kind == Kind::File && filter.admits(key.as_str()) && !is_stored {
            unknown.push(key);
        }
    }
    Ok(())
}
