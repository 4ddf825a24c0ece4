//! The `pos3` crate.
