//! What a client needs to know, checked before the first request.
//!
//! A wrong endpoint or bucket name would otherwise show up as a confusing answer of some server. Nothing here reads the
//! environment: whoever embeds this crate decides where settings come from.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::client::HttpClient;
use object_store::{CredentialProvider, StaticCredentialProvider, aws::AwsCredential};
use pos3_core::{Url, without_userinfo};

use super::uri::Endpoint;

/// The smallest part S3 takes, except for the last one.
const SMALLEST_PART: u64 = 5 << 20;

/// The largest part, and the largest object in one PUT or CopyObject request, that S3 takes.
pub(crate) const LARGEST_PART: u64 = 5 << 30;

/// Where requests are sent and how. Made with [`S3Config::new`] and the `with_` methods.
#[derive(Clone, Debug)]
pub struct S3Config {
    pub(crate) region: String,
    pub(crate) endpoint: Option<Url>,
    pub(crate) addressing: Option<Addressing>,
    pub(crate) credentials: Credentials,
    pub(crate) payload_signing: PayloadSigning,
    pub(crate) conditional_writes: ConditionalWrites,
    pub(crate) checksums: Checksums,
    pub(crate) warnings: Warnings,
    pub(crate) part_size: u64,
    pub(crate) multipart_threshold: u64,
    pub(crate) copy_limit: u64,
    pub(crate) list_page: Option<u16>,
    pub(crate) attempts: u32,
    pub(crate) longest_pause: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) slowest_answer: SlowestAnswer,
    pub(crate) root_certificates: Option<Bytes>,
    pub(crate) http: Option<HttpClient>,
}

/// The least that must come of an answer in some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlowestAnswer {
    pub(crate) bytes: u64,
    pub(crate) within: Duration,
}

/// How a bucket is named in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// `http://host/bucket/key`: works with every server and every bucket name.
    Path,
    /// `https://bucket.host/key`: what Amazon asks for.
    VirtualHosted,
}

/// Whether the signature covers the content of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadSigning {
    /// It does not (`UNSIGNED-PAYLOAD`): hashing would cost more than everything else together.
    #[default]
    Unsigned,
    /// It does, at the price of a SHA-256 over every byte sent.
    Signed,
}

/// Whether writes that expect something of the target are sent as conditional requests (`If-None-Match: *`, `If-Match`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// They are, until the server turns out to refuse them; then they are not. Some servers ignore conditions without a
    /// word, which cannot be noticed: there a write that should not have happened happens.
    #[default]
    Auto,
    /// They are, and a server that refuses them fails the write.
    On,
    /// They are not; the store says it cannot.
    Off,
}

/// What protects content on its way to the server and back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksums {
    /// CRC-64/NVME, which the server checks and keeps; where it turns out to refuse or ignore that, MD5. What is read is
    /// compared with the checksum that the server keeps, or with the MD5 that the ETag is.
    #[default]
    Auto,
    /// CRC-64/NVME, and a server that refuses it fails the write.
    Crc64Nvme,
    /// MD5 (`Content-MD5`), which every server checks, at several times the cost.
    Md5,
    /// Nothing but the length: neither is anything sent, nor is compared what is read.
    Off,
}

type Tell = dyn Fn(&str) + Send + Sync;

/// Who is told what a person may want to know.
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

/// Who sends the requests.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody: requests are not signed, which is enough for public buckets.
    #[default]
    Anonymous,
    /// Whoever the provider names, asked before each attempt; a provider of temporary credentials must cache them.
    Provider(Arc<dyn CredentialProvider<Credential = AwsCredential>>),
    /// The same, by a provider that can be asked for others when a server says that these have expired.
    Renewable(Arc<dyn RenewableCredentials>),
}

/// Credentials whose source can be asked again before they end.
#[async_trait]
pub trait RenewableCredentials: CredentialProvider<Credential = AwsCredential> {
    /// Returns true if there are other credentials now than those that a request was signed with at `signed`, and that
    /// the server refused as expired. The request is then sent once more.
    async fn renew(&self, signed: Instant) -> bool;

    /// Returns where the credentials came from, such as `the AWS profile 'work'`, if that is known.
    fn place(&self) -> Option<String>;
}

impl Credentials {
    /// Returns credentials that do not change; the token is for temporary ones.
    pub fn fixed(key_id: impl Into<String>, secret_key: impl Into<String>, token: Option<String>) -> Self {
        let credential = AwsCredential { key_id: key_id.into(), secret_key: secret_key.into(), token };
        Self::Provider(Arc::new(StaticCredentialProvider::new(credential)))
    }
}

impl Credentials {
    /// Returns what a request is signed with; nothing where it is not signed.
    pub(crate) async fn current(&self) -> object_store::Result<Option<Arc<AwsCredential>>> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Provider(provider) => provider.get_credential().await.map(Some),
            Self::Renewable(provider) => provider.get_credential().await.map(Some),
        }
    }

    /// Returns true if there are others now than those that a request was signed with at `signed`.
    pub(crate) async fn renew(&self, signed: Instant) -> bool {
        match self {
            Self::Anonymous | Self::Provider(_) => false,
            Self::Renewable(provider) => provider.renew(signed).await,
        }
    }

    /// Returns where they came from, if that is known.
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
            warnings: Warnings::default(),
            part_size: 8 << 20,
            multipart_threshold: 16 << 20,
            copy_limit: LARGEST_PART,
            list_page: None,
            attempts: 8,
            longest_pause: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            slowest_answer: SlowestAnswer { bytes: 4 << 10, within: Duration::from_secs(60) },
            root_certificates: None,
            http: None,
        }
    }

    /// Sets the region that signatures name. Default: `us-east-1`.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Sets the server, such as `http://127.0.0.1:9000`. Default: Amazon's in the region.
    #[must_use]
    pub fn with_endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(Url::from(url.into()));
        self
    }

    /// Sets how buckets are named. Default: by path where an endpoint is given, virtual-hosted otherwise.
    #[must_use]
    pub fn with_addressing(mut self, addressing: Addressing) -> Self {
        self.addressing = Some(addressing);
        self
    }

    /// Sets who sends the requests. Default: [`Credentials::Anonymous`].
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

    /// Sets what protects content on its way. Default: [`Checksums::Auto`].
    #[must_use]
    pub fn with_checksums(mut self, checksums: Checksums) -> Self {
        self.checksums = checksums;
        self
    }

    /// Sets who is told, once each and in one line, what the server or this machine turns out to lack. Default: a warning
    /// of `tracing`.
    #[must_use]
    pub fn with_warnings(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warnings = Warnings(Some(Arc::new(tell)));
        self
    }

    /// Sets the size of a part in bytes, from 5 MiB to 5 GiB. Parts grow where an object would have more than 10,000.
    /// Default: 8 MiB.
    #[must_use]
    pub fn with_part_size(mut self, bytes: u64) -> Self {
        self.part_size = bytes;
        self
    }

    /// Sets the size in bytes above which an object is sent in parts, at most 5 GiB. Default: 16 MiB.
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

    /// Sets how many keys one page of a listing asks for. Default: the server's, usually 1000, which is also its most.
    #[must_use]
    pub fn with_list_page(mut self, keys: u16) -> Self {
        self.list_page = Some(keys.max(1));
        self
    }

    /// Sets how often a request is tried altogether, at least once. Default: 8.
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

    /// Sets how long making a connection may take. Default: 10 s.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a request may go without any progress before it is given up and tried again. Default: 60 s.
    #[must_use]
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets how many bytes of an answer must come `within` some time while the client waits for them; a request that gets less
    /// is tried again. 0 bytes sets no limit. Default: 4 KiB a minute.
    #[must_use]
    pub fn with_slowest_answer(mut self, bytes: u64, within: Duration) -> Self {
        self.slowest_answer = SlowestAnswer { bytes, within };
        self
    }

    /// Sets whom https trusts: the certificates of this PEM text, and nobody else. Default: whom the system trusts.
    ///
    /// It does not reach a transport set with [`with_http_client`](Self::with_http_client).
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Bytes>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Sets the transport: anything that implements `HttpService`, or what an `HttpConnector` of `object_store` makes.
    ///
    /// It must send the request target as it is, without tidying the path, and should have its own time limits:
    /// [`with_connect_timeout`](Self::with_connect_timeout) does not reach it.
    #[must_use]
    pub fn with_http_client(mut self, client: HttpClient) -> Self {
        self.http = Some(client);
        self
    }

    /// Returns the server, after checking everything else as well.
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

    /// Returns how `bucket` is addressed: a dot in its name does not fit the certificate of a virtual host.
    pub(crate) fn addressing_of(&self, bucket: &str) -> Addressing {
        self.addressing.unwrap_or(if self.endpoint.is_some() || bucket.contains('.') {
            Addressing::Path
        } else {
            Addressing::VirtualHosted
        })
    }

    /// Checks a bucket's name: by Amazon's rules there, and elsewhere that it is one harmless path segment.
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
                _ => refuse("it may have letters, digits, '-', '.' and '_' only"),
            };
        }
        if !(3..=63).contains(&bucket.len()) {
            return refuse("it must have 3 to 63 characters");
        }
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !bucket.bytes().all(|byte| lower(byte) || byte == b'-' || byte == b'.') {
            return refuse("it may have lower-case letters, digits, '-' and '.' only");
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

/// A configuration that cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3ConfigError {
    /// The endpoint is no usable URL.
    #[error("'{endpoint}' is not an S3 endpoint: {why}")]
    Endpoint {
        /// The endpoint as given, without its userinfo.
        endpoint: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The bucket cannot have this name.
    #[error("'{bucket}' is not a bucket name: {why}")]
    Bucket {
        /// The name as given.
        bucket: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The region has characters no region has.
    #[error("'{0}' is not a region name")]
    Region(String),
    /// Parts of this size are not allowed.
    #[error("a part of {0} bytes is not possible: 5 MiB to 5 GiB are")]
    PartSize(u64),
    /// A limit is above what one request can carry.
    #[error("a {name} of {size} bytes is not possible: 5 GiB is the most")]
    TooLarge {
        /// Which limit.
        name: &'static str,
        /// Its value in bytes.
        size: u64,
    },
    /// The system's certificates, which https needs, cannot be read.
    #[error("the system's certificates cannot be read")]
    Certificates(#[source] std::io::Error),
    /// The certificates that https is to trust are none.
    #[error("the certificates to trust cannot be used: {0}")]
    RootCertificates(String),
}

impl S3ConfigError {
    pub(crate) fn endpoint(endpoint: &str, why: &'static str) -> Self {
        Self::Endpoint { endpoint: without_userinfo(endpoint).into_owned(), why }
    }

    pub(crate) fn bucket(bucket: &str, why: &'static str) -> Self {
        Self::Bucket { bucket: bucket.to_owned(), why }
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
