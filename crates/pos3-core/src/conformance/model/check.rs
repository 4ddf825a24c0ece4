//! The checks of every case.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::case::Case;
use super::expectation::{Before, Deletes, Expectation, Fate};
use super::fault::Fault;
use super::forgetful::Forgetful;
use super::participant::{Consequence, Participant};
use super::world::{World, fill, overwrite};
use crate::action::SkipReason;
use crate::conformance::{FaultStore, THEIRS};
use crate::error::Operation;
use crate::filter::Filter;
use crate::key::Key;
use crate::options::SyncOptions;
use crate::plan::Plan;
use crate::report::{FailedAction, Failure, Report, Stop};
use crate::store::{Namespace, Reads, RemoteStore};
use crate::sync::SyncJob;
use crate::tree::Tree;

/// Two stores filled for a case.
pub(super) struct Stage<'a> {
    case: &'a Case,
    pub(super) from: Participant,
    pub(super) to: Participant,
    pub(super) source: World,
}

impl<'a> Stage<'a> {
    pub(super) async fn set(case: &'a Case, (from, to): (Participant, Participant)) -> Self {
        case.source_link.iter().for_each(|name| from.link(name));
        case.target_link.iter().for_each(|name| to.link(name));
        fill(&from.tree(), &case.source).await;
        fill(&to.tree(), &case.target).await;
        let source = World::of(&from.tree()).await;
        Self { case, from, to, source }
    }

    pub(super) async fn target(&self) -> World {
        World::of(&self.to.tree()).await
    }

    fn before<'b>(&'b self, target: &'b World, filter: &'b Filter) -> Before<'b> {
        Before { source: &self.source, target, filter, deletion: self.case.deletion }
    }

    /// Runs with a manifest. Then another writer restores the earlier target, so that part of the manifest is out of date.
    /// Returns options with that manifest, which the case will lose.
    async fn remembering(&self, forget_at: u64) -> SyncOptions {
        let memory = Arc::new(Forgetful::default());
        let options = self.case.options().with_manifest(memory.clone());
        let _report = SyncJob::new(self.from.tree(), self.to.tree(), options.clone()).run().await;
        overwrite(&self.to.tree(), &self.case.target).await;
        memory.forget_at(forget_at);
        options
    }

    /// Restores the entries that vanished from the source.
    async fn restore_source(&self) {
        let left = World::of(&self.from.tree()).await;
        let mut missing = self.source.objects.clone();
        missing.retain(|key, _| !left.objects.contains_key(key));
        fill(&self.from.tree(), &missing).await;
    }

    pub(super) fn job(&self) -> SyncJob {
        SyncJob::new(self.from.tree(), self.to.tree(), self.case.options())
    }
}

pub(super) async fn a_sync_is_what_two_maps_say(
    pair: &impl Fn() -> (Participant, Participant),
    case: &Case,
) -> TestCaseResult {
    let stage = Stage::set(case, pair()).await;
    let options = match case.fault {
        Fault::Forgotten(nth) => stage.remembering(nth).await,
        _ => case.options(),
    };
    let before = stage.target().await;
    if !matches!(case.fault, Fault::None) {
        let (report, consequence) = case.fault.run(&stage.from, &stage.to, options).await;
        let after = stage.target().await;
        nothing_was_harmed(&stage, &before, &after, &report)?;
        if case.fault.forbids_deletes() && consequence.is_some() {
            prop_assert_eq!(report.deleted, 0, "deleted by a listing that cannot be trusted");
        }
        stage.restore_source().await;
        if consequence == Some(Consequence::Unclean) {
            prop_assert!(!report.is_clean(), "the fault is not told: {report:?}");
        }
        if report.is_clean() || consequence == Some(Consequence::Nothing) {
            is_as_expected(&stage, &before, &after, &report)?;
        }
    }
    let broken = stage.target().await;
    let report = stage.job().run().await;
    let repaired = stage.target().await;
    is_as_expected(&stage, &broken, &repaired, &report)?;
    if report.is_clean() {
        // A run without a fault has the same result, whatever an earlier fault has left behind.
        is_as_expected(&stage, &before, &repaired, &report)?;
    }
    a_second_run_does_nothing(&stage, &repaired, &report).await?;
    prop_assert_eq!(World::of(&stage.from.tree()).await, stage.source, "a source is only read");
    Ok(())
}

/// Checks that the target matches the model, and that the report contains every key that was not copied or deleted.
fn is_as_expected(stage: &Stage<'_>, before: &World, after: &World, report: &Report) -> TestCaseResult {
    prop_assert!(report.stopped.is_none(), "{:?}", report.stopped);
    let filter = stage.case.filter();
    let maps = stage.before(before, &filter);
    let is_any = |wanted: Fate| maps.fates().iter().any(|(_, fate)| *fate == wanted);
    let likely = if maps.misses_a_copy() { Deletes::Withheld } else { Deletes::Done };
    let expected = |deletes: Deletes| maps.promised(maps.after(deletes));
    let found = maps.promised(Expectation { objects: after.objects.clone(), told: told(report) });
    let either = is_any(Fate::Open) && [Deletes::Done, Deletes::Withheld].into_iter().any(|way| found == expected(way));
    if !either {
        prop_assert_eq!(found, expected(likely), "found, and expected with deletes {:?}: {:?}", likely, report);
    }
    prop_assert_eq!(&after.links, &before.links);
    let told = told(report);
    let named = maps.wanted().keys().filter(|key| told.contains(*key)).count() as u64;
    let counted = report.tally.unchanged + report.copied + named;
    prop_assert_eq!(counted, maps.wanted().len() as u64, "every entry is unchanged, copied or named: {:?}", report);
    Ok(())
}

/// Returns the keys that were not copied or deleted.
fn told(report: &Report) -> BTreeSet<String> {
    let skipped = report.skipped.iter().map(Result::unwrap).filter(|(_, why)| !why.is_policy()).map(|(key, _)| key);
    let failed = report.failed.iter().map(|failure| failure.unwrap().key);
    skipped.chain(failed).map(|key| key.as_str().to_owned()).collect()
}

/// Checks a run with a fault: no content is mixed, no entry is deleted that must stay, and nothing is deleted if a copy or a
/// listing failed.
fn nothing_was_harmed(stage: &Stage<'_>, before: &World, after: &World, report: &Report) -> TestCaseResult {
    let filter = stage.case.filter();
    let maps = stage.before(before, &filter);
    let wanted = maps.wanted();
    let is_disk = after.namespace == Namespace::Hierarchical;
    let mentions = |directory: &str| before.objects.keys().chain(wanted.keys()).any(|key| key.starts_with(directory));
    for (key, content) in &after.objects {
        let theirs = matches!(stage.case.fault, Fault::Written(_)) && content == THEIRS;
        let whole = theirs || before.objects.get(key) == Some(content) || wanted.get(key) == Some(content);
        let directory = is_disk && key.ends_with('/') && mentions(key);
        prop_assert!(whole || directory, "{key:?} is neither old nor new: {content:?}");
    }
    // Replacements are copied after the deletes, all other entries before.
    let late =
        |key: &str| maps.fates().iter().any(|(late, fate)| late == key && matches!(fate, Fate::Replaces | Fate::Open));
    let copy = |failure: &Failure| failure.action == FailedAction::Copy && !late(failure.key.as_str());
    let copy_failed = report.failed.head().iter().any(copy);
    let unlisted = matches!(report.stopped, Some(Stop::Listing { .. }));
    let has_vanished = |(key, why): &(Key, SkipReason)| *why == SkipReason::Vanished && !late(key.as_str());
    let vanished = report.skipped.iter().map(Result::unwrap).any(|skipped| has_vanished(&skipped));
    if copy_failed || unlisted || vanished {
        prop_assert_eq!(report.deleted, 0);
    }
    // A delete whose response was lost is reported as failed, but may have succeeded.
    let deletes =
        report.deleted > 0 || report.failed.head().iter().any(|failure| failure.action == FailedAction::Delete);
    for key in before.objects.keys() {
        let may_go = deletes && maps.is_extra(key);
        let filled = is_disk && key.ends_with('/') && after.objects.keys().any(|other| other.starts_with(key.as_str()));
        prop_assert!(after.objects.contains_key(key) || may_go || filled, "{key:?} was deleted: {report:?}");
    }
    prop_assert_eq!(&after.links, &before.links);
    Ok(())
}

async fn a_second_run_does_nothing(stage: &Stage<'_>, repaired: &World, first: &Report) -> TestCaseResult {
    let watched = |participant: &Participant| Arc::new(FaultStore::over_shared(participant.tree().store().clone()));
    let (from, to) = (watched(&stage.from), watched(&stage.to));
    let at = |store: &Arc<FaultStore>, tree: Tree| Tree::new(store.clone()).at(tree.prefix());
    let job = SyncJob::new(at(&from, stage.from.tree()), at(&to, stage.to.tree()), stage.case.options());
    let report = job.run().await;
    prop_assert_eq!((report.copied, report.deleted), (0, 0), "{:?}", report);
    prop_assert_eq!(told(&report), told(first));
    prop_assert_eq!(&stage.target().await, repaired);
    if first.is_clean() {
        for (side, store) in [("source", &from), ("target", &to)] {
            let capabilities = store.capabilities();
            let reads = if capabilities.reads == Reads::Local { 0 } else { store.calls(Operation::Read) };
            // On a disk, each run tries to delete a directory that still contains excluded entries.
            let deletes =
                if capabilities.namespace == Namespace::Hierarchical { 0 } else { store.calls(Operation::Delete) };
            let others = [Operation::LookUp, Operation::Write].map(|operation| store.calls(operation));
            prop_assert_eq!((reads, deletes, others), (0, 0, [0; 2]), "more than a listing of the {}", side);
        }
    }
    Ok(())
}

pub(super) async fn executing_a_collected_plan_is_running(
    pair: &impl Fn() -> (Participant, Participant),
    case: &Case,
    way: &impl Fn(&Plan, Namespace) -> Plan,
) -> TestCaseResult {
    let (one, other) = (Stage::set(case, pair()).await, Stage::set(case, pair()).await);
    let before = other.target().await;
    let direct = one.job().run().await;
    let job = other.job();
    let plan = way(&job.plan().await.unwrap(), before.namespace);
    prop_assert_eq!(&other.target().await, &before, "a plan touches nothing");
    let planned = job.execute(plan).await;
    prop_assert_eq!(one.target().await, other.target().await);
    let counts = |report: &Report| (report.copied, report.copied_bytes, report.deleted, report.withheld, report.tally);
    prop_assert_eq!(counts(&direct), counts(&planned));
    prop_assert_eq!(told(&direct), told(&planned));
    Ok(())
}
