//! The options that select the S3 server and how to connect to it.

use std::path::PathBuf;

use clap::Args;
use pos3::{Credentials, Location, Profiles, S3Provider, S3Settings, S3SettingsError};

use super::path::local_path;

/// The only scheme whose locations can have a profile.
const SCHEME: &str = "s3";

/// The S3 server. Options take precedence over the environment.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "S3")]
pub(crate) struct S3Args {
    /// Use profile NAME for s3:// locations that name none
    #[arg(long, value_name = "NAME", value_parser = profile, conflicts_with_all = ["endpoint_url", "region", "no_sign_request"])]
    profile: Option<String>,

    /// Use the S3 server at URL, such as http://127.0.0.1:9000
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,

    /// Use this region [default: from the environment, else us-east-1]
    #[arg(long, value_name = "NAME")]
    region: Option<String>,

    /// Trust only the certificates in this PEM file
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    ca_bundle: Option<PathBuf>,

    /// Do not sign requests (for public buckets)
    #[arg(long)]
    no_sign_request: bool,
}

/// Parses the name of a profile. Rejects a URL, because its password would become part of every location.
fn profile(name: &str) -> Result<String, String> {
    if name.contains(['/', '@']) {
        return Err(
            "the name of a profile has no '/' and no '@'; the URL of a server is given with --endpoint-url".to_owned()
        );
    }
    Ok(name.to_owned())
}

impl S3Args {
    /// Returns the provider of `s3://`. It uses these options, then the environment, and the profiles of the profiles file.
    pub(crate) fn provider(&self) -> Result<S3Provider, S3SettingsError> {
        Ok(S3Provider::new(self.settings()?).with_profiles(Profiles::from_env()))
    }

    /// Adds the profile of `--profile` to the `s3://` locations that name none.
    pub(crate) fn add_profile<'a>(&self, locations: impl IntoIterator<Item = &'a mut Location>) {
        let Some(profile) = &self.profile else { return };
        for location in locations.into_iter().filter(|location| location.scheme() == SCHEME) {
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
