//! The real binary, run as people run it: what it writes to stdout and stderr, its exit code, and what is on the disk.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod ls;
mod manifest;
mod name;
mod output;
mod program;
mod refusals;
mod s3;
mod signals;
mod stdout;
mod sync;
mod temporary;
mod terminal;
mod usage;
