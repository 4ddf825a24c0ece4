//! Whether the objects of a pull fit on the disk: [`total`] and [`check`].

use std::path::Path;

use pos3_core::{Action, Entries, Filter, ListOptions, Report, Side, Stop, StoreError, Tree};

use super::error::WorkspaceError;
use super::inner::{Inner, Sides};
use crate::transfer::Transfer;

/// The bytes that stay free: the sync state, and the file system itself, need some.
const RESERVE: u64 = 1 << 20;

/// Lists the location and returns the bytes of all objects that the filter admits and that are wanted. So a pull from a
/// location that cannot be listed changes nothing.
///
/// # Errors
///
/// Returns an error if the location cannot be listed, or if its objects exceed the limit of the workspace.
pub(super) async fn total(inner: &Inner, sides: &Sides, filter: &Filter) -> Result<u64, WorkspaceError> {
    let total = listed(&sides.remote, |relative, size| {
        filter.admits(relative) && inner.settings.largest.is_none_or(|largest| size <= largest)
    });
    let total = total.await.map_err(|error| {
        let mut report = Report::default();
        report.stopped = Some(Stop::Listing { side: Side::Source, place: inner.location.to_string(), error });
        WorkspaceError::stopped(report)
    })?;
    match inner.settings.limit.filter(|&limit| total > limit) {
        Some(limit) => Err(WorkspaceError::TooLarge { location: inner.location.to_string(), total, limit }),
        None => Ok(total),
    }
}

/// Checks that the objects which have to be fetched, of those with this total, fit on the disk.
///
/// # Errors
///
/// Returns an error with the figures.
pub(super) async fn check(inner: &Inner, total: u64, transfer: &Transfer) -> Result<(), WorkspaceError> {
    let Some(free) = free(&inner.directory).filter(|&free| total > free) else { return Ok(()) };
    // Files that are there already need no more space.
    match to_fetch(transfer).await {
        Some(needed) if needed > free => {
            Err(WorkspaceError::NoSpace { directory: inner.directory.clone(), needed, free })
        }
        _ => Ok(()),
    }
}

/// Returns the bytes of the listed objects for whose relative key and size `is_counted` returns true.
async fn listed(remote: &Tree, is_counted: impl Fn(&str, u64) -> bool) -> Result<u64, StoreError> {
    let mut entries = Entries::open(remote, ListOptions::default());
    let mut total: u64 = 0;
    while let Some((relative, entry)) = entries.next().await? {
        if is_counted(relative.as_str(), entry.size) {
            total = total.saturating_add(entry.size);
        }
    }
    Ok(total)
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
