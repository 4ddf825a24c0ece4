//! The options that say where S3 is.

use std::path::PathBuf;

use clap::Args;
use pos3::{Credentials, S3Settings, S3SettingsError};

/// Where S3 is. Options come before the environment.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "S3")]
pub(crate) struct S3Args {
    /// Use this server instead of Amazon's, such as http://127.0.0.1:9000
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// The region of the bucket
    #[arg(long, value_name = "NAME")]
    region: Option<String>,

    /// Trust the certificates in this PEM file, and nobody else
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,

    /// Send requests without a signature, as public buckets allow
    #[arg(long)]
    no_sign_request: bool,
}

impl S3Args {
    /// Returns the settings: from these options, else from the environment.
    pub(crate) fn settings(&self) -> Result<S3Settings, S3SettingsError> {
        let mut settings = S3Settings::from_env()?;
        if let Some(url) = &self.endpoint_url {
            settings = settings.with_endpoint(url);
        }
        if let Some(region) = &self.region {
            settings = settings.with_region(region);
        }
        if let Some(path) = &self.ca_bundle {
            settings = settings.with_ca_bundle(path);
        }
        if self.no_sign_request {
            settings = settings.with_credential_provider(Credentials::Anonymous);
        }
        Ok(settings)
    }
}
