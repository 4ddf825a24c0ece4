//! The ways in which a server deviates from S3.
//!
//! S3-compatible servers list in other orders, ignore conditions or respond slowly. Each of these deviations is a
//! setting here, so that a test can name the one that it covers.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{PoisonError, RwLock},
    time::Duration,
};

use super::{operation::Operation, region::WrongRegion};

/// The behaviour of a server. It can be changed while the server runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The maximum number of keys, parts or uploads on one page of a listing, 1 to 1000. A request may ask for fewer.
    pub page_size: usize,
    /// The order of listings.
    pub listing_order: ListingOrder,
    /// The faults of listings: of objects, of unfinished uploads and of parts.
    pub listing_faults: BTreeMap<Operation, ListingFault>,
    /// How conditions on writes are handled.
    pub conditional_writes: ConditionalWrites,
    /// What becomes of the entity tags in deletes.
    pub conditional_deletes: ConditionalDeletes,
    /// How checksums in the headers of uploads are handled.
    pub checksums: Checksums,
    /// The number of seconds that the server's clock is ahead of the machine's; negative if it is behind. The server
    /// refuses requests whose signing time differs from it by more than 15 minutes.
    pub clock_ahead: i64,
    /// The form of the `ETag` in the response to a copy.
    pub copy_etag: CopyEtag,
    /// The kind of the ETags of objects and parts.
    pub etags: Etags,
    /// Whether listings contain the ETags.
    pub lists_etags: bool,
    /// How tags are handled.
    pub tagging: Tagging,
    /// The minimum size of every part except the last, in bytes. S3 requires 5 MiB.
    pub min_part_size: usize,
    /// The delay of each response.
    pub latency: Duration,
    /// How many requests at once are too many, and what becomes of them.
    pub overload: Option<Overload>,
    /// The regions of buckets that accept only requests signed for their region. All other buckets accept any region.
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
            conditional_deletes: ConditionalDeletes::Obeyed,
            checksums: Checksums::Kept,
            clock_ahead: 0,
            copy_etag: CopyEtag::Quoted,
            etags: Etags::Digests,
            lists_etags: true,
            tagging: Tagging::Kept,
            min_part_size: 5 * 1024 * 1024,
            latency: Duration::ZERO,
            overload: None,
            regions: BTreeMap::new(),
            wrong_region: WrongRegion::Redirect,
        }
    }
}

/// The limit of a server that can handle only so many requests at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overload {
    /// The largest number of requests in flight that are executed. Further ones are refused at once.
    pub above: usize,
    /// How they are refused.
    pub refusal: Overloaded,
}

/// How a server refuses a request because it has too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overloaded {
    /// 503 `SlowDown`.
    SlowDown,
    /// 503 `ServiceUnavailable`.
    Unavailable,
    /// 429 `TooManyRequests`.
    TooMany,
    /// The connection is reset.
    Reset,
}

/// The order in which keys are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingOrder {
    /// The byte order of the whole key, as S3 lists general purpose buckets.
    Bytes,
    /// Directory by directory, as SeaweedFS lists: `a/x` before `a b`. In byte order, `a b` comes first.
    DirectoryTree,
    /// A fixed order without a rule, as in listings of S3 directory buckets. Equal seeds give equal orders.
    Shuffled {
        /// Selects the order.
        seed: u64,
    },
}

impl ListingOrder {
    /// Compares two keys or common prefixes by their position in a listing.
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

/// A fault of a listing. For listings of uploads and parts, only the faults that mention them here have an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingFault {
    /// Every key is listed twice in a row; so is every upload.
    DoubledKeys,
    /// Every page except the first starts with this many keys of the previous page, as on some S3-compatible servers.
    Overlap(usize),
    /// Every page except the first starts with the last key of the previous page, with another size and ETag.
    ChangedOverlap,
    /// The server repeats the prefix in the response but ignores it, also for uploads.
    IgnoredPrefix,
    /// Keys more than one level below the prefix are listed as common prefixes, although the request has no delimiter.
    UnaskedPrefixes,
    /// The delimiter is ignored.
    IgnoredDelimiter,
    /// The response is about this prefix, and states it.
    OtherPrefix(&'static str),
    /// The response is about this bucket, and states it; also for uploads and parts.
    OtherBucket(&'static str),
    /// The page states that it has this many keys.
    KeyCount(i32),
    /// The last page contains a token for another page.
    TokenAtEnd,
    /// The first page comes again after the last page.
    Circle,
    /// Every page is the first one, and each has another token for the next page; also for uploads and parts.
    SamePage,
    /// After the first page all pages are empty, and each has another token for the next page; also for uploads and
    /// parts.
    EmptyPages,
    /// A page that is requested by a token is empty and the last one.
    LostTokens,
    /// Like [`LostTokens`](Self::LostTokens), and the start of a listing is ignored, too.
    LostPositions,
    /// The last page has a token for one more page, which is empty. S3 may do the same.
    EmptyLastPage,
}

/// How a server handles `If-Match` and `If-None-Match` on a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// The write is executed only if the condition is met.
    Obeyed,
    /// The write is always executed with status 200, as on Garage.
    Ignored,
    /// The write is refused with 501 `NotImplemented`, as on Swift.
    Refused,
    /// The write is refused with 400 and without an S3 error code.
    RefusedWithoutCode,
    /// `If-Match` always fails with 412, as on older Ceph releases. Other conditions are respected.
    IfMatchFails,
}

/// What a server does with the entity tag that a delete names, of one object or of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionalDeletes {
    /// The object is deleted only if it has the tag, as on S3.
    Obeyed,
    /// The object is deleted, as on `MinIO`.
    Ignored,
    /// The request is refused with 501 `NotImplemented`.
    Refused,
    /// The object is refused with `AccessDenied`, as on S3 without the permission to read it.
    Denied,
    /// The condition fails whatever the tag is.
    Misjudged,
}

/// How a server handles checksums in the headers of uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// They are checked, stored and returned.
    Kept,
    /// They are ignored, as on older Ceph releases.
    Ignored,
    /// The upload is refused with 501 `NotImplemented`, as on Swift.
    Refused,
    /// The upload is refused with 400 and without an S3 error code.
    RefusedWithoutCode,
}

/// The form of the ETag in the response to a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyEtag {
    /// In double quotes, as S3 does.
    Quoted,
    /// Without quotes, as on SeaweedFS and older Ceph releases.
    Unquoted,
}

/// The kind of the ETags of written objects and parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Etags {
    /// The MD5 of the content, or of the MD5s of the parts.
    Digests,
    /// A different value each time, in the same form, as on VAST.
    Opaque,
    /// Like [`Opaque`](Self::Opaque), and every object is reported as encrypted by a key service, as in an S3 bucket
    /// with such a default encryption.
    Kms,
}

/// How a server handles the tags of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagging {
    /// They are stored and returned.
    Kept,
    /// Reading and writing them is refused with 403 `AccessDenied`.
    Denied,
    /// Reading them is refused with 403 `AccessDenied`.
    ReadDenied,
    /// They can be read. Writing them is refused with 403 `AccessDenied`.
    WriteDenied,
    /// The server does not support them: 501 `NotImplemented`.
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
