//! Whether the objects of a pull fit on the disk: [`check`].

use std::path::Path;

use pos3_core::{Action, Entries, Entry, Filter, ListOptions, Tree};

use super::error::WorkspaceError;
use super::inner::{Inner, Sides};
use crate::transfer::Transfer;

/// The bytes that stay free: the sync state, and the file system itself, need some.
const RESERVE: u64 = 1 << 20;

/// Checks that the objects of a pull do not exceed the limit of the workspace, and that those that have to be fetched fit on
/// the disk.
///
/// # Errors
///
/// Returns an error with the figures. A listing that fails is reported by the transfer.
pub(super) async fn check(inner: &Inner, sides: &Sides, transfer: &Transfer) -> Result<(), WorkspaceError> {
    let is_wanted = |entry: &Entry| inner.settings.largest.is_none_or(|largest| entry.size <= largest);
    let Some(total) = total(&sides.remote, &transfer.options().filter, is_wanted).await else { return Ok(()) };
    if let Some(limit) = inner.settings.limit.filter(|&limit| total > limit) {
        return Err(WorkspaceError::TooLarge { location: inner.location.to_string(), total, limit });
    }
    let Some(free) = free(&inner.directory).filter(|&free| total > free) else { return Ok(()) };
    // Files that are there already need no more space.
    match to_fetch(transfer).await {
        Some(needed) if needed > free => {
            Err(WorkspaceError::NoSpace { directory: inner.directory.clone(), needed, free })
        }
        _ => Ok(()),
    }
}

/// Returns the bytes of all objects that the filter admits and that are wanted.
async fn total(remote: &Tree, filter: &Filter, is_wanted: impl Fn(&Entry) -> bool) -> Option<u64> {
    let mut entries = Entries::open(remote, ListOptions::default());
    let mut total: u64 = 0;
    while let Some((relative, entry)) = entries.next().await.ok()? {
        if filter.admits(relative.as_str()) && is_wanted(&entry) {
            total = total.saturating_add(entry.size);
        }
    }
    Some(total)
}

/// Returns the bytes that the transfer would fetch.
async fn to_fetch(transfer: &Transfer) -> Option<u64> {
    let plan = transfer.plan().await.ok()?;
    let size = |action| match action {
        Ok(Action::Copy { source, .. } | Action::Replace { source, .. }) => source.size,
        _ => 0,
    };
    Some(plan.actions().map(size).fold(0, u64::saturating_add))
}

/// Returns how many bytes may be written below an existing directory, or `None` if the system does not tell.
fn free(directory: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(directory).ok()?;
    // A file system without a fixed size reports no blocks at all.
    (facts.f_blocks > 0).then(|| facts.f_bavail.saturating_mul(facts.f_frsize).saturating_sub(RESERVE))
}
