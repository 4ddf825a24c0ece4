//! The engine's integration tests: the store contract, tested on the stores of this crate, and the semantics of a sync.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod absent;
mod backup;
mod contract;
mod filter;
mod gitignore;
mod model;
mod nested_ignore;
mod recorded;
mod responsive;
mod same_place;
mod semantics;
mod truth;
mod wrappers;
