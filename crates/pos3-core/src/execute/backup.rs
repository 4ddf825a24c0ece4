//! Keeps what a run is about to overwrite or delete.
//!
//! The copy is made, and has ended well, before the original is touched: who dies in between has both.

use super::Run;
use crate::entry::Entry;
use crate::error::StoreError;
use crate::store::{PutOptions, Result};

/// Copies an entry of the target to the backup tree, if there is one.
pub(super) async fn keep(run: &Run, seen: &Entry) -> Result<()> {
    let Some(backup) = run.options.backup.as_ref().filter(|_| seen.is_file()) else { return Ok(()) };
    let options = PutOptions::default().with_modified(seen.modified).with_budget(run.options.budget.clone());
    let kept = backup.store().put(&backup.key(&seen.key), run.target.content(seen), options).await;
    kept.map(drop).map_err(|error| {
        let message = format!("it could not be kept in '{backup}' first, so it was left as it is");
        let failed = StoreError::new(error.kind(), "back up").with_reach(error.reach());
        failed.with_key(&seen.key).with_message(message).with_source(error)
    })
}
