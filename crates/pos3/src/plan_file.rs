//! Plan files: a plan is made, reviewed by a user and executed later, possibly on another machine.
//!
//! After a dry run, the next run makes a new plan. A plan file contains exactly the actions that were reviewed, with
//! the state of both sides when they were decided, so that execution can refuse an action whose files have changed.
//! Each line is JSON: a [`PlanHeader`], then one action per line. The header contains the number of actions and a
//! checksum of the file, so that a truncated or changed file is detected before anything is executed. Everything that pos3 does not write is rejected too.

mod error;
mod header;
mod reader;
mod record;
mod seal;
mod shard;
mod writer;

pub use error::PlanFileError;
pub use header::PlanHeader;
pub use reader::PlanReader;
pub use shard::{Shard, ShardError};
pub use writer::{save_plan, write_plan};

#[cfg(test)]
mod tests;
