//! Listings with deliberate faults: the changes that a [`ListingFault`] makes to a request and its response.

use std::sync::atomic::{AtomicU64, Ordering};

use s3s::dto::{ETag, ListObjectsV2Output};

use super::{super::super::settings::ListingFault, BASE64, Item, Page, StoredBucket, Wanted};
use base64::Engine as _;

/// A position after every key.
const END: &str = "\u{10ffff}";

impl Wanted<'_> {
    /// Changes the parameters of the listing. `is_continued` is true if the request has a token.
    pub(super) fn misunderstood(mut self, fault: Option<ListingFault>, is_continued: bool) -> Self {
        match fault {
            Some(ListingFault::IgnoredPrefix) => self.prefix = "",
            Some(ListingFault::UnaskedPrefixes) => self.delimiter = Some("/"),
            Some(ListingFault::IgnoredDelimiter) => self.delimiter = None,
            Some(ListingFault::SamePage) => self.after = None,
            Some(ListingFault::LostTokens | ListingFault::LostPositions) if is_continued => self.limit = 0,
            Some(ListingFault::LostPositions) => self.after = None,
            Some(ListingFault::EmptyLastPage) if self.after == Some(END) => self.limit = 0,
            _ => {}
        }
        self
    }

    /// Returns the last entries before the start of the page.
    fn before<'a>(&self, bucket: &'a StoredBucket, count: usize) -> Vec<Item<'a>> {
        let Some(after) = self.after else { return Vec::new() };
        let earlier = self.items(&bucket.objects, self.prefix).filter(|item| item.name() <= after);
        let earlier: Vec<_> = earlier.collect();
        let skipped = earlier.len().saturating_sub(count);
        earlier.into_iter().skip(skipped).collect()
    }
}

impl<'a> Page<'a> {
    /// Changes the entries on the page. `next` must be called before.
    pub(super) fn spoil(&mut self, fault: Option<ListingFault>, wanted: &Wanted<'_>, bucket: &'a StoredBucket) {
        match fault {
            Some(ListingFault::DoubledKeys) => {
                self.items = self.items.iter().flat_map(|item| [*item, *item]).collect();
            }
            Some(ListingFault::Overlap(count)) => {
                self.items.splice(0..0, wanted.before(bucket, count));
            }
            Some(ListingFault::ChangedOverlap) => {
                self.items.splice(0..0, wanted.before(bucket, 1));
            }
            Some(ListingFault::EmptyPages) if wanted.after.is_some() => self.items.clear(),
            _ => {}
        }
    }
}

/// Changes the facts in the response.
pub(super) fn spoil(output: &mut ListObjectsV2Output, fault: Option<ListingFault>) {
    let ended = output.is_truncated != Some(true);
    match fault {
        Some(ListingFault::ChangedOverlap) if output.continuation_token.is_some() => {
            if let Some(first) = output.contents.iter_mut().flatten().next() {
                first.size = first.size.map(|size| size + 1);
                first.e_tag = Some(ETag::Strong("0".repeat(32)));
            }
        }
        Some(ListingFault::UnaskedPrefixes) => output.delimiter = None,
        Some(ListingFault::OtherPrefix(prefix)) => output.prefix = Some(prefix.to_owned()),
        Some(ListingFault::OtherBucket(name)) => output.name = Some(name.to_owned()),
        Some(ListingFault::KeyCount(count)) => output.key_count = Some(count),
        Some(ListingFault::TokenAtEnd) if ended => output.next_continuation_token = Some(token_of("")),
        Some(ListingFault::EmptyLastPage) if ended && output.key_count != Some(0) => goes_on(output, token_of(END)),
        Some(ListingFault::Circle) if ended => goes_on(output, token_of("")),
        Some(ListingFault::SamePage | ListingFault::EmptyPages) => {
            static PAGES: AtomicU64 = AtomicU64::new(0);
            let page = PAGES.fetch_add(1, Ordering::Relaxed);
            let name = output.contents.iter().flatten().next_back().and_then(|object| object.key.clone());
            goes_on(output, BASE64.encode(format!("{page}\0{}", name.as_deref().unwrap_or(END))));
        }
        _ => {}
    }
}

fn goes_on(output: &mut ListObjectsV2Output, token: String) {
    output.is_truncated = Some(true);
    output.next_continuation_token = Some(token);
}

fn token_of(place: &str) -> String {
    BASE64.encode(format!("\0{place}"))
}
