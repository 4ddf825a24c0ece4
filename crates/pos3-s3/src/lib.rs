//! The `pos3-s3` crate.
