//! A complete plan, in memory and temporary files.

use std::pin::pin;

use futures::StreamExt;

use super::{PlanError, Planner};
use crate::action::Action;
use crate::entry::Entry;
use crate::report::{Report, Stop, Tally};
use crate::spill::{HELD, Spill, SpillError, streamed};

/// A collected plan. Deletes come after the copies, and replacements come last.
///
/// Actions beyond a few MiB are stored in anonymous temporary files, so even a large plan needs little memory. That is
/// why [`actions`](Self::actions) returns each action as a `Result`. Clones share the files.
///
/// ```
/// # use pos3_core::{Action, Entry, Plan};
/// # fn main() -> Result<(), pos3_core::SpillError> {
/// let plan = Plan::of([Action::Delete { target: Entry::file("old", 1) }])?;
/// assert_eq!(plan.counts().deletes, 1);
/// for action in plan.actions() {
///     println!("{}", action?.key());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    /// The counts from planning.
    pub tally: Tally,
    /// Problems that did not stop the planning, such as a listing that had to be sorted.
    pub warnings: Vec<String>,
    first: Spill<Action>,
    deletes: Spill<Entry>,
    replacements: Spill<Action>,
    counts: PlanCounts,
}

/// The number of actions of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanCounts {
    /// Copies, without replacements.
    pub copies: u64,
    /// Replacements.
    pub replacements: u64,
    /// The bytes of all copies and replacements.
    pub bytes: u64,
    /// Deletes of files and objects.
    pub deletes: u64,
    /// Deletes of directories, which are empty by the time they are deleted.
    pub directories: u64,
    /// Skipped keys.
    pub skips: u64,
}

impl Plan {
    /// Returns an empty plan that holds about this many bytes in memory per kind of action.
    pub fn with_memory(bytes: usize) -> Self {
        Self {
            tally: Tally::default(),
            warnings: Vec::new(),
            first: Spill::with_limit(bytes),
            deletes: Spill::with_limit(bytes),
            replacements: Spill::with_limit(bytes),
            counts: PlanCounts::default(),
        }
    }

    /// Returns a plan with these actions.
    ///
    /// # Errors
    ///
    /// Fails if a temporary file cannot be written.
    pub fn of(actions: impl IntoIterator<Item = Action>) -> Result<Self, SpillError> {
        let mut plan = Self::default();
        actions.into_iter().try_for_each(|action| plan.push(&action))?;
        Ok(plan)
    }

    /// Collects a complete plan.
    ///
    /// # Errors
    ///
    /// Returns the first failure of a listing or a temporary file, or the refusal of a guard.
    pub async fn collect(mut planner: Planner) -> Result<Self, PlanError> {
        let mut plan = Self::with_memory(planner.memory());
        while let Some(action) = planner.next_first().await? {
            plan.push(&action)?;
            plan.relieve().await?;
        }
        plan.tally = planner.tally();
        plan.warnings = planner.warnings().to_vec();
        if let Some((deletes, replacements)) = planner.into_last() {
            plan.counts.deletes = deletes.files();
            plan.deletes = deletes.into_entries();
            plan.counts.directories = plan.deletes.len() - plan.counts.deletes;
            let mut replacements = pin!(streamed(replacements.into_iter()));
            while let Some(action) = replacements.next().await {
                plan.push(&action?)?;
                plan.relieve().await?;
            }
        }
        Ok(plan)
    }

    /// Adds an action after those of its kind: copies and skips, deletes, replacements.
    ///
    /// # Errors
    ///
    /// Fails if a temporary file cannot be written. The plan then lacks the action and must not be executed.
    pub fn push(&mut self, action: &Action) -> Result<(), SpillError> {
        self.counts.add(action);
        match action {
            Action::Copy { .. } | Action::Skip { .. } => self.first.push(action),
            Action::Delete { target } => self.deletes.push(target),
            Action::Replace { .. } => self.replacements.push(action),
        }
    }

    /// Writes actions to the temporary files before [`push`](Self::push) has to.
    pub(crate) async fn relieve(&mut self) -> Result<(), SpillError> {
        self.first.relieve().await?;
        self.deletes.relieve().await?;
        self.replacements.relieve().await
    }

    /// Returns the actions in the order of execution, except that deletes are executed from the last to the first. If a
    /// temporary file cannot be read, the error is the last item.
    pub fn actions(&self) -> impl Iterator<Item = Result<Action, SpillError>> + Send + use<> {
        let deletes = self.deletes.iter().map(|target| Ok(Action::Delete { target: target? }));
        self.first.iter().chain(deletes).chain(self.replacements.iter())
    }

    /// Returns the entries to delete, in key order.
    pub fn deletes(&self) -> &Spill<Entry> {
        &self.deletes
    }

    /// Returns the replacements, which are copied after the deletes.
    pub fn replacements(&self) -> &Spill<Action> {
        &self.replacements
    }

    /// Returns the number of actions of each kind.
    pub fn counts(&self) -> PlanCounts {
        self.counts
    }

    /// Returns the number of actions.
    pub fn len(&self) -> u64 {
        self.first.len() + self.deletes.len() + self.replacements.len()
    }

    /// Returns true if there are no actions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Report {
    /// Returns the report of a plan that was not executed.
    pub fn of_plan(plan: &Plan) -> Self {
        let (tally, warnings) = (plan.tally, plan.warnings.clone());
        let mut report = Self { tally, withheld: tally.withheld, warnings, ..Self::default() };
        for action in plan.actions().take_while(|action| !matches!(action, Ok(Action::Delete { .. }))) {
            match action {
                Ok(Action::Skip { key, why }) => report.skipped.push((key, why)),
                Ok(Action::Copy { .. } | Action::Replace { .. } | Action::Delete { .. }) => {}
                Err(error) => report.stopped = Some(Stop::Spill(error)),
            }
        }
        report
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::with_memory(HELD)
    }
}

impl PlanCounts {
    /// Returns the number of deletes and replacements, which are withheld if something fails before them.
    pub fn last(&self) -> u64 {
        self.deletes + self.replacements
    }

    fn add(&mut self, action: &Action) {
        match action {
            Action::Copy { source, .. } => {
                self.copies += 1;
                self.bytes += source.size;
            }
            Action::Replace { source, .. } => {
                self.replacements += 1;
                self.bytes += source.size;
            }
            Action::Delete { target } if target.has_content() => self.deletes += 1,
            Action::Delete { .. } => self.directories += 1,
            Action::Skip { .. } => self.skips += 1,
        }
    }
}
