//! The real binary, run as people run it: what it writes to stdout and stderr, its exit code, and what is on the disk.

mod ls;
mod output;
mod program;
mod refusals;
mod sync;
mod usage;
