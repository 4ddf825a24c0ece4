//! The settings of a client, each on its own, and why a configuration is refused.

use std::time::Duration;

use pos3_core::without_userinfo;

/// The minimum transfer rate of a response: `bytes` in a time `within`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlowestAnswer {
    pub(crate) bytes: u64,
    pub(crate) within: Duration,
}

/// How a request names its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// `http://host/bucket/key`: works with every server and every bucket name.
    Path,
    /// `https://bucket.host/key`: the form that Amazon requires.
    VirtualHosted,
}

/// Whether the signature covers the content of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadSigning {
    /// It does not (`UNSIGNED-PAYLOAD`). Hashing would cost more than everything else together.
    #[default]
    Unsigned,
    /// It does. Each byte that is sent is hashed with SHA-256.
    Signed,
}

/// Whether a write with an expectation about its target is sent as a conditional request (`If-None-Match: *`,
/// `If-Match`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// Conditions are sent until the server refuses them, and not afterwards. Some servers silently ignore conditions.
    /// That cannot be detected, so such a server performs writes that it should have refused.
    #[default]
    Auto,
    /// Conditions are always sent. If the server refuses them, the write fails.
    On,
    /// Conditions are never sent. The store reports that it does not support them.
    Off,
}

/// How content is checked for damage between the client and the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksums {
    /// CRC-64/NVME, which the server verifies and stores. If the server refuses or ignores it, MD5 instead. Downloads
    /// are compared with the checksum that the server stores, or with the ETag if that is an MD5.
    #[default]
    Auto,
    /// CRC-64/NVME. If the server refuses it, the write fails.
    Crc64Nvme,
    /// MD5 (`Content-MD5`), which every server verifies, at several times the cost.
    Md5,
    /// Only the length is checked. Uploads are sent without a checksum, and downloads are not compared with one.
    Off,
}

/// Whether ETags that look like digests are digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Etags {
    /// They are, until the store has found objects with correct content and another ETag.
    #[default]
    Auto,
    /// They are not. Content is compared only with the checksums that the server stores.
    Opaque,
}

/// The configuration is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum S3ConfigError {
    /// The endpoint is not a usable URL.
    #[error("'{endpoint}' is not an S3 endpoint: {why}")]
    Endpoint {
        /// The endpoint as given, without its userinfo.
        endpoint: String,
        /// The problem with it.
        why: &'static str,
    },
    /// No bucket can have this name.
    #[error("'{bucket}' is not a bucket name: {why}")]
    Bucket {
        /// The name as given.
        bucket: String,
        /// The problem with it.
        why: &'static str,
    },
    /// The region contains characters that no region has.
    #[error("'{0}' is not a region name")]
    Region(String),
    /// The part size is not allowed.
    #[error("a part of {0} bytes is not allowed: parts have 5 MiB to 5 GiB")]
    PartSize(u64),
    /// A size limit is larger than a single request can transfer.
    #[error("a {name} of {size} bytes is not allowed: the maximum is 5 GiB")]
    TooLarge {
        /// The name of the limit.
        name: &'static str,
        /// Its value in bytes.
        size: u64,
    },
    /// The system's certificates, which HTTPS needs, cannot be read.
    #[error("the system's certificates cannot be read")]
    Certificates(#[source] std::io::Error),
    /// The configured certificates are invalid.
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
