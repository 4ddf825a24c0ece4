//! Random trees, filters and faults on the store in memory, against two maps.

use std::sync::Arc;

use pos3_core::MemoryStore;
use pos3_core::conformance::{Participant, ShuffledStore, Subject};

fn memory() -> Participant {
    Participant::new(Subject::new(Arc::new(MemoryStore::new())))
}

/// Says that it lists in no order.
fn unordered() -> Participant {
    Participant::new(Subject::new(Arc::new(ShuffledStore::honest(Arc::new(MemoryStore::new()), 7))))
}

pos3_core::model!(memory_to_memory, 512, || (memory(), memory()));
pos3_core::model!(memory_to_unordered, 64, || (memory(), unordered()));
pos3_core::model!(unordered_to_memory, 64, || (unordered(), memory()));
