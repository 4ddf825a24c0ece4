//! What a listing says about one key.
//!
//! `list` and `head` speak the same noun, so no code asks a store twice for what it was already told.

mod text;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::text::is_deceptive;

pub use text::TextError;

/// A key and the facts its store knows without reading content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The exact name.
    pub key: Key,
    /// What stands at the key.
    pub kind: Kind,
    /// Content length in bytes.
    pub size: u64,
    /// When the content last changed, by the store's clock and in its precision.
    pub modified: Option<SystemTime>,
    /// The store's token for this exact content.
    pub fingerprint: Option<Fingerprint>,
    /// A digest of the content, where the store knows one.
    pub digest: Option<Digest>,
    /// A checksum of the whole content that the store keeps; listings do not tell it, `head` and `get` may.
    pub checksum: Option<Checksum>,
    /// Whether the content can be read at once.
    pub availability: Availability,
}

/// Whether content can be read at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// It can, as far as is known.
    #[default]
    Ready,
    /// It was moved to an archive and has to be restored first. Size and digest are known all the same.
    Archived,
}

impl Entry {
    /// Returns the entry of an object or file of `size` bytes.
    pub fn file(key: impl Into<Key>, size: u64) -> Self {
        Self::of(key, Kind::File, size)
    }

    /// Returns the entry of a directory; its key ends in `/`.
    pub fn directory(key: impl Into<Key>) -> Self {
        Self::of(key, Kind::Directory, 0)
    }

    /// Returns the entry of a placeholder for an empty directory; its key ends in `/`.
    pub fn marker(key: impl Into<Key>, size: u64) -> Self {
        Self::of(key, Kind::Marker, size)
    }

    /// Returns the entry of something that is there but cannot be read or must not be touched.
    pub fn protected(key: impl Into<Key>, why: Protection) -> Self {
        Self::of(key, Kind::Protected(why), 0)
    }

    fn of(key: impl Into<Key>, kind: Kind, size: u64) -> Self {
        Self {
            key: key.into(),
            kind,
            size,
            modified: None,
            fingerprint: None,
            digest: None,
            checksum: None,
            availability: Availability::Ready,
        }
    }

    /// Returns this entry with its modification time set.
    #[must_use]
    pub fn with_modified(mut self, modified: SystemTime) -> Self {
        self.modified = Some(modified);
        self
    }

    /// Returns this entry with its fingerprint set.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: Fingerprint) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    /// Returns this entry with its digest set.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// Returns this entry with its checksum set.
    #[must_use]
    pub fn with_checksum(mut self, checksum: Option<Checksum>) -> Self {
        self.checksum = checksum;
        self
    }

    /// Returns this entry with its availability set.
    #[must_use]
    pub fn with_availability(mut self, availability: Availability) -> Self {
        self.availability = availability;
        self
    }

    /// Returns true for what can be copied: a file, an object or a marker.
    pub fn has_content(&self) -> bool {
        matches!(self.kind, Kind::File | Kind::Marker)
    }

    /// Returns true for what holds data or stands for a file: a marker of no bytes stands for an empty directory alone.
    pub fn is_file(&self) -> bool {
        match self.kind {
            Kind::File => true,
            Kind::Marker => self.size > 0,
            Kind::Directory | Kind::Protected(_) => false,
        }
    }
}

/// What stands at a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file or an object with a plain name.
    File,
    /// An empty directory, or an object whose key ends in `/` and so stands for one.
    Marker,
    /// A directory that holds something: implied by its contents, neither copied nor counted.
    Directory,
    /// Something that exists but is not ours to read or change. A key that ends in `/` protects everything below it.
    Protected(Protection),
}

/// Why an entry is protected: never copied, never deleted, never taken for absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Protection {
    /// A symbolic link, skipped by policy.
    #[error("it is a symbolic link")]
    Symlink,
    /// A symbolic link that is followed and leads back to where it came from.
    #[error("it is a symbolic link that leads in a circle")]
    LinkLoop,
    /// A FIFO, socket or device; the text names which.
    #[error("it is a {0}")]
    Special(Cow<'static, str>),
    /// A name that is not UTF-8, which no key can express; the key shows it with replacement characters.
    #[error("its name is not valid UTF-8")]
    NotUtf8,
    /// Something that its store lists more than once, with different contents.
    #[error("its listing contains it more than once, with different contents")]
    Ambiguous,
    /// Something that could not be read; the text is the cause.
    #[error("it cannot be read: {0}")]
    Unreadable(Arc<str>),
    /// A name that was gone when its turn came: it was removed or renamed while its directory was listed, and what it
    /// is called now may not be in the listing. On the side of the target it is treated as absent.
    #[error("it vanished while its directory was listed")]
    Vanished,
}

/// An opaque token of one store: equal tokens mean equal content.
///
/// On S3 it is the ETag as sent, on a disk size, times and inode. Only the store that made one can judge it; it is
/// never compared with another store's.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Box<[u8]>);

impl Fingerprint {
    /// Returns the token made of these bytes.
    pub fn new(token: impl Into<Box<[u8]>>) -> Self {
        Self(token.into())
    }

    /// Returns the token's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the token's text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<&str> for Fingerprint {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) if !text.contains(is_deceptive) => f.write_str(text),
            _ => self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// A digest of content: equal digests of one kind mean equal content on any store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Digest {
    /// MD5 of the content; the ETag of an S3 object that was sent in one request.
    Md5([u8; 16]),
    /// MD5 of the MD5s of the parts; the ETag of an S3 object that was sent in `parts` parts.
    Md5OfParts {
        /// The digest before the `-`.
        digest: [u8; 16],
        /// The number after the `-`.
        parts: u32,
    },
}

/// A checksum of a whole content, against damage on the way: parts' checksums combine into it, in any order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-64/NVME, which S3 keeps of every object by default.
    Crc64Nvme(u64),
    /// CRC-32C (Castagnoli).
    Crc32c(u32),
    /// CRC-32 as in zip and Ethernet (ISO-HDLC), which the AWS SDKs send by default.
    Crc32(u32),
}
