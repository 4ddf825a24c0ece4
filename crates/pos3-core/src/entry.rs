//! The facts that a listing returns for one key.
//!
//! `list` and `head` return the same type, so no code requests facts again that a listing has already returned.

mod text;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::text::is_deceptive;

pub use text::TextError;

/// A key and the facts that its store knows without reading content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The exact name.
    pub key: Key,
    /// The kind of entry at this key.
    pub kind: Kind,
    /// Content length in bytes.
    pub size: u64,
    /// When the content last changed, by the store's clock and with its precision.
    #[serde(with = "crate::time")]
    pub modified: Option<SystemTime>,
    /// The store's token for this exact content.
    pub fingerprint: Option<Fingerprint>,
    /// A digest of the content, if the store knows one.
    pub digest: Option<Digest>,
    /// A checksum of the whole content that the store keeps. Listings never contain it; `head` and `get` may return it.
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
    /// It was moved to an archive and must be restored first. Size and digest are known nevertheless.
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

    /// Returns the entry of something that exists but cannot be read or must not be changed.
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

    /// Returns true for entries that can be copied: files, objects and markers.
    pub fn has_content(&self) -> bool {
        matches!(self.kind, Kind::File | Kind::Marker)
    }

    /// Returns true for files, and for markers with content. A marker of zero bytes only represents an empty directory.
    pub fn is_file(&self) -> bool {
        match self.kind {
            Kind::File => true,
            Kind::Marker => self.size > 0,
            Kind::Directory | Kind::Protected(_) => false,
        }
    }
}

/// The kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file, or an object whose key does not end in `/`.
    File,
    /// An empty directory, or an object whose key ends in `/` and therefore represents one.
    Marker,
    /// A directory that is not empty. Its contents imply it, so it is neither copied nor counted.
    Directory,
    /// Something that exists but that pos3 must not read or change. A key that ends in `/` protects everything below
    /// it.
    Protected(Protection),
}

/// Why an entry is protected: pos3 never copies or deletes it, and never treats it as absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Protection {
    /// A symbolic link, skipped by policy.
    #[error("it is a symbolic link")]
    Symlink,
    /// A file or directory that the program itself writes, such as the file of a plan.
    #[error("this command writes it itself")]
    Own,
    /// A followed symbolic link that leads back to one of its own parent directories.
    #[error("it is a symbolic link that forms a loop")]
    LinkLoop,
    /// A FIFO, socket or device, as named by the text.
    #[error("it is a {0}")]
    Special(Cow<'static, str>),
    /// A name that is not UTF-8, so no key can represent it. The key shows it with replacement characters.
    #[error("its name is not valid UTF-8")]
    NotUtf8,
    /// Something that its store lists more than once, with different contents.
    #[error("its listing contains it more than once, with different contents")]
    Ambiguous,
    /// Something that could not be read, with the cause.
    #[error("it cannot be read: {0}")]
    Unreadable(Arc<str>),
    /// A name that was removed or renamed while its directory was being listed. If it was renamed, the listing may not
    /// contain its new name. In the target it is treated as absent.
    #[error("it vanished while its directory was listed")]
    Vanished,
    /// A file that a killed run moved away in order to replace or delete it, with its present name and the next step. The
    /// key is its own name, or its present one if another entry has its own name.
    #[error("a run that was killed moved it away: {0}")]
    Moved(Arc<str>),
    /// New content that a run stored beside its final name, and has not moved there. If that run was killed, the entry with
    /// this name may be missing.
    #[error(
        "it is new content that a run has not moved to its final name: repeat that run, or, if the content is not \
         needed, remove the file with 'cleanup --older-than 0s --abort'"
    )]
    Staged,
}

/// An opaque token of one store: equal tokens mean equal content.
///
/// On S3 it is the ETag as sent; on a disk it is made of size, times and inode. Only the store that created a token can
/// interpret it. Tokens of different stores are never compared.
///
/// A token shows which kind of store created it, so that no store interprets the token of another one. The token of a
/// server is text. Every other kind of store [tags](Self::tagged) its tokens with a byte of its own that occurs in no
/// text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Box<[u8]>);

impl Fingerprint {
    /// Returns a token that consists of these bytes.
    pub fn new(token: impl Into<Box<[u8]>>) -> Self {
        Self(token.into())
    }

    /// Returns a token of a kind of store with this tag: a byte that occurs in no UTF-8 text, such as 0xf5 to 0xff. Local
    /// files have 0xff, and [`MemoryStore`](crate::MemoryStore) has 0xfe.
    pub fn tagged(tag: u8, token: &[u8]) -> Self {
        Self([&[tag], token].concat().into())
    }

    /// Returns the bytes after the tag, or `None` if the token has another tag or none.
    pub fn untagged(&self, tag: u8) -> Option<&[u8]> {
        self.0.strip_prefix(&[tag])
    }

    /// Returns the token's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the token as text, if it is valid UTF-8.
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

/// A digest of content: equal digests of the same kind mean equal content, on any store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Digest {
    /// MD5 of the content: the ETag of an S3 object that was uploaded in one request.
    Md5([u8; 16]),
    /// MD5 of the MD5s of the parts: the ETag of an S3 object that was uploaded in `parts` parts.
    Md5OfParts {
        /// The digest before the `-`.
        digest: [u8; 16],
        /// The number after the `-`.
        parts: u32,
    },
}

/// A checksum of a whole content, which detects damage in transit. Checksums of parts combine into it, whatever the
/// order in which the parts arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-64/NVME, which S3 stores for every object by default.
    Crc64Nvme(u64),
    /// CRC-32C (Castagnoli).
    Crc32c(u32),
    /// CRC-32 as in zip and Ethernet (ISO-HDLC), which the AWS SDKs send by default.
    Crc32(u32),
}
