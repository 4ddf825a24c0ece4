//! Where S3 is and who asks: what the caller says, what the environment says, what is usual.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pos3_core::Url;
use pos3_s3::{Addressing, Credentials, S3Config, S3ConfigError};

use super::environment;
use super::shared_config::AwsProfile;

/// The server, the region and the credentials of S3.
#[derive(Clone, Debug, Default)]
pub struct S3Settings {
    pub(super) endpoint: Option<Url>,
    pub(super) region: Option<String>,
    pub(super) asker: Asker,
    pub(super) addressing: Option<Addressing>,
    pub(super) ca_bundle: Option<PathBuf>,
    #[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "without its credentials it is of no use"))]
    pub(super) aws_profile: AwsProfile,
    #[cfg_attr(not(feature = "aws"), allow(dead_code, reason = "without it the service is not asked"))]
    pub(super) metadata: Metadata,
}

/// How patiently the instance's metadata is asked for; what is not said is for Amazon's library to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) timeout: Option<Duration>,
    pub(super) attempts: Option<u32>,
}

/// Who sends the requests.
#[derive(Clone, Debug, Default)]
pub(super) enum Asker {
    /// Nobody said.
    #[default]
    Unknown,
    /// Whoever this names.
    Known(Credentials),
    /// Whoever the standard places of AWS credentials name.
    Standard,
}

/// Settings that are missing or make no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3SettingsError {
    /// Nobody said who sends the requests.
    #[error("there are no S3 credentials{}", told(looked))]
    NoCredentials {
        /// Where they were looked for, in this order.
        looked: Vec<Looked>,
    },
    /// A place that should have credentials failed to give them.
    #[error("the S3 credentials could not be had from {place}: {why}")]
    CredentialsFailed {
        /// The place, such as `the AWS profile 'work'`.
        place: String,
        /// What happened, in one line.
        why: String,
    },
    /// `AWS_PROFILE` names a profile that is not there.
    #[error("there is no AWS profile '{name}' in {looked}")]
    UnknownAwsProfile {
        /// The name.
        name: String,
        /// The files that were looked into.
        looked: String,
    },
    /// One of two variables that belong together is not set.
    #[error("{set} is set, but {missing} is not")]
    HalfCredentials {
        /// The variable that is set.
        set: &'static str,
        /// The variable that is not.
        missing: &'static str,
    },
    /// A variable that is not text.
    #[error("the environment variable {0} is not valid UTF-8")]
    NotUtf8(&'static str),
    /// A variable with white space around its value, or a control character in it.
    #[error("the environment variable {0} has a blank or a line end around its value")]
    Blank(&'static str),
    /// A variable that must be a number and is none.
    #[error("{variable} must be {what} greater than zero")]
    Number {
        /// The variable.
        variable: &'static str,
        /// What it says.
        what: &'static str,
    },
    /// The file with the certificates to trust cannot be read.
    #[error("cannot read the certificates in '{}'", path.display())]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A value that cannot be right.
    #[error(transparent)]
    Config(#[from] S3ConfigError),
}

/// A place without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The place, such as `the environment`.
    pub place: String,
    /// Why it gave nothing.
    pub why: String,
}

/// Returns the places as the end of a line.
fn told(looked: &[Looked]) -> String {
    let places: Vec<String> = looked.iter().map(|Looked { place, why }| format!("{place} ({why})")).collect();
    if places.is_empty() { String::new() } else { format!("; looked at {}", places.join(", ")) }
}

impl S3Settings {
    /// Returns what the environment says, by the variables of the AWS tools: `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`; `AWS_REGION`, else `AWS_DEFAULT_REGION`; `AWS_ENDPOINT_URL_S3`,
    /// else `AWS_ENDPOINT_URL`; `AWS_CA_BUNDLE`. An empty variable counts as not set. What no variable says may stand in
    /// `~/.aws/config`, in the section of `AWS_PROFILE`, else `AWS_DEFAULT_PROFILE`: region, endpoint and certificates.
    ///
    /// Without keys in the environment the other standard places are asked when the first location is opened, which
    /// needs the feature `aws`: the AWS profile (keys, SSO, roles, processes), a web identity, a container, the instance,
    /// which is asked as `AWS_METADATA_SERVICE_TIMEOUT` and `AWS_METADATA_SERVICE_NUM_ATTEMPTS` say.
    /// So it is with keys that are for a role: `AWS_PROFILE` names a profile with `credential_source = Environment`.
    ///
    /// Settings that were made in another way never read the environment.
    ///
    /// # Errors
    ///
    /// A key without its secret, or the other way round; a variable that is not text, or has white space around its value.
    pub fn from_env() -> Result<Self, S3SettingsError> {
        environment::settings(|name| std::env::var_os(name))
    }

    /// Sets the server, such as `http://127.0.0.1:9000`. Default: Amazon's in the region.
    #[must_use]
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(Url::from(url.into()));
        self
    }

    /// Sets the region. Default: `us-east-1`.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets who sends the requests; the token belongs to temporary credentials.
    #[must_use]
    pub fn with_credentials(
        mut self,
        key_id: impl Into<String>,
        secret_key: impl Into<String>,
        token: Option<String>,
    ) -> Self {
        self.asker = Asker::Known(Credentials::fixed(key_id, secret_key, token));
        self
    }

    /// Sets any other credentials: a provider of temporary ones, or [`Credentials::Anonymous`].
    #[must_use]
    pub fn with_credential_provider(mut self, credentials: Credentials) -> Self {
        self.asker = Asker::Known(credentials);
        self
    }

    /// Sets how buckets are named in requests. Default: by path where an endpoint is given.
    #[must_use]
    pub fn with_addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = Some(addressing);
        self
    }

    /// Sets a file of certificates in PEM form: https trusts these and nobody else. It is read when the first location
    /// is opened. Default: whom the system trusts.
    #[must_use]
    pub fn with_ca_bundle(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_bundle = Some(path.into());
        self
    }

    /// Returns the configuration of a client.
    ///
    /// # Errors
    ///
    /// Certificates that cannot be read.
    pub(super) fn config(&self, credentials: Credentials) -> Result<S3Config, S3SettingsError> {
        let mut config = S3Config::new().with_credentials(credentials);
        if let Some(endpoint) = &self.endpoint {
            config = config.with_endpoint(endpoint.as_str());
        }
        if let Some(region) = &self.region {
            config = config.with_region(region);
        }
        if let Some(addressing) = self.addressing {
            config = config.with_addressing(addressing);
        }
        if let Some(pem) = self.root_certificates()? {
            config = config.with_root_certificates(pem);
        }
        Ok(config)
    }

    /// Returns the certificates to trust, if there is a file of them.
    pub(super) fn root_certificates(&self) -> Result<Option<Vec<u8>>, S3SettingsError> {
        let Some(path) = &self.ca_bundle else { return Ok(None) };
        crate::small_file::read_small(path)
            .map(Some)
            .map_err(|source| S3SettingsError::CaBundle { path: path.clone(), source })
    }
}
