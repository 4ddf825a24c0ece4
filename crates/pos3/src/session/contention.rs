//! A transfer beside others that change what it has listed.
//!
//! Two programs with one cache, or two sessions of one program, write the same files or objects at once, and each finds
//! targets that are not what it has listed. Where the other brought the very same nothing is wrong, and an error would only
//! puzzle. A program that writes a file under another name and renames it takes away what was to be uploaded.

use std::collections::BTreeSet;

use pos3_core::{Action, FailureKind, Key, Plan, Report, SkipReason, SpillError, SyncJob, Usage};

/// How often it is looked again. After the first run every file is there, brought by one or the other; more looks are for
/// what changes meanwhile.
const LOOKS: usize = 3;

/// Runs a transfer. Where it met targets that others had changed, or sources that had gone, it looks again, and it is an
/// error only if the targets are not as they should be: what somebody else wrote meanwhile is not overwritten.
pub(super) async fn run(job: &SyncJob) -> Report {
    let before = job.usage();
    let report = job.run().await;
    look_again(job, report, &before, |_| {}).await
}

/// Does the same by plans that `see` is shown before they are performed.
pub(super) async fn run_seeing(job: &SyncJob, see: impl Fn(&Plan) + Sync) -> Report {
    let before = job.usage();
    let report = job.run_seeing(&see).await;
    look_again(job, report, &before, see).await
}

async fn look_again(job: &SyncJob, mut report: Report, before: &Usage, see: impl Fn(&Plan)) -> Report {
    for _ in 0..LOOKS {
        let Some(stale) = changed_meanwhile(&report) else { break };
        let Ok(plan) = job.plan().await else { break };
        if touches(&plan, &stale) {
            break;
        }
        see(&plan);
        let next = job.execute(plan).await;
        report = followed_by(report, next);
        report.usage = job.usage().since(before);
    }
    report
}

/// Returns the targets that were not what was listed, if there were such or sources had gone, and nothing else went wrong.
fn changed_meanwhile(report: &Report) -> Option<BTreeSet<Key>> {
    let failed = &report.failed;
    let has_gone = report.skipped.any(|why| *why == SkipReason::Vanished);
    let is_contention = (has_gone || !failed.is_empty()) && failed.count(FailureKind::Stale) == failed.len();
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

/// Returns what both runs did, and what is left of what went wrong.
fn followed_by(first: Report, mut next: Report) -> Report {
    next.copied += first.copied;
    next.copied_bytes += first.copied_bytes;
    next.unverified += first.unverified;
    next.deleted += first.deleted;
    next.elapsed += first.elapsed;
    next.warnings.splice(0..0, first.warnings);
    next
}
