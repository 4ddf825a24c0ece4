//! The standard sources of AWS credentials besides the environment. The AWS SDK queries each one through our transport.
//!
//! The order is: the AWS profile with its keys, SSO session, role (`source_profile`, `credential_source`) or process; a
//! web identity; a container; the instance. This module defines the order instead of the SDK's chain. The SDK continues
//! with the next source if `AWS_PROFILE` or the source of a role names a profile that does not exist. A misspelt name
//! would then use the credentials of the machine, and possibly another user's bucket. Each source is created anew for
//! each load, because the files may have changed.

mod process;

use std::error::Error;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::{self, ProfileFileCredentialsProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::retries::classifiers::SharedRetryClassifier;
use aws_smithy_types::error::ErrorMetadata;
use pos3_s3::AwsCredential;
use tokio::time::timeout;

use super::transport::{Transport, is_not_secure};
use super::{Loaded, Missing, Source};
use crate::s3::settings::{CredentialsFailure, Looked, Metadata, S3Settings, S3SettingsError};
use crate::s3::shared_config::processes::replace_processes;
use crate::s3::shared_config::{AwsProfile, FileKind};

/// The region of the token service if none is configured.
const REGION: &str = "us-east-1";

/// The time limit for one source.
const DEADLINE: Duration = Duration::from_secs(60);

/// The time limit for the profile. A process in it has a time limit of its own, whose error names the process.
const DEADLINE_OF_PROFILE: Duration = Duration::from_secs(90);

/// The difference between two clocks that is tolerated in the expiry of credentials. Amazon tolerates the same in
/// signatures.
const CLOCKS: Duration = Duration::from_secs(15 * 60);

const WEB_TOKEN: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const ROLE: &str = "AWS_ROLE_ARN";
const CONTAINER: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const CONTAINER_RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const CONTAINER_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// The maximum length of a reported cause, in characters. A process may write any amount of text before it fails.
const LONGEST_CAUSE: usize = 400;

/// Messages of the SDK about its own layers, which do not help users.
const LAYERS: [&str; 8] = [
    "an error occurred while loading credentials",
    "the credential provider was not enabled",
    "dispatch failure",
    "io error",
    "timeout",
    "other",
    "client error (Connect)",
    "service error",
];

/// The sources and how to reach them.
pub(crate) struct Chain {
    /// The source of the last credentials.
    found: Mutex<Option<Place>>,
    http: SharedHttpClient,
    region: Region,
    profile: AwsProfile,
    metadata: Metadata,
}

/// The value of `credential_source` that selects the instance's metadata service.
const INSTANCE: &str = "Ec2InstanceMetadata";

/// A source of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Profile,
    WebIdentity,
    Container,
    Instance,
}

impl Chain {
    pub(super) fn new(settings: &S3Settings) -> Result<Self, S3SettingsError> {
        let region = settings.region.clone().unwrap_or_else(|| REGION.to_owned());
        Ok(Self {
            http: SharedHttpClient::new(Transport::new(settings.root_certificates()?)),
            region: Region::new(region),
            profile: settings.aws_profile.clone(),
            found: Mutex::default(),
            metadata: settings.metadata,
        })
    }

    fn provider(&self, place: Place) -> Result<SharedCredentialsProvider, Missing> {
        let config =
            ProviderConfig::without_region().with_http_client(self.http.clone()).with_region(Some(self.region.clone()));
        Ok(match place {
            Place::Profile => {
                let provider = self.profile_provider()?.with_custom_provider(INSTANCE, self.instance(&config));
                SharedCredentialsProvider::new(provider.configure(&config).build())
            }
            Place::WebIdentity => SharedCredentialsProvider::new(
                WebIdentityTokenCredentialsProvider::builder().configure(&config).build(),
            ),
            Place::Container => {
                SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(&config).build())
            }
            Place::Instance => SharedCredentialsProvider::new(self.instance(&config)),
        })
    }

    /// Returns the instance's metadata service, with the timeout and the number of attempts in the settings.
    fn instance(&self, config: &ProviderConfig) -> ImdsCredentialsProvider {
        let Metadata { timeout, attempts } = self.metadata;
        let mut client = imds::Client::builder().configure(config);
        if let Some(timeout) = timeout {
            client = client.connect_timeout(timeout).read_timeout(timeout);
            client = client.operation_attempt_timeout(timeout).operation_timeout(DEADLINE);
        }
        if let Some(attempts) = attempts {
            // By default, the SDK does not repeat an attempt if the connection times out.
            let again = imds::client::ImdsResponseRetryClassifier::default().with_retry_connect_timeouts(attempts > 1);
            client = client.max_attempts(attempts).retry_classifier(SharedRetryClassifier::new(again));
        }
        ImdsCredentialsProvider::builder().configure(config).imds_client(client.build()).build()
    }

    /// Returns the AWS profile, read from exactly the files that pos3 reports, as pos3 parses them. A file that exists
    /// but cannot be read, and a profile that the SDK would not find, are errors: pos3 must not fall back to another
    /// source then.
    fn profile_provider(&self) -> Result<profile::credentials::Builder, Missing> {
        let failed = |why| self.failed(Place::Profile, why, CredentialsFailure::Other);
        // The SDK needs at least one file.
        let mut files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, "");
        let mut texts = Vec::new();
        for (kind, path) in self.profile.files() {
            let text = match crate::small_file::read_small_text(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(format!("'{}' cannot be read: {error}", path.display()))),
            };
            if let Some((line, key)) = self.profile.empty_key(kind, &text) {
                return Err(failed(format!("'{}': {key} in line {line} has no value", path.display())));
            }
            let text = kind.canonical(&text).map_err(|why| failed(format!("'{}': {why}", path.display())))?;
            texts.push((kind, text));
        }
        let processes = replace_processes(&mut texts);
        for (kind, text) in texts {
            let kind = match kind {
                FileKind::Config => EnvConfigFileKind::Config,
                FileKind::Credentials => EnvConfigFileKind::Credentials,
            };
            files = files.with_contents(kind, text);
        }
        let name = self.profile.name();
        if self.profile.is_missing() {
            return Err(Missing::NoProfile { name: name.to_owned(), looked: self.profile.places() });
        }
        if let Some(why) = self.profile.unusable_name() {
            return Err(failed(why.to_owned()));
        }
        let builder = ProfileFileCredentialsProvider::builder().profile_name(name).profile_files(files.build());
        Ok(processes.into_iter().fold(builder, |builder, process| {
            let source = process.source.clone();
            builder.with_custom_provider(source, process)
        }))
    }

    /// Asks one source. The result is credentials, the reason why the source has none, or an error because it should
    /// have some and failed.
    async fn ask(&self, place: Place) -> Result<Result<Credentials, Looked>, Missing> {
        let failed = |why, failure| self.failed(place, why, failure);
        let provider = self.provider(place)?;
        let deadline = match place {
            Place::Profile => DEADLINE_OF_PROFILE,
            Place::WebIdentity | Place::Container | Place::Instance => DEADLINE,
        };
        let error = match timeout(deadline, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => match expired(credentials.expiry(), SystemTime::now()) {
                Some(why) => return Err(failed(why, CredentialsFailure::Other)),
                None => return Ok(Ok(credentials)),
            },
            Ok(Err(error)) => error,
            Err(_) => {
                let why = format!("no response for {} seconds", deadline.as_secs());
                return Err(failed(why, CredentialsFailure::Other));
            }
        };
        let why = match (place, &error) {
            (Place::Profile, CredentialsError::CredentialsNotLoaded(_)) if error.source().is_none() => {
                match self.profile.credential_setting() {
                    None => format!("nothing for it in {}", self.profile.places()),
                    // A role or a process that is configured must not be replaced by another source.
                    Some(key) => {
                        let why = format!("there are no keys for its setting '{key}'");
                        return Err(failed(why, CredentialsFailure::Other));
                    }
                }
            }
            (Place::WebIdentity, CredentialsError::CredentialsNotLoaded(_)) if !causes(&error).contains(ROLE) => {
                format!("{WEB_TOKEN} is not set")
            }
            (Place::Container, CredentialsError::CredentialsNotLoaded(_)) => {
                format!("neither {CONTAINER} nor {CONTAINER_RELATIVE} is set")
            }
            // It is unknown whether this machine is an instance that should have credentials.
            (Place::Instance, _) => causes(&error),
            _ => return Err(failed(self.failure(place, &error), kind(&error))),
        };
        Ok(Err(Looked { place: self.name(place), why }))
    }

    fn failed(&self, place: Place, why: String, failure: CredentialsFailure) -> Missing {
        Missing::Failed { place: self.whole_name(place), why, failure }
    }

    fn name(&self, place: Place) -> String {
        match place {
            Place::Profile => format!("the AWS profile '{}'", self.profile.name()),
            Place::WebIdentity => "a web identity".to_owned(),
            Place::Container => "a container".to_owned(),
            Place::Instance => "the instance's metadata".to_owned(),
        }
    }

    /// Returns the name of a source and the setting that selected it.
    fn whole_name(&self, place: Place) -> String {
        let name = self.name(place);
        match place {
            Place::Profile => format!("{name} ({})", self.profile.places()),
            Place::WebIdentity => format!("{name} ({WEB_TOKEN})"),
            Place::Container => format!("{name} ({CONTAINER} or {CONTAINER_RELATIVE})"),
            Place::Instance => name,
        }
    }

    /// Returns the cause of a failure. The SDK does not report which file it could not read, so the file is added here.
    fn failure(&self, place: Place, error: &CredentialsError) -> String {
        let why = causes(error);
        if !error.source().is_some_and(<dyn Error>::is::<io::Error>) {
            return why;
        }
        match place {
            Place::WebIdentity => format!("the file cannot be read: {why}"),
            Place::Container => format!("the file of {CONTAINER_TOKEN} cannot be read: {why}"),
            Place::Profile | Place::Instance => format!("a file cannot be read: {why}"),
        }
    }
}

fn kind(error: &CredentialsError) -> CredentialsFailure {
    if is_not_secure(error) {
        CredentialsFailure::NotSecure
    // The types of the SDK's errors about sign-ons are private, so only their text distinguishes them.
    } else if causes(error).contains("SSO") {
        CredentialsFailure::SignOn
    } else {
        CredentialsFailure::Other
    }
}

#[async_trait]
impl Source for Chain {
    async fn load(&self) -> Result<Loaded, Missing> {
        // If the environment had keys for requests, the chain would not be used.
        let environment = "AWS_ACCESS_KEY_ID is not set".to_owned();
        let mut looked = vec![Looked { place: "the environment".to_owned(), why: environment }];
        for place in [Place::Profile, Place::WebIdentity, Place::Container, Place::Instance] {
            match self.ask(place).await? {
                Ok(credentials) => {
                    *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
                    return Ok(credentials.into());
                }
                Err(nothing) => looked.push(nothing),
            }
        }
        Err(Missing::Nowhere(looked))
    }

    fn place(&self) -> Option<String> {
        let found = *self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.map(|place| self.whole_name(place))
    }
}

impl From<Credentials> for Loaded {
    fn from(credentials: Credentials) -> Self {
        let credential = AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        };
        Self { credential, end: credentials.expiry() }
    }
}

/// Returns a message if credentials expired long ago. The server would refuse them without a word about their source.
fn expired(end: Option<SystemTime>, now: SystemTime) -> Option<String> {
    let since = now.duration_since(end?).ok().filter(|since| *since > CLOCKS)?;
    let minutes = since.as_secs() / 60;
    Some(format!("it returned credentials that expired {minutes} minutes ago by the clock of this computer"))
}

/// Returns the causes below the SDK's own error, in one line.
fn causes(error: &CredentialsError) -> String {
    let mut told: Vec<String> = std::iter::successors(error.source(), |&cause| cause.source())
        .map(|cause| told(cause).split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|cause| !LAYERS.contains(&cause.as_str()) && !cause.starts_with("unhandled error"))
        .collect();
    told.dedup();
    if told.is_empty() {
        return error.to_string();
    }
    let told = told.join(": ");
    match told.char_indices().nth(LONGEST_CAUSE) {
        Some((end, _)) => format!("{}…", &told[..end]),
        None => told,
    }
}

/// Returns the text of one cause. A response of a service has a code and a message.
fn told(cause: &(dyn Error + 'static)) -> String {
    match cause.downcast_ref::<ErrorMetadata>() {
        Some(answer) => {
            let words: Vec<&str> = [answer.code(), answer.message()].into_iter().flatten().collect();
            words.join(": ")
        }
        None => cause.to_string().trim_start_matches("HTTP error: ").to_owned(),
    }
}

#[cfg(test)]
mod tests;
