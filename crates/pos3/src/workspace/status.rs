//! What a pull and a push would do: [`status`].

use std::collections::BTreeSet;

use pos3_core::{Action, Guards, Key, MaxDelete, Plan, Report, SkipReason, Stop, WithheldDeletes};
use serde::Serialize;

use super::error::WorkspaceError;
use super::inner::Inner;
use super::report::Way;
use super::watch::Watch;
use super::{pull, push};
use crate::transfer::Transfer;

/// What differs between the directory and the location of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkspaceStatus {
    /// What a pull would do in the directory, without what a push would change.
    pub pull: Vec<PathStatus>,
    /// What a push would do at the location.
    pub push: Vec<PathStatus>,
    /// The files that have changed on both sides. A push keeps both versions.
    pub conflicts: Vec<String>,
    /// The files that a push leaves alone because the last pull could not fetch them.
    pub protected: Vec<String>,
}

/// A difference of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", content = "path", rename_all = "lowercase")]
#[non_exhaustive]
pub enum PathStatus {
    /// The other side does not have it.
    New(String),
    /// The other side has an earlier version.
    Changed(String),
    /// This side does not have it any more.
    Deleted(String),
}

impl PathStatus {
    /// Returns the path.
    pub fn path(&self) -> &str {
        match self {
            Self::New(path) | Self::Changed(path) | Self::Deleted(path) => path,
        }
    }

    /// Returns the difference that an action would end, or `None` for a skip.
    fn of(action: &Action) -> Option<Self> {
        match action {
            Action::Copy { source, target: None, .. } => Some(Self::New(name(&source.key))),
            Action::Copy { source, .. } | Action::Replace { source, .. } => Some(Self::Changed(name(&source.key))),
            Action::Delete { target } => Some(Self::Deleted(name(&target.key))),
            Action::Skip { .. } => None,
        }
    }
}

impl WorkspaceStatus {
    /// Returns true if both sides are equal.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares both sides and changes nothing.
pub(super) async fn status(inner: &Inner) -> Result<WorkspaceStatus, WorkspaceError> {
    let _alone = inner.running.lock().await;
    let mut sides = inner.sides(Way::Up).await?;
    let filter = sides.rule(inner, Way::Up).await?;
    let watch = || Watch::new(inner.observer(), None);
    let up = planned(whole(push::transfer(inner, &sides, filter.clone(), watch())).plan().await)?;
    let mut status = WorkspaceStatus::default();
    let mut of_push = BTreeSet::new();
    for action in up.actions() {
        let action = action.map_err(|error| WorkspaceError::stopped(report(Stop::Spill(error))))?;
        if let Some(path) = PathStatus::of(&action) {
            of_push.insert(action.key().clone());
            status.push.push(path);
        }
        if let Action::Skip { key, why } = action {
            note_skip(&mut status, &key, &why);
        }
    }
    let down = planned(whole(pull::transfer(inner, &sides, filter, watch(), None)).plan().await)?;
    for action in down.actions() {
        let action = action.map_err(|error| WorkspaceError::stopped(report(Stop::Spill(error))))?;
        status.pull.extend(PathStatus::of(&action).filter(|_| !of_push.contains(action.key())));
    }
    Ok(status)
}

fn name(key: &Key) -> String {
    key.as_str().to_owned()
}

/// Makes a plan contain the deletes that a run would refuse, or withhold until the conflicts are resolved.
fn whole(transfer: Transfer) -> Transfer {
    let guards = Guards::default().with_allow_empty(true).with_max_delete(MaxDelete::Percent(100));
    transfer.map_options(|options| options.with_withheld_deletes(WithheldDeletes::Planned).with_guards(guards))
}

fn note_skip(status: &mut WorkspaceStatus, key: &Key, why: &SkipReason) {
    match why {
        SkipReason::NotPulled => status.protected.push(name(key)),
        why if why.is_conflict() => status.conflicts.push(name(key)),
        _ => {}
    }
}

fn planned(plan: Result<Plan, Stop>) -> Result<Plan, WorkspaceError> {
    plan.map_err(|stop| WorkspaceError::stopped(report(stop)))
}

fn report(stop: Stop) -> Report {
    let mut report = Report::default();
    report.stopped = Some(stop);
    report
}
