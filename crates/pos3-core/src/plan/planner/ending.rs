//! The end of a plan: the deletes and the replacements, which come after all copies.
//!
//! They are known only after both listings have completed. No other module yields them.

use futures::{StreamExt, TryStreamExt};

use super::{Last, PlanError, Planner, new};
use crate::action::{Action, SkipReason};
use crate::diff::{ListingFailed, Merge};
use crate::entry::Protection;
use crate::listing::Complete;
use crate::options::{Deletion, UnmatchedPatterns, WithheldDeletes};
use crate::plan::guard::{Deletes, Extra};
use crate::plan::room::Unreplaced;
use crate::plan::shapes;
use crate::report::Refusal;
use crate::side::Side;
use crate::spill::{Spill, SpillError, streamed};

impl Planner {
    /// Drops the actions after the copies, because a copy cannot be made.
    pub(super) fn withhold(&mut self) {
        if !self.permission.is_given()
            && self.withheld_deletes == WithheldDeletes::Omitted
            && let Last::Decided(deletes) = &self.last
        {
            self.tally.withheld += deletes.files() + self.replacing.len();
            self.last = Last::Withheld(streamed(self.replacing.iter()).boxed());
        }
    }

    /// Returns the report of the next replacement that is withheld.
    pub(super) async fn next_withheld(&mut self) -> Result<Option<Action>, SpillError> {
        let Last::Withheld(replacing) = &mut self.last else { return Ok(None) };
        Ok(replacing.try_next().await?.map(Action::into_withheld))
    }

    pub(super) async fn next_last(&mut self) -> Result<Option<Action>, SpillError> {
        if let Last::Decided(_) = self.last
            && let Last::Decided(deletes) = std::mem::replace(&mut self.last, Last::Open)
        {
            let deletes = deletes.into_entries().into_iter().map(|target| Ok(Action::Delete { target: target? }));
            self.last = Last::Given(streamed(deletes.chain(self.replacing.iter())).boxed());
        }
        match &mut self.last {
            Last::Given(actions) => actions.try_next().await,
            Last::Open | Last::Decided(_) | Last::Withheld(_) => Ok(None),
        }
    }

    /// Returns the deletes and the replacements, after the last copy.
    pub(in crate::plan) fn into_last(self) -> Option<(Deletes, Spill<Action>)> {
        match self.last {
            Last::Decided(deletes) => Some((deletes, self.replacing)),
            Last::Open | Last::Withheld(_) | Last::Given(..) => None,
        }
    }

    /// Handles the end of both listings. Only now can there be deletes.
    pub(super) async fn finish(&mut self) -> Result<(), PlanError> {
        let held = self.names.end();
        held.into_iter().try_for_each(|source| self.queue(new(source)))?;
        while let Some(key) = self.next_recorded().await {
            self.forget(key).await;
        }
        if self.shapes.are_reported()
            && self.tally.source > 0
            && let Some(report) = shapes::around_single(&self.target).await
        {
            self.queue(report)?;
        }
        if let Some(ends) = self.merge.take().and_then(Merge::finish) {
            self.warn(Side::Source, &ends.0);
            self.warn(Side::Target, &ends.1);
            if let Some(key) = ends.0.doubts().unsettled() {
                let why = Protection::Unreadable("it changed whenever it was listed, so files may be missing".into());
                self.tally.source += 1;
                self.queue(Action::Skip { key, why: SkipReason::Source(why) })?;
            }
            if self.deletion == Deletion::Extra {
                self.report_staged(&ends.0)?;
                self.make_room().await?;
                let extra = std::mem::replace(&mut self.extra, Extra::with_memory(0));
                let counts = (self.tally, self.source_files);
                let deletes = extra.release(!self.replacing.is_empty(), self.guards, counts, (&ends.0, &ends.1));
                let deletes = self.without_stray(deletes).map_err(PlanError::Refused)?;
                if self.unmatched_patterns == UnmatchedPatterns::Reported {
                    self.warnings.extend(self.watched.unmatched());
                }
                self.last = Last::Decided(deletes);
            }
        }
        Ok(())
    }

    /// Reports the staged content of the source, which withholds the deletes. The name of such content does not show
    /// for which entry it was meant, and a run that was killed may have deleted everything else that was at its path.
    fn report_staged(&mut self, source: &Complete) -> Result<(), SpillError> {
        for key in source.doubts().staged() {
            let key = self.source.relative(&key).unwrap_or(key);
            self.tally.source += 1;
            self.queue(Action::Skip { key, why: SkipReason::Source(Protection::Staged) })?;
        }
        Ok(())
    }

    /// Refuses deletes that an exclude pattern was probably meant to prevent. This check comes before the one of their
    /// number.
    pub(super) fn without_stray(&self, deletes: Result<Deletes, Refusal>) -> Result<Deletes, Refusal> {
        let is_counted = matches!(deletes, Ok(_) | Err(Refusal::TooManyDeletes { .. }));
        match self.watched.first_stray(&self.stray) {
            Some((pattern, key)) if is_counted && !self.guards.allow_unmatched => {
                Err(Refusal::UnmatchedPattern { pattern, key })
            }
            _ => deletes,
        }
    }

    /// Warns of the defects of a listing that completed without error.
    pub(super) fn warn(&mut self, side: Side, listing: &Complete) {
        let tree = match side {
            Side::Source => &self.source,
            Side::Target => &self.target,
        };
        self.warnings.extend(listing.doubts().warnings(format_args!("the {} '{tree}'", side.as_str())));
    }

    /// Turns replacements whose path cannot be freed, or whose content cannot be read, into skips. The entries that they
    /// would have replaced stay.
    pub(super) async fn make_room(&mut self) -> Result<(), PlanError> {
        let wanted = std::mem::replace(&mut self.replacing, Spill::with_limit(self.memory));
        let mut unreplaced = Unreplaced::default();
        let mut wanted = streamed(wanted.into_iter()).boxed();
        while let Some(action) = wanted.try_next().await? {
            let obstacle = action.obstacle().cloned();
            let checked = self.room.check(action, &self.target, &self.filter).await;
            let failed = |error| PlanError::Listing(ListingFailed { side: Side::Target, error });
            let action = self.policy.if_ready(checked.map_err(failed)?);
            obstacle.into_iter().for_each(|obstacle| unreplaced.note(obstacle, &action));
            self.queue(action)?;
        }
        if !unreplaced.is_empty() {
            self.tally.extra += self.extra.leave_out(self.memory, |key| unreplaced.has(key)).await?;
        }
        Ok(())
    }
}
