//! How a server deviates from the plain behaviour of S3.
//!
//! Servers that call themselves S3-compatible list in other orders, ignore conditions or answer slowly. Each of
//! these habits is a setting here, so that a test can name the habit it guards against.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{PoisonError, RwLock},
    time::Duration,
};

use super::{operation::Operation, region::WrongRegion};

/// The behaviour of a server; may be changed while it runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most keys, parts or uploads on one page of a listing, 1 to 1000; a request may ask for fewer.
    pub page_size: usize,
    /// The order of listings.
    pub listing_order: ListingOrder,
    /// What is wrong with listings: of objects, of unfinished uploads, of parts.
    pub listing_faults: BTreeMap<Operation, ListingFault>,
    /// Whether conditions on writes are obeyed.
    pub conditional_writes: ConditionalWrites,
    /// What becomes of checksums in the headers of uploads.
    pub checksums: Checksums,
    /// How many seconds the server's clock is ahead of the machine's; negative where it is behind. Requests signed more
    /// than 15 minutes off it are refused.
    pub clock_ahead: i64,
    /// How the `ETag` in the answer to a copy is written.
    pub copy_etag: CopyEtag,
    /// What the entity tags of objects and parts are.
    pub etags: Etags,
    /// What becomes of tags.
    pub tagging: Tagging,
    /// Smallest size of every part but the last, in bytes; 5 MiB on S3.
    pub min_part_size: usize,
    /// Wait before each answer.
    pub latency: Duration,
    /// The regions of buckets that take requests signed for theirs alone; the others take any.
    pub regions: BTreeMap<String, String>,
    /// How a request that is signed for another region is refused.
    pub wrong_region: WrongRegion,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page_size: 1000,
            listing_order: ListingOrder::Bytes,
            listing_faults: BTreeMap::new(),
            conditional_writes: ConditionalWrites::Obeyed,
            checksums: Checksums::Kept,
            clock_ahead: 0,
            copy_etag: CopyEtag::Quoted,
            etags: Etags::Digests,
            tagging: Tagging::Kept,
            min_part_size: 5 * 1024 * 1024,
            latency: Duration::ZERO,
            regions: BTreeMap::new(),
            wrong_region: WrongRegion::Redirect,
        }
    }
}

/// The order in which keys are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingOrder {
    /// The byte order of the whole key, as S3 lists general purpose buckets.
    Bytes,
    /// Directory by directory, as SeaweedFS lists: `a/x` before `a b`, which is the other way round in byte order.
    DirectoryTree,
    /// Some fixed order that follows no rule, as S3 directory buckets may list. Equal seeds give equal orders.
    Shuffled {
        /// Selects the order.
        seed: u64,
    },
}

impl ListingOrder {
    /// Compares two keys, or common prefixes, by their place in a listing.
    #[must_use]
    pub fn compare(self, left: &str, right: &str) -> Ordering {
        match self {
            Self::Bytes => left.cmp(right),
            Self::DirectoryTree => left.split('/').cmp(right.split('/')),
            Self::Shuffled { seed } => place(seed, left).cmp(&place(seed, right)).then(left.cmp(right)),
        }
    }
}

fn place(seed: u64, key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, key).hash(&mut hasher);
    hasher.finish()
}

/// What is wrong with a listing. Listings of uploads and parts know only what is said of them here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingFault {
    /// Every key comes twice in a row; so does every upload.
    DoubledKeys,
    /// Every page but the first begins with this many keys of the page before, as on some servers that call themselves
    /// S3.
    Overlap(usize),
    /// Every page but the first begins with the last key of the page before, with another size and entity tag.
    ChangedOverlap,
    /// The prefix is echoed and otherwise ignored, also for uploads.
    IgnoredPrefix,
    /// What lies deeper than one level comes as common prefixes, although nobody asked for them.
    UnaskedPrefixes,
    /// The delimiter is ignored.
    IgnoredDelimiter,
    /// The answer is about this prefix, as it says itself.
    OtherPrefix(&'static str),
    /// The answer is about this bucket, as it says itself; so is that with uploads and parts.
    OtherBucket(&'static str),
    /// The page says that it has this many keys.
    KeyCount(i32),
    /// The last page says where a next one starts.
    TokenAtEnd,
    /// After the last page comes the first one again.
    Circle,
    /// Every page is the first one; each names another as the next. So do those of uploads and parts.
    SamePage,
    /// After the first page come empty ones; each names another as the next. So do those of uploads and parts.
    EmptyPages,
}

/// What a server does with `If-Match` and `If-None-Match` on a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// The write happens only if the condition holds.
    Obeyed,
    /// The write happens always and answers 200, as on Garage.
    Ignored,
    /// The write is refused with 501 `NotImplemented`, as on Swift.
    Refused,
    /// `If-Match` fails with 412 whatever it names, as on Ceph's older releases; the rest is obeyed.
    IfMatchFails,
}

/// What a server does with checksums in the headers of uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// They are checked, kept and told.
    Kept,
    /// Nothing, as on Ceph's older releases.
    Ignored,
    /// The upload is refused with 501 `NotImplemented`, as on Swift.
    Refused,
}

/// How the answer to a copy writes the entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyEtag {
    /// In double quotes, as S3 does.
    Quoted,
    /// Bare, as SeaweedFS and older Ceph releases do.
    Unquoted,
}

/// What the entity tags of objects and parts that are written are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Etags {
    /// The MD5 of the content, or of the MD5s of the parts.
    Digests,
    /// Of the same form, but another one each time, as on VAST.
    Opaque,
    /// As [`Opaque`](Self::Opaque), and every object says that it is encrypted by a key service, as on a bucket of S3 that
    /// encrypts so by default.
    Kms,
}

/// What a server does with the tags of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagging {
    /// They are kept and told.
    Kept,
    /// Asking for them, and giving any, is refused with 403 `AccessDenied`.
    Denied,
    /// Asking for them is refused with 403 `AccessDenied`.
    ReadDenied,
    /// They may be read; giving any is refused with 403 `AccessDenied`.
    WriteDenied,
    /// The server knows none: 501 `NotImplemented`.
    Unknown,
}

/// Settings shared by the parts of a running server.
#[derive(Debug, Default)]
pub(super) struct SharedSettings(RwLock<Settings>);

impl SharedSettings {
    pub(super) fn new(settings: Settings) -> Self {
        Self(RwLock::new(settings))
    }

    pub(super) fn get(&self) -> Settings {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_order_differs_from_the_byte_order() {
        assert_eq!(ListingOrder::Bytes.compare("a b", "a/x"), Ordering::Less);
        assert_eq!(ListingOrder::DirectoryTree.compare("a b", "a/x"), Ordering::Greater);
    }
}
