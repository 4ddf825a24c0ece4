//! A look at one side right before it is acted upon.
//!
//! Where a store cannot be told what must still hold, the look comes right before the act: what changed since the plan
//! was made, minutes or days ago, is found; what changes in the same moment is not.

use crate::entry::{Entry, Kind};
use crate::error::{ErrorKind, Operation, StoreError};
use crate::key::Key;
use crate::store::{Result, Seen};
use crate::tree::Tree;

/// Fails unless `seen` is there as it was.
pub(super) async fn hold(tree: &Tree, seen: &Entry, operation: Operation) -> Result<()> {
    look_for(tree, seen, operation).await.map(drop)
}

/// Fails unless `seen` is there as it was and nobody wrote it again, not even with the same content.
pub(super) async fn hold_exactly(tree: &Tree, seen: &Entry, operation: Operation) -> Result<()> {
    let found = look_for(tree, seen, operation).await?;
    if seen.kind != Kind::File || Seen::of(seen).is(&found) {
        return Ok(());
    }
    Err(StoreError::new(ErrorKind::Precondition, operation).with_key(&seen.key))
}

/// Returns what is at the key of `seen`, if that is `seen` as it was.
async fn look_for(tree: &Tree, seen: &Entry, operation: Operation) -> Result<Entry> {
    let found = tree.look_up(&seen.key, operation).await?;
    let same = match (&seen.kind, &found.kind) {
        (Kind::File, Kind::File) | (Kind::Marker, Kind::Marker) => {
            found.size == seen.size && (seen.fingerprint.is_none() || found.fingerprint == seen.fingerprint)
        }
        (Kind::File, _) | (_, Kind::File) => false,
        _ => true,
    };
    if same { Ok(found) } else { Err(StoreError::new(ErrorKind::Precondition, operation).with_key(&seen.key)) }
}

/// Fails if the source has the key by now: then the plan to delete it in the target is out of date.
pub(super) async fn hold_absent(source: &Tree, key: &Key) -> Result<()> {
    match source.look_up(key, Operation::LookUp).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(StoreError::new(ErrorKind::Precondition, Operation::LookUp).with_key(key)),
    }
}

/// Fails unless the target is there as it was, or is absent as it was.
pub(super) async fn hold_or_absent(tree: &Tree, key: &Key, seen: Option<&Entry>) -> Result<()> {
    let Some(seen) = seen else {
        return match tree.look_up(key, Operation::Write).await {
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
