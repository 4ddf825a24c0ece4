//! The conformance suite on the stores of this crate.

use std::sync::Arc;

use pos3_core::MemoryStore;
use pos3_core::conformance::{RelistedStore, Subject};

pos3_core::conformance!(memory, async || Subject::new(Arc::new(MemoryStore::new())));

pos3_core::conformance!(unordered, async || {
    Subject::new(Arc::new(RelistedStore::unordered(Arc::new(MemoryStore::new()), 7)))
});
