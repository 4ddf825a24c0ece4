//! The engine's integration tests: the contract on the stores that live here, and the semantics of a sync.

mod contract;
