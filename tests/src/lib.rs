//! The S3 servers that pos3 is tested against.
//!
//! A mock would answer what we believe S3 answers. These servers speak HTTP, check signatures and keep
//! objects, so a client that is wrong on the wire is wrong here too.

pub mod credentials;
pub mod process;
pub mod server;
pub mod synthetic;
