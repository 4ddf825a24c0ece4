//! The integration tests of pos3, in one binary.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod contract;
mod docs;
mod faults_of_pos3;
mod layers;
mod memory;
mod model;
mod s3_wire;
mod semantics;
mod server;
mod servers;
mod state;
mod train;
mod workspaces;
