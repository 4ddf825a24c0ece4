//! Runs a transfer while other processes change the files or objects that it listed.
//!
//! Two programs with one cache, or two sessions of one program, may write the same files or objects at once. Each then
//! finds targets that differ from its listing. If the other one wrote the same content, nothing is wrong, and an error
//! would be misleading. Likewise, a program that writes a file under another name and renames it removes the source of
//! an upload.

use std::collections::BTreeSet;

use pos3_core::{Action, Key, Plan, Report, SkipReason, SpillError, SyncJob};

use super::Permission;

/// How often pos3 lists and plans again. After the first run, every file has been written by one side or the other.
/// Further runs handle changes that happen meanwhile.
const LOOKS: usize = 3;

/// Runs a transfer. If targets changed or sources vanished meanwhile, it runs again. The result is an error only if the
/// targets then still differ from the sources. Files that another process wrote meanwhile are not overwritten.
///
/// Without permission, it does not run again: the paths lead to other files, so a new listing would not show how those of
/// the first one have changed.
pub(super) async fn run(job: &SyncJob, see: Option<&(dyn Fn(&Plan) + Sync)>, permission: &Permission) -> Report {
    let before = job.usage();
    let mut report = run_once(job, see).await;
    for _ in 0..LOOKS {
        let Some(stale) = changed_meanwhile(&report) else { break };
        if !permission.is_given().await {
            break;
        }
        let Ok(plan) = job.plan().await else { break };
        if touches(&plan, &stale) {
            break;
        }
        if let Some(see) = see {
            see(&plan);
        }
        let next = job.execute(plan).await;
        report = followed_by(report, next);
        report.usage = job.usage().since(&before);
    }
    report
}

/// Runs a transfer. If `see` is set, it receives the whole plan before it is executed.
pub(super) async fn run_once(job: &SyncJob, see: Option<&(dyn Fn(&Plan) + Sync)>) -> Report {
    match see {
        Some(see) => job.run_seeing(see).await,
        None => job.run().await,
    }
}

/// Returns the targets that differed from the listing, if there were any or if sources vanished, and if nothing else
/// failed.
fn changed_meanwhile(report: &Report) -> Option<BTreeSet<Key>> {
    let failed = &report.failed;
    let has_gone = report.skipped.any(|why| *why == SkipReason::Vanished);
    let is_contention = (has_gone || !failed.is_empty()) && failed.stale() == failed.len();
    let looks_again = report.stopped.is_none() && is_contention;
    looks_again.then(|| failed.iter().map(|failure| Ok(failure?.key)).collect::<Result<_, SpillError>>().ok())?
}

fn touches(plan: &Plan, keys: &BTreeSet<Key>) -> bool {
    plan.actions().any(|action| match action {
        Ok(Action::Skip { .. }) => false,
        Ok(action) => keys.contains(action.key()),
        Err(_) => true,
    })
}

/// Merges the reports of two runs: everything that both did, and the failures that remain.
fn followed_by(first: Report, mut next: Report) -> Report {
    next.copied += first.copied;
    next.copied_bytes += first.copied_bytes;
    next.unverified += first.unverified;
    next.deleted += first.deleted;
    next.elapsed += first.elapsed;
    next.warnings.splice(0..0, first.warnings);
    next
}
