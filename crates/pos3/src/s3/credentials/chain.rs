//! The standard places of AWS credentials, as Amazon's own library knows them, asked through our transport.
//!
//! The environment; the AWS profile with its keys, its SSO session, its role (`source_profile`, `credential_source`) or
//! its process; a web identity; a container; the instance. The chain is made anew each time: files change meanwhile.

use std::error::Error;

use async_trait::async_trait;
use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::meta::ProviderChainError;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use pos3_s3::AwsCredential;

use super::transport::Transport;
use super::{Loaded, Missing, Source};
use crate::s3::settings::{Looked, S3Settings, S3SettingsError};

/// Where the token service is asked, if nobody says.
const REGION: &str = "us-east-1";

/// The places, and how they are reached.
pub(in crate::s3) struct Chain {
    transport: Transport,
    region: Region,
}

impl Chain {
    pub(super) fn new(settings: &S3Settings) -> Result<Self, S3SettingsError> {
        let region = settings.region.clone().unwrap_or_else(|| REGION.to_owned());
        Ok(Self { transport: Transport::new(settings.root_certificates()?), region: Region::new(region) })
    }
}

#[async_trait]
impl Source for Chain {
    async fn load(&self) -> Result<Loaded, Missing> {
        let config = ProviderConfig::without_region().with_http_client(self.transport.clone());
        let chain = DefaultCredentialsChain::builder().region(self.region.clone()).configure(config).build().await;
        let credentials = chain.provide_credentials().await.map_err(|error| missing(&error))?;
        Ok(Loaded {
            credential: AwsCredential {
                key_id: credentials.access_key_id().to_owned(),
                secret_key: credentials.secret_access_key().to_owned(),
                token: credentials.session_token().map(str::to_owned),
            },
            end: credentials.expiry(),
        })
    }
}

fn missing(error: &CredentialsError) -> Missing {
    match error.source().and_then(|source| source.downcast_ref::<ProviderChainError<CredentialsError>>()) {
        Some(chain) => {
            Missing::Nowhere(chain.attempts().iter().map(|attempt| looked(attempt.name(), attempt.error())).collect())
        }
        None => Missing::Failed(causes(error)),
    }
}

/// Returns where nothing was found in words of our own, where the library's name is not one that people know.
fn looked(name: &str, error: &CredentialsError) -> Looked {
    let why = || causes(error);
    let (place, why) = match name {
        "Environment" => ("the environment", "AWS_ACCESS_KEY_ID is not set".to_owned()),
        "Profile" if error.source().is_none() => {
            ("the AWS profile", "~/.aws/config and ~/.aws/credentials have none for it".to_owned())
        }
        "Profile" => ("the AWS profile", why()),
        "WebIdentityToken" => ("a web identity", why().replace('$', "")),
        "EcsContainer" => ("a container", "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set".to_owned()),
        "Ec2InstanceMetadata" => ("the instance's metadata", why()),
        other => (other, why()),
    };
    Looked { place: place.to_owned(), why }
}

/// Returns what is below the library's own name of the failure, in one line.
fn causes(error: &CredentialsError) -> String {
    let told: Vec<String> = std::iter::successors(error.source(), |&cause| cause.source())
        .map(|cause| cause.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    if told.is_empty() { error.to_string() } else { told.join(": ") }
}
