//! The engine's integration tests: the contract on the stores that live here, and the semantics of a sync.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod backup;
mod contract;
mod filter;
mod gitignore;
mod model;
mod same_place;
mod semantics;
mod truth;
mod wrappers;
