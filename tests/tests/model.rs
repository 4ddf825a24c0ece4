//! Random trees, links, filters and faults on every pair of kinds of stores, compared with a model of two maps.

#[path = "../../crates/pos3-core/examples/custom_store.rs"]
#[allow(dead_code, reason = "the example's own `main` is not called here")]
mod custom_store;
mod stored;
mod stores;

use pos3_core::conformance::Participant;
use pos3_core::model;

use stores::{custom, local, memory, s3, s3_twice};

/// Returns a function that creates a new pair of stores from the functions that create each store.
fn pair(source: impl Fn() -> Participant, target: impl Fn() -> Participant) -> impl Fn() -> (Participant, Participant) {
    move || (source(), target())
}

model!(memory_to_local, 48, pair(memory, local));
model!(local_to_memory, 48, pair(local, memory));
model!(local_to_local, 48, pair(local, local));
model!(custom_to_local, 48, pair(custom, local));
model!(local_to_custom, 48, pair(local, custom));
model!(custom_to_memory, 48, pair(custom, memory));
model!(local_to_s3, 24, pair(local, s3()));
model!(s3_to_local, 24, pair(s3(), local));
model!(custom_to_s3, 24, pair(custom, s3()));
model!(s3_to_memory, 24, pair(s3(), memory));
model!(s3_to_another_s3, 24, pair(s3(), s3()));
model!(s3_within_a_bucket, 24, s3_twice());
