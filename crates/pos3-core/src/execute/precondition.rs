//! Checks one side right before an action.
//!
//! If a store does not support conditional requests, the engine looks the entry up right before the action. It finds
//! changes since the plan was made, but not a change between the lookup and the action.

use super::spelling;
use crate::entry::{Entry, Kind};
use crate::error::{ErrorKind, Operation, StoreError};
use crate::key::Key;
use crate::store::{Result, Seen};
use crate::tree::Tree;

/// Fails unless the entry `seen` is unchanged.
pub(super) async fn hold(tree: &Tree, seen: &Entry, operation: Operation) -> Result<()> {
    look_for(tree, seen, operation).await.map(drop)
}

/// Fails unless the entry `seen` is unchanged and was not rewritten, not even with the same content.
pub(super) async fn hold_exactly(tree: &Tree, seen: &Entry, operation: Operation) -> Result<()> {
    let found = look_for(tree, seen, operation).await?;
    if seen.kind != Kind::File || Seen::of(seen).is(&found) {
        return Ok(());
    }
    Err(StoreError::new(ErrorKind::Precondition, operation).with_key(&seen.key))
}

/// Returns the entry at the key of `seen`, if it is unchanged.
async fn look_for(tree: &Tree, seen: &Entry, operation: Operation) -> Result<Entry> {
    let found = tree.confirm(&seen.key, operation).await?;
    let same = match (&seen.kind, &found.kind) {
        (Kind::File, Kind::File) | (Kind::Marker, Kind::Marker) => {
            found.size == seen.size && (seen.fingerprint.is_none() || found.fingerprint == seen.fingerprint)
        }
        (Kind::File, _) | (_, Kind::File) => false,
        _ => true,
    };
    if same { Ok(found) } else { Err(StoreError::new(ErrorKind::Precondition, operation).with_key(&seen.key)) }
}

/// Fails if the source has the key now, because the plan to delete it in the target is out of date then.
pub(super) async fn hold_absent(source: &Tree, key: &Key) -> Result<()> {
    match source.confirm(key, Operation::LookUp).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if spelling::other(source, &found).await?.is_some() => Ok(()),
        Ok(_) => Err(StoreError::new(ErrorKind::Precondition, Operation::LookUp).with_key(key)),
    }
}

/// Returns the target's entry with its fingerprint, so that the write of it is conditional. A listing may lack
/// fingerprints; then the entry is looked up, and this fails if its size or time is not as listed.
pub(super) async fn identified(tree: &Tree, seen: &Entry) -> Result<Entry> {
    if seen.fingerprint.is_some() || !matches!(seen.kind, Kind::File | Kind::Marker) {
        return Ok(seen.clone());
    }
    match tree.confirm(&seen.key, Operation::Write).await {
        Ok(found) if Seen::of(seen).is(&found) => Ok(Entry { fingerprint: found.fingerprint, ..seen.clone() }),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Err(StoreError::new(ErrorKind::Precondition, Operation::Write).with_key(&seen.key)),
    }
}

/// Fails unless the target's entry is unchanged, or is still absent.
pub(super) async fn hold_or_absent(tree: &Tree, key: &Key, seen: Option<&Entry>) -> Result<()> {
    let Some(seen) = seen else {
        return match tree.confirm(key, Operation::Write).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) if key.is_marker() => Ok(()),
            Ok(_) => Err(StoreError::new(ErrorKind::AlreadyExists, Operation::Write).with_key(key)),
        };
    };
    match hold(tree, seen, Operation::Write).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(StoreError::new(ErrorKind::Precondition, Operation::Write).with_key(key))
        }
        held => held,
    }
}
