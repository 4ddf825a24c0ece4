//! Runs the real binary as users run it: checks stdout, stderr, the exit code and the files on the disk.
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
