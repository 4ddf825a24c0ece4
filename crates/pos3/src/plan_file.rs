//! A plan as a file: made here, looked at by a person, executed there.
//!
//! A dry run is gone when it has been read; what runs afterwards is another plan. A file keeps the very steps that were
//! looked at, with what was seen of both sides when they were decided, so that whoever executes them can refuse what is
//! no longer so. Its lines are JSON: a [`PlanHeader`], then one action a line. The header says how many there are, so a
//! file that was cut is noticed before anything is done; so is everything else that this program would not write.

mod error;
mod header;
mod reader;
mod record;
mod shard;
mod writer;

pub use error::PlanFileError;
pub use header::PlanHeader;
pub use reader::PlanReader;
pub use shard::{Shard, ShardError};
pub use writer::{save_plan, write_plan};

#[cfg(test)]
mod tests;
