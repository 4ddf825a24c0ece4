//! The `pos3-local` crate.
