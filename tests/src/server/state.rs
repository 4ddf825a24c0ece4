//! The data that the server stores.
//!
//! There is one lock for everything. Every later request sees a write completely or not at all, so the server is never
//! the reason for a torn object or a lost race in a test.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use s3s::crypto::{Checksum as _, Md5};

/// An object as it is stored.
#[derive(Debug, Clone)]
pub struct StoredObject {
    /// The content.
    pub bytes: Bytes,
    /// The ETag without quotes: the MD5 of the content, or `md5-of-md5s-N` for N parts.
    pub etag: String,
    /// When it was written, in whole seconds as on S3.
    pub modified: SystemTime,
    /// The headers that the writer sent with it.
    pub properties: Properties,
    /// The sizes of the parts in which it was uploaded. It is empty after a plain put.
    pub part_sizes: Vec<usize>,
    /// Checksums of the content by header name (`x-amz-checksum-crc32`, …), in base64.
    pub checksums: BTreeMap<&'static str, String>,
    /// The storage of the content.
    pub storage: Storage,
}

/// The storage of an object's content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Storage {
    /// The content can be read.
    #[default]
    Standard,
    /// The content is archived, and a read is refused. Listings show the class. The class `INTELLIGENT_TIERING` does
    /// not tell whether an object is archived.
    Archived {
        /// `GLACIER`, `DEEP_ARCHIVE` or `INTELLIGENT_TIERING`.
        class: String,
    },
    /// The content is archived, with a temporary copy that can be read.
    Restored {
        /// `GLACIER` or `DEEP_ARCHIVE`.
        class: String,
    },
}

impl Storage {
    /// Returns the storage of an object that is written with this class.
    pub(super) fn of(class: Option<&str>) -> Self {
        match class {
            Some(class @ ("GLACIER" | "DEEP_ARCHIVE")) => Self::Archived { class: class.to_owned() },
            _ => Self::Standard,
        }
    }

    /// Returns the class, unless it is the default.
    pub(super) fn class(&self) -> Option<&str> {
        match self {
            Self::Standard => None,
            Self::Archived { class } | Self::Restored { class } => Some(class),
        }
    }
}

impl StoredObject {
    /// Returns an object that is written now in one piece.
    #[must_use]
    pub fn new(bytes: Bytes, properties: Properties) -> Self {
        let etag = hexadecimal(&md5(&bytes));
        let modified = now();
        Self {
            bytes,
            etag,
            modified,
            properties,
            part_sizes: Vec::new(),
            checksums: BTreeMap::new(),
            storage: Storage::Standard,
        }
    }
}

impl StoredObject {
    /// Returns an object that is written now in parts of this size.
    #[must_use]
    pub fn in_parts(bytes: Bytes, part_size: usize) -> Self {
        let parts: Vec<_> = bytes.chunks(part_size.max(1)).collect();
        let digests: Vec<u8> = parts.iter().flat_map(|part| md5(part)).collect();
        let etag = format!("{}-{}", hexadecimal(&md5(&digests)), parts.len());
        let part_sizes = parts.iter().map(|part| part.len()).collect();
        Self { etag, part_sizes, ..Self::new(bytes, Properties::default()) }
    }
}

/// The headers that are stored with an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the header of the same name")]
pub struct Properties {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub content_disposition: Option<String>,
    pub content_language: Option<String>,
    pub cache_control: Option<String>,
    pub server_side_encryption: Option<String>,
    /// The tags, in the format of the header `x-amz-tagging`.
    pub tagging: Option<String>,
    /// User metadata: the `x-amz-meta-` headers, without that prefix.
    pub metadata: BTreeMap<String, String>,
}

/// A multipart upload that was created and neither completed nor aborted.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) initiated: SystemTime,
    pub(super) properties: Properties,
    pub(super) checksum: Option<UploadChecksum>,
    pub(super) parts: BTreeMap<i32, Part>,
}

impl Upload {
    /// Returns an upload that starts now, without properties.
    pub(super) fn of(key: String) -> Self {
        let (initiated, properties) = (now(), Properties::default());
        Self { key, initiated, properties, checksum: None, parts: BTreeMap::new() }
    }
}

/// The checksum that an upload was created with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UploadChecksum {
    pub(super) header: &'static str,
    pub(super) full_object: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) bytes: Bytes,
    pub(super) md5: [u8; 16],
    pub(super) etag: String,
    pub(super) modified: SystemTime,
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) created: SystemTime,
    pub(super) objects: BTreeMap<String, Arc<StoredObject>>,
    /// The objects that HEAD and GET requests show, if a cache in front of the server answers them.
    pub(super) cached: Option<BTreeMap<String, Arc<StoredObject>>>,
    pub(super) uploads: BTreeMap<String, Upload>,
    /// Upload id to key and ETag. Repeating a completion returns the same response.
    pub(super) completed: BTreeMap<String, (String, String)>,
}

impl Bucket {
    pub(super) fn new() -> Self {
        Self {
            created: now(),
            objects: BTreeMap::new(),
            cached: None,
            uploads: BTreeMap::new(),
            completed: BTreeMap::new(),
        }
    }

    /// Returns the object that a HEAD or GET request shows.
    pub(super) fn shown(&self, key: &str) -> Option<&Arc<StoredObject>> {
        self.cached.as_ref().unwrap_or(&self.objects).get(key)
    }
}

/// All buckets by name, and the number of the next upload id.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) buckets: BTreeMap<String, Bucket>,
    pub(super) uploads_created: u64,
}

#[derive(Debug, Default)]
pub(super) struct State(RwLock<World>);

impl State {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, World> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, World> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the current time in whole seconds, which is the resolution of times in S3.
pub(super) fn now() -> SystemTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs())
}

pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::checksum(bytes)
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
