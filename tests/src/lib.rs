//! The S3 servers that pos3 is tested against.
//!
//! A mock would only return the responses that its author expects of S3. These servers use HTTP, check signatures and
//! store objects, so that a client with a mistake in its requests fails here too.

pub mod credentials;
pub mod process;
pub mod server;
pub mod synthetic;
