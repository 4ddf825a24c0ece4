//! The settings of S3 servers: their addresses, credentials and warnings.

pub(crate) mod credentials;
mod environment;
pub(crate) mod server;
pub(crate) mod settings;
mod shared_config;
pub(crate) mod warnings;

pub use settings::{CredentialsFailure, Looked, S3Settings, S3SettingsError};

/// The environment variable that is set for each `credential_process`. The processes that it starts inherit it.
pub const CREDENTIAL_PROCESS: &str = "POS3_CREDENTIAL_PROCESS";
