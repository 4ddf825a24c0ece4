//! The options that say where S3 is.

use std::path::PathBuf;

use clap::Args;
use pos3::{Credentials, Location, Profiles, S3Provider, S3Settings, S3SettingsError};

use super::path::local_path;
use crate::warnings::Warnings;

/// The scheme whose locations have profiles.
const SCHEME: &str = "s3";

/// Where S3 is. Options come before the environment.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "S3")]
pub(crate) struct S3Args {
    /// Use this profile for every s3:// location that names none (see PROFILE@ in 'pos3-cli --help')
    #[arg(long, value_name = "NAME", value_parser = profile, conflicts_with_all = ["endpoint_url", "region", "no_sign_request"])]
    profile: Option<String>,

    /// Use this server instead of Amazon's, such as http://127.0.0.1:9000
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// The region of the bucket
    #[arg(long, value_name = "NAME")]
    region: Option<String>,

    /// Trust the certificates in this PEM file, and nobody else
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    ca_bundle: Option<PathBuf>,

    /// Send requests without a signature, as public buckets allow
    #[arg(long)]
    no_sign_request: bool,
}

/// Refuses a URL, whose password would become part of every location.
fn profile(name: &str) -> Result<String, String> {
    if name.contains(['/', '@']) {
        return Err(
            "the name of a profile has no '/' and no '@'; the URL of a server is given with --endpoint-url".to_owned()
        );
    }
    Ok(name.to_owned())
}

impl S3Args {
    /// Returns who opens `s3://`: with these options, else with the environment, and with the profiles of the file.
    pub(crate) fn provider(&self, warnings: &Warnings) -> Result<S3Provider, S3SettingsError> {
        let warnings = warnings.clone();
        let provider = S3Provider::new(self.settings()?).with_profiles(Profiles::from_env());
        Ok(provider.with_warnings(move |warning| warnings.tell(warning)))
    }

    /// Gives the profile of `--profile` to a location that could have one and names none. What is written down of the
    /// location, in a plan or in a message, then says which server was meant.
    pub(crate) fn locate(&self, location: &mut Location) {
        if let Some(profile) = self.profile.as_deref().filter(|_| location.scheme() == SCHEME) {
            *location = location.clone().with_default_profile(profile);
        }
    }

    fn settings(&self) -> Result<S3Settings, S3SettingsError> {
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
