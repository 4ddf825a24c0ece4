//! A plan that was written to a file and read again has the same effect.

use pos3::{Namespace, Plan, PlanHeader, PlanReader, Registry, Shard};
use pos3_core::Deletion;
use pos3_core::conformance::Model;

use super::pair;
use super::stores::{local, memory, s3};

/// Returns a plan as a file gives it back.
fn through_a_file(plan: &Plan, namespace: Namespace) -> Plan {
    let place = "memory://anywhere".parse().unwrap();
    let header = PlanHeader::new(&Registry::default(), &place, &place, plan).unwrap().with_deletion(Deletion::Extra);
    let mut file = Vec::new();
    pos3::write_plan(&mut file, &header, plan).unwrap();
    let reader = PlanReader::open(&file[..]).unwrap();
    let read = reader.plan(namespace, Shard::default()).unwrap();
    assert!(read.actions().map(Result::unwrap).eq(plan.actions().map(Result::unwrap)));
    assert_eq!((&read.warnings, read.counts()), (&plan.warnings, plan.counts()));
    read
}

#[test]
fn executing_a_plan_from_a_file_is_running() {
    let model = |cases| Model::new(cases, file!());
    model(80).executing_a_stored_plan_is_running(pair(memory, local), through_a_file);
    model(80).executing_a_stored_plan_is_running(pair(local, memory), through_a_file);
    model(8).executing_a_stored_plan_is_running(pair(s3(), local), through_a_file);
    model(8).executing_a_stored_plan_is_running(pair(local, s3()), through_a_file);
}
