//! Random trees, filters and faults on the memory store, compared with a model of two maps.

use std::sync::Arc;

use pos3_core::conformance::{Model, Participant, RelistedStore, Subject};
use pos3_core::{MemoryStore, Namespace, Plan};

fn memory() -> Participant {
    Participant::new(Subject::new(Arc::new(MemoryStore::new())))
}

/// Says that it lists in no order.
fn unordered() -> Participant {
    Participant::new(Subject::new(Arc::new(RelistedStore::unordered(Arc::new(MemoryStore::new()), 7))))
}

pos3_core::model!(memory_to_memory, 512, || (memory(), memory()));
pos3_core::model!(memory_to_unordered, 64, || (memory(), unordered()));
pos3_core::model!(unordered_to_memory, 64, || (unordered(), memory()));

/// Returns a plan of which every action is in a temporary file.
fn spilled(plan: &Plan, _rule: Namespace) -> Plan {
    let mut spilled = Plan::with_memory(0);
    plan.actions().for_each(|action| spilled.push(&action.unwrap()).unwrap());
    assert!(spilled.actions().map(Result::unwrap).eq(plan.actions().map(Result::unwrap)));
    assert_eq!((spilled.len(), spilled.counts()), (plan.len(), plan.counts()));
    (spilled.tally, spilled.warnings) = (plan.tally, plan.warnings.clone());
    spilled
}

#[test]
fn a_plan_in_temporary_files_is_the_plan() {
    Model::new(256, file!()).executing_a_stored_plan_is_running(|| (memory(), memory()), spilled);
}
