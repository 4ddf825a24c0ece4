//! The configuration of a client. It is checked before the first request.
//!
//! Without the check, a wrong endpoint or bucket name would only show as a confusing response of some server. This
//! module does not read the environment; the embedding program decides where settings come from.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::client::HttpClient;
use object_store::{CredentialProvider, StaticCredentialProvider, aws::AwsCredential};
use pos3_core::Url;

use super::limit::RequestLimit;
use crate::settings::{Addressing, Checksums, ConditionalWrites, Etags, PayloadSigning, S3ConfigError, SlowestAnswer};
use crate::uri::Endpoint;

/// The smallest part that S3 accepts, in bytes. The last part may be smaller.
const SMALLEST_PART: u64 = 5 << 20;

/// The largest part that S3 accepts, in bytes. It is also the largest object for one PutObject or CopyObject request.
pub(crate) const LARGEST_PART: u64 = 5 << 30;

/// The server and how to send requests to it. Create it with [`S3Config::new`] and the `with_` methods.
#[derive(Clone, Debug)]
pub struct S3Config {
    pub(crate) region: String,
    pub(crate) endpoint: Option<Url>,
    pub(crate) addressing: Option<Addressing>,
    pub(crate) credentials: Credentials,
    pub(crate) payload_signing: PayloadSigning,
    pub(crate) conditional_writes: ConditionalWrites,
    pub(crate) checksums: Checksums,
    pub(crate) etags: Etags,
    pub(crate) warnings: Warnings,
    pub(crate) part_size: u64,
    pub(crate) multipart_threshold: u64,
    pub(crate) copy_limit: u64,
    pub(crate) list_page: Option<u16>,
    pub(crate) request_limit: Option<RequestLimit>,
    pub(crate) fan_out: usize,
    pub(crate) attempts: u32,
    pub(crate) longest_pause: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) slowest_answer: SlowestAnswer,
    pub(crate) root_certificates: Option<Bytes>,
    pub(crate) http: Option<HttpClient>,
}

type Tell = dyn Fn(&str) + Send + Sync;

/// The function that receives warnings for the user.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Option<Arc<Tell>>);

impl Warnings {
    pub(crate) fn tell(&self, warning: &str) {
        match &self.0 {
            Some(tell) => tell(warning),
            None => tracing::warn!("{warning}"),
        }
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Warnings(..)" } else { "Warnings" })
    }
}

/// The credentials that requests are signed with.
#[derive(Clone, Default)]
pub enum Credentials {
    /// None. Requests are not signed, which is enough for public buckets.
    #[default]
    Anonymous,
    /// Those of a provider, which is asked before each attempt. A provider of temporary credentials must cache them.
    Provider(Arc<dyn CredentialProvider<Credential = AwsCredential>>),
    /// The same, with a provider that can be asked to renew the credentials when a server reports that they have
    /// expired.
    Renewable(Arc<dyn RenewableCredentials>),
}

/// A provider that can be asked for new credentials before the current ones are known to expire.
#[async_trait]
pub trait RenewableCredentials: CredentialProvider<Credential = AwsCredential> {
    /// Called when a server has rejected as expired the credentials that a request was signed with at `signed`. Returns
    /// true if there are different credentials now; the request is then sent once more.
    async fn renew(&self, signed: Instant) -> bool;

    /// Returns the source of the credentials, such as `the AWS profile 'work'`, if it is known.
    fn place(&self) -> Option<String>;
}

impl Credentials {
    /// Returns credentials that do not change. Temporary credentials need the session token.
    pub fn fixed(key_id: impl Into<String>, secret_key: impl Into<String>, token: Option<String>) -> Self {
        let credential = AwsCredential { key_id: key_id.into(), secret_key: secret_key.into(), token };
        Self::Provider(Arc::new(StaticCredentialProvider::new(credential)))
    }
}

impl Credentials {
    /// Returns the credentials to sign a request with, or `None` if it is not signed.
    pub(crate) async fn current(&self) -> object_store::Result<Option<Arc<AwsCredential>>> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Provider(provider) => provider.get_credential().await.map(Some),
            Self::Renewable(provider) => provider.get_credential().await.map(Some),
        }
    }

    /// Returns true if there are different credentials now than those that a request was signed with at `signed`.
    pub(crate) async fn renew(&self, signed: Instant) -> bool {
        match self {
            Self::Anonymous | Self::Provider(_) => false,
            Self::Renewable(provider) => provider.renew(signed).await,
        }
    }

    /// Returns the source of the credentials, if it is known.
    pub(crate) fn place(&self) -> Option<String> {
        match self {
            Self::Anonymous | Self::Provider(_) => None,
            Self::Renewable(provider) => provider.place(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Provider(_) => "Provider(..)",
            Self::Renewable(_) => "Renewable(..)",
        })
    }
}

impl S3Config {
    /// Returns a configuration for Amazon's S3 in `us-east-1`, without credentials.
    pub fn new() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            endpoint: None,
            addressing: None,
            credentials: Credentials::Anonymous,
            payload_signing: PayloadSigning::default(),
            conditional_writes: ConditionalWrites::default(),
            checksums: Checksums::default(),
            etags: Etags::default(),
            warnings: Warnings::default(),
            part_size: 8 << 20,
            multipart_threshold: 16 << 20,
            copy_limit: LARGEST_PART,
            list_page: None,
            request_limit: None,
            fan_out: 16,
            attempts: super::retry::USUAL,
            longest_pause: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            slowest_answer: SlowestAnswer { bytes: 4 << 10, within: Duration::from_secs(60) },
            root_certificates: None,
            http: None,
        }
    }

    /// Sets the region in signatures. Default: `us-east-1`.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Sets the server, such as `http://127.0.0.1:9000`. Default: Amazon's server in the region.
    #[must_use]
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(Url::from(url.into()));
        self
    }

    /// Sets how requests name buckets. Default: by path if an endpoint is set or the bucket's name contains a dot,
    /// virtual-hosted otherwise.
    #[must_use]
    pub fn with_addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = Some(addressing);
        self
    }

    /// Sets the credentials. Default: [`Credentials::Anonymous`].
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Sets whether signatures cover content. Default: [`PayloadSigning::Unsigned`].
    #[must_use]
    pub fn with_payload_signing(mut self, signing: PayloadSigning) -> Self {
        self.payload_signing = signing;
        self
    }

    /// Sets whether conditional writes are used. Default: [`ConditionalWrites::Auto`].
    #[must_use]
    pub fn with_conditional_writes(mut self, writes: ConditionalWrites) -> Self {
        self.conditional_writes = writes;
        self
    }

    /// Sets how content is checked for damage. Default: [`Checksums::Auto`].
    #[must_use]
    pub fn with_checksums(mut self, checksums: Checksums) -> Self {
        self.checksums = checksums;
        self
    }

    /// Sets whether ETags that look like digests are digests. Default: [`Etags::Auto`].
    #[must_use]
    pub fn with_etags(mut self, etags: Etags) -> Self {
        self.etags = etags;
        self
    }

    /// Sets the function that receives warnings about the server or this machine, such as a missing capability. Each
    /// warning is passed once, as one line. Default: warnings are logged with `tracing`.
    #[must_use]
    pub fn with_warnings(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warnings = Warnings(Some(Arc::new(tell)));
        self
    }

    /// Sets the size of a part in bytes, from 5 MiB to 5 GiB. If an object would have more than 10,000 parts, larger
    /// parts are used. Default: 8 MiB.
    #[must_use]
    pub fn with_part_size(mut self, bytes: u64) -> Self {
        self.part_size = bytes;
        self
    }

    /// Sets the size in bytes above which an object is uploaded in parts, at most 5 GiB. Default: 16 MiB.
    #[must_use]
    pub fn with_multipart_threshold(mut self, bytes: u64) -> Self {
        self.multipart_threshold = bytes;
        self
    }

    /// Sets the size in bytes above which an object is copied in parts, at most 5 GiB, which is the default.
    #[must_use]
    pub fn with_copy_limit(mut self, bytes: u64) -> Self {
        self.copy_limit = bytes;
        self
    }

    /// Sets the number of keys per page of a listing. Default: the server's own, usually 1000, which is also the
    /// maximum.
    #[must_use]
    pub fn with_list_page(mut self, keys: u16) -> Self {
        self.list_page = Some(keys.max(1));
        self
    }

    /// Sets the limit of the requests in flight. Several clients of one server should share one limit. Default: a limit
    /// of its own, with the maximum of a default [`Budget`](pos3_core::Budget).
    #[must_use]
    pub fn with_request_limit(mut self, limit: RequestLimit) -> Self {
        self.request_limit = Some(limit);
        self
    }

    /// Sets how many requests one call for many keys has in flight: deletes, lookups before deletes, and aborts; at least
    /// one. Default: 16.
    #[must_use]
    pub fn with_fan_out(mut self, requests: usize) -> Self {
        self.fan_out = requests.max(1);
        self
    }

    /// Sets the maximum number of attempts for a request, including the first one. The minimum is 1. Default: 8. If it is
    /// not less, a server that has answered before and now refuses or cuts connections gets more, for about half a minute.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the longest pause between two attempts. Default: 20 s.
    #[must_use]
    pub fn with_longest_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause;
        self
    }

    /// Sets the time limit for making a connection. Default: 10 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a request may make no progress before it is cancelled and retried. Default: 60 s.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the minimum transfer rate of a response: `bytes` in a time `within`, measured while the client waits for
    /// data. A slower request is retried. 0 bytes disables the limit. Default: 4 KiB in a minute.
    #[must_use]
    pub fn with_slowest_answer(mut self, bytes: u64, within: Duration) -> Self {
        self.slowest_answer = SlowestAnswer { bytes, within };
        self
    }

    /// Sets the certificates, as PEM text, that HTTPS connections trust instead of those of the system.
    ///
    /// It has no effect on a transport set with [`with_http_client`](Self::with_http_client).
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Bytes>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Sets the transport: any `HttpService`, including those that an `HttpConnector` of `object_store` creates.
    ///
    /// The transport must send the request target unchanged, without normalising the path. It should have its own time
    /// limits, because [`with_connect_timeout`](Self::with_connect_timeout) does not apply to it.
    #[must_use]
    pub fn with_http_client(mut self, client: HttpClient) -> Self {
        self.http = Some(client);
        self
    }

    /// Checks the configuration and returns the endpoint.
    pub(crate) fn check(&self) -> Result<Endpoint, S3ConfigError> {
        if self.region.is_empty() || !self.region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(S3ConfigError::Region(self.region.clone()));
        }
        if !(SMALLEST_PART..=LARGEST_PART).contains(&self.part_size) {
            return Err(S3ConfigError::PartSize(self.part_size));
        }
        for (name, size) in [("multipart threshold", self.multipart_threshold), ("copy limit", self.copy_limit)] {
            if size > LARGEST_PART {
                return Err(S3ConfigError::TooLarge { name, size });
            }
        }
        match &self.endpoint {
            Some(url) => Endpoint::parse(url.as_str()),
            None => Endpoint::aws(&self.region),
        }
    }

    /// Returns how `bucket` is addressed. A name with a dot does not match the certificate of a virtual host.
    pub(crate) fn addressing_of(&self, bucket: &str) -> Addressing {
        self.addressing.unwrap_or(if self.endpoint.is_some() || bucket.contains('.') {
            Addressing::Path
        } else {
            Addressing::VirtualHosted
        })
    }

    /// Checks a bucket's name. Amazon's rules apply to Amazon; elsewhere, the name must be a single safe path segment.
    pub(crate) fn check_bucket(&self, bucket: &str) -> Result<(), S3ConfigError> {
        let refuse = |why| Err(S3ConfigError::bucket(bucket, why));
        if bucket.starts_with("arn:") {
            return refuse("access points are not supported, only bucket names");
        }
        if self.endpoint.is_some() {
            let plain = bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            return match bucket.len() {
                0 => refuse("it is empty"),
                1..=255 if plain && bucket != "." && bucket != ".." => Ok(()),
                _ => refuse("it must contain only letters, digits, '-', '.' and '_'"),
            };
        }
        if !(3..=63).contains(&bucket.len()) {
            return refuse("it must have 3 to 63 characters");
        }
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !bucket.bytes().all(|byte| lower(byte) || byte == b'-' || byte == b'.') {
            return refuse("it must contain only lower-case letters, digits, '-' and '.'");
        }
        if !bucket.bytes().next().is_some_and(lower) || !bucket.bytes().last().is_some_and(lower) {
            return refuse("it must start and end with a letter or digit");
        }
        if bucket.contains("..") { refuse("it must not have two dots in a row") } else { Ok(()) }
    }
}

impl Default for S3Config {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_are_checked_by_the_rules_of_the_place() {
        let aws = S3Config::new();
        let other = S3Config::new().with_endpoint("http://h");
        for (name, on_aws, elsewhere) in [
            ("my-bucket.1", true, true),
            ("My_Bucket", false, true),
            ("ab", false, true),
            ("-ab", false, true),
            ("a..b", false, true),
            ("", false, false),
            ("..", false, false),
            ("a/b", false, false),
            ("a b", false, false),
            ("arn:aws:s3:x", false, false),
        ] {
            assert_eq!(aws.check_bucket(name).is_ok(), on_aws, "{name}");
            assert_eq!(other.check_bucket(name).is_ok(), elsewhere, "{name}");
        }
    }

    #[test]
    fn sizes_and_regions_are_checked() {
        assert!(S3Config::new().with_region("eu west").check().is_err());
        assert!(S3Config::new().with_part_size(1 << 20).check().is_err());
        assert!(S3Config::new().with_multipart_threshold(6 << 30).check().is_err());
        assert!(S3Config::new().with_copy_limit(6 << 30).check().is_err());
        assert_eq!(S3Config::new().check().unwrap().to_string(), "https://s3.us-east-1.amazonaws.com");
    }

    #[test]
    fn a_dotted_bucket_is_addressed_by_path_on_aws() {
        assert_eq!(S3Config::new().addressing_of("a.b"), Addressing::Path);
        assert_eq!(S3Config::new().addressing_of("ab"), Addressing::VirtualHosted);
        assert_eq!(S3Config::new().with_endpoint("http://h").addressing_of("ab"), Addressing::Path);
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = S3Config::new().with_credentials(Credentials::fixed("id", "hush", Some("token".into())));
        let config = config.with_endpoint("http://user:hush@h:9000");
        let shown = format!("{config:?}");
        assert!(!shown.contains("hush") && !shown.contains("token\""), "{shown}");
        let refused = config.check().unwrap_err().to_string();
        assert_eq!(refused, "'http://***@h:9000' is not an S3 endpoint: credentials do not belong in it");
    }
}
