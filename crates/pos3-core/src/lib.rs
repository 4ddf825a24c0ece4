//! The `pos3-core` crate.
