//! The server, region and credentials of S3, from the caller, from the environment or by default.

use std::io;
use std::path::PathBuf;
#[cfg(feature = "aws")]
use std::time::Duration;

use pos3_core::Url;
use pos3_s3::{Addressing, Credentials, Etags, S3Config, S3ConfigError};

use super::environment;
#[cfg(feature = "aws")]
use super::shared_config::AwsProfile;

/// The server, the region and the credentials of S3.
#[derive(Clone, Debug, Default)]
pub struct S3Settings {
    pub(crate) endpoint: Option<Url>,
    pub(crate) region: Option<String>,
    pub(crate) asker: Asker,
    pub(crate) addressing: Option<Addressing>,
    pub(crate) has_opaque_etags: bool,
    pub(crate) ca_bundle: Option<PathBuf>,
    #[cfg(feature = "aws")]
    pub(crate) aws_profile: AwsProfile,
    #[cfg(feature = "aws")]
    pub(crate) metadata: Metadata,
}

/// How long and how often to ask the instance's metadata service. `None` means the default of the AWS SDK.
#[cfg(feature = "aws")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempts: Option<u32>,
}

/// The credentials that requests are signed with.
#[derive(Clone, Debug, Default)]
pub(crate) enum Asker {
    /// They are not configured.
    #[default]
    Unknown,
    /// These credentials.
    Known(Credentials),
    /// Those found in the standard sources of AWS credentials.
    Standard,
}

/// S3 settings are missing or invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3SettingsError {
    /// No credentials were found.
    #[error("no S3 credentials found{}", told(looked))]
    NoCredentials {
        /// The sources that were tried, in this order.
        looked: Vec<Looked>,
    },
    /// A source that should have credentials failed.
    #[error("cannot get S3 credentials from {place}: {why}")]
    CredentialsFailed {
        /// The source, such as `the AWS profile 'work'`.
        place: String,
        /// The cause, in one line.
        why: String,
        /// The kind of failure, for callers that advise users.
        failure: CredentialsFailure,
    },
    /// `AWS_PROFILE` names a profile that does not exist.
    #[error("there is no AWS profile '{name}' in {looked}")]
    UnknownAwsProfile {
        /// The name.
        name: String,
        /// The files that were read.
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
    /// A variable is not valid UTF-8.
    #[error("the environment variable {0} is not valid UTF-8")]
    NotUtf8(&'static str),
    /// A variable has white space around its value, or contains a control character.
    #[error("the value of the environment variable {0} begins or ends with a blank or a line end")]
    Blank(&'static str),
    /// A variable must be a number greater than zero, and is not.
    #[error("{variable} must be {what} greater than zero")]
    Number {
        /// The variable.
        variable: &'static str,
        /// The expected value, such as "a number of seconds".
        what: &'static str,
    },
    /// The file of trusted certificates cannot be read.
    #[error("cannot read the certificates in '{}'", path.display())]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] S3ConfigError),
}

/// The kind of failure of a source of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialsFailure {
    /// The user is not signed in, or the sign-on has expired.
    SignOn,
    /// There is no secure connection to the source: for example, its certificate is not trusted.
    NotSecure,
    /// Any other failure.
    Other,
}

/// A source of credentials that had none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The source, such as `the environment`.
    pub place: String,
    /// The reason why it had none.
    pub why: String,
}

/// Returns the list of sources for the end of a message.
fn told(looked: &[Looked]) -> String {
    let places: Vec<String> = looked.iter().map(|Looked { place, why }| format!("{place} ({why})")).collect();
    if places.is_empty() { String::new() } else { format!("; looked at {}", places.join(", ")) }
}

impl S3Settings {
    /// Returns the settings in the variables of the AWS tools: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`; `AWS_REGION`, else `AWS_DEFAULT_REGION`; `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`;
    /// `AWS_CA_BUNDLE`. An empty variable is treated as not set. If region, endpoint or certificates are not set, they
    /// are read from the files of the AWS tools, such as `~/.aws/config`, in the section of `AWS_PROFILE`, else
    /// `AWS_DEFAULT_PROFILE`.
    ///
    /// If the environment has no keys, the other standard sources are tried when the first location is opened. This
    /// needs the feature `aws`. The sources are the AWS profile (keys, SSO, roles, processes), a web identity, a
    /// container, and the instance's metadata service, with the limits in `AWS_METADATA_SERVICE_TIMEOUT` and
    /// `AWS_METADATA_SERVICE_NUM_ATTEMPTS`. The same applies if the keys in the environment are only for assuming a
    /// role, which means that `AWS_PROFILE` names a profile with `credential_source = Environment`.
    ///
    /// Settings that are created in any other way never read the environment.
    ///
    /// # Errors
    ///
    /// Returns an error if a key is set without its secret or a secret without its key, or if a variable is not UTF-8
    /// or has white space around its value.
    pub fn from_env() -> Result<Self, S3SettingsError> {
        environment::settings(|name| std::env::var_os(name))
    }

    /// Sets the server, such as `http://127.0.0.1:9000`. Default: Amazon's server in the region.
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

    /// Sets the credentials. Temporary credentials need the session token.
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

    /// Sets other credentials: a provider of temporary ones, or [`Credentials::Anonymous`].
    #[must_use]
    pub fn with_credential_provider(mut self, credentials: Credentials) -> Self {
        self.asker = Asker::Known(credentials);
        self
    }

    /// Sets whether requests name the bucket in the host or in the path. Default: in the path if an endpoint is set or
    /// the bucket's name contains a dot, in the host otherwise.
    #[must_use]
    pub fn with_addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = Some(addressing);
        self
    }

    /// Sets a file of certificates in PEM format. HTTPS connections then trust only these. The file is read when the
    /// first location is opened. Default: the certificates that the system trusts.
    #[must_use]
    pub fn with_ca_bundle(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_bundle = Some(path.into());
        self
    }

    /// Returns the configuration of a client.
    ///
    /// # Errors
    ///
    /// Returns an error if the certificates cannot be read.
    pub(crate) fn config(&self, credentials: Credentials) -> Result<S3Config, S3SettingsError> {
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
        if self.has_opaque_etags {
            config = config.with_etags(Etags::Opaque);
        }
        if let Some(pem) = self.root_certificates()? {
            config = config.with_root_certificates(pem);
        }
        Ok(config)
    }

    /// Returns the trusted certificates, if a file is set.
    pub(crate) fn root_certificates(&self) -> Result<Option<Vec<u8>>, S3SettingsError> {
        let Some(path) = &self.ca_bundle else { return Ok(None) };
        crate::small_file::read_small(path)
            .map(Some)
            .map_err(|source| S3SettingsError::CaBundle { path: path.clone(), source })
    }
}
