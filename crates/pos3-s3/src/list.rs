//! Listings: pages of ListObjectsV2. While one page is being read, the next one is fetched.
//!
//! Keys are requested URL-encoded, because XML cannot represent every character that a key may contain. A listing
//! either completes or fails. It fails if a response is unclear, contradicts the request or itself, or if the pages
//! never end.

pub(crate) mod echo;
mod ending;
mod page;
pub(crate) mod progress;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::vec;

use futures::{FutureExt, Stream};
use pos3_core::{Doubts, Entry, Key, ListOptions, Operation, Result, StoreError};
use tokio::task::JoinHandle;

use crate::archive::{OPTIONAL_ATTRIBUTES, RESTORE_STATUS};
use crate::bucket::Bucket;
use crate::client::retry::random;
use crate::error::Failure;
use crate::operation::S3Operation;
use ending::{Course, End};
use page::{Asked, Page};
use progress::Progress;

/// The smallest page size of a listing of one key.
const FEWEST_LISTED: usize = 2;

/// The number of page sizes of a listing that no cache may answer. The largest one for one key is 1000, the maximum of S3.
const VARIETY: u64 = 999;

/// A listing that is being read.
pub(crate) struct Listing {
    bucket: Arc<Bucket>,
    query: Arc<ListQuery>,
    entries: vec::IntoIter<Entry>,
    /// The token of the page that is being read or fetched.
    token: Option<String>,
    progress: Progress,
    course: Course,
    doubts: Doubts,
    next: Next,
    restores: Restores,
}

/// Whether the server is asked which archived objects have been restored. It is asked from the first page on that has
/// archived objects, and that page is fetched again. Few buckets have any, and not every server supports the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restores {
    Unasked,
    Asked,
}

enum Next {
    /// No page has been requested yet.
    First,
    /// A page has been requested.
    Fetching(Fetch),
    /// There are no more pages, or the listing has failed.
    Nothing,
}

#[derive(Clone, Debug)]
struct ListQuery {
    prefix: String,
    start_after: Option<Key>,
    shallow: bool,
    /// The largest number of keys on a page. Without it, the server decides.
    page_size: Option<usize>,
}

/// A page that is fetched in a separate task. The task is aborted when this is dropped.
struct Fetch(JoinHandle<Result<Page, Failure>>);

impl Drop for Fetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Listing {
    pub(crate) fn new(bucket: Arc<Bucket>, prefix: &str, options: ListOptions) -> Self {
        let query = ListQuery {
            prefix: prefix.to_owned(),
            start_after: options.start_after,
            shallow: options.shallow,
            page_size: bucket.client.config().list_page.map(usize::from),
        };
        Self {
            bucket,
            query: Arc::new(query),
            entries: Vec::new().into_iter(),
            token: None,
            progress: Progress::default(),
            course: Course::default(),
            doubts: options.doubts,
            next: Next::First,
            restores: Restores::Unasked,
        }
    }

    fn fetch(&self) -> Fetch {
        let (bucket, query, token) = (self.bucket.clone(), self.query.clone(), self.token.clone());
        let restores = self.restores;
        Fetch(tokio::spawn(async move { bucket.list_page(&query, token.as_deref(), restores).await }))
    }

    /// Accepts a page and requests the next one.
    fn turn(&mut self, page: Page) -> Result<(), Failure> {
        if page.has_archived() && self.restores == Restores::Unasked {
            self.restores = Restores::Asked;
            self.next = Next::Fetching(self.fetch());
            return Ok(());
        }
        self.next = Next::Nothing;
        self.course.record(&page.entries);
        if self.course.has_lost_its_place() {
            self.doubts.note_unverified_end();
        }
        if let Some(token) = page.next {
            self.progress.turn(page.entries.iter().map(|entry| &entry.key), &token)?;
            self.token = Some(token);
            self.next = Next::Fetching(self.fetch());
        } else if page.entries.is_empty() && self.token.is_some() {
            self.end_with_an_empty_page();
        }
        self.entries = page.entries.into_iter();
        Ok(())
    }

    /// Requests the keys after the last one, if they are needed as evidence that the listing is complete.
    fn end_with_an_empty_page(&mut self) {
        match self.course.end() {
            End::Verified => {}
            End::Unverifiable => self.doubts.note_unverified_end(),
            End::After(last) => {
                let start_after = last.or_else(|| self.query.start_after.clone());
                self.query = Arc::new(ListQuery { start_after, ..(*self.query).clone() });
                (self.token, self.progress) = (None, Progress::default());
                self.next = Next::Fetching(self.fetch());
            }
        }
    }

    fn fail(&mut self, failure: Failure) -> StoreError {
        self.next = Next::Nothing;
        self.entries = Vec::new().into_iter();
        let error = self.bucket.client.error(Operation::List, None, &self.bucket.name, failure);
        if self.query.prefix.is_empty() { error } else { error.with_key(&Key::from(self.query.prefix.as_str())) }
    }
}

impl Stream for Listing {
    type Item = Result<Entry>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Entry>>> {
        loop {
            while let Some(entry) = self.entries.next() {
                // A server may include the directory that contains `start_after`, or ignore the option.
                if self.query.start_after.as_ref().is_none_or(|start| entry.key > *start) {
                    return Poll::Ready(Some(Ok(entry)));
                }
            }
            let page = match &mut self.next {
                Next::Nothing => return Poll::Ready(None),
                Next::First => {
                    self.next = Next::Fetching(self.fetch());
                    continue;
                }
                Next::Fetching(fetch) => ready!(fetch.0.poll_unpin(context)),
            };
            let page = page.unwrap_or_else(|_| Err(Failure::Garbled("the listing task was stopped".into())));
            if let Err(failure) = page.and_then(|page| self.turn(page)) {
                return Poll::Ready(Some(Err(self.fail(failure))));
            }
        }
    }
}

impl Bucket {
    /// Returns the first objects below a prefix that come after a text: a page of them, or as many as `most`.
    ///
    /// The page size is random, so that no cache has a response for the address of the request. Surplus objects are left
    /// out, so that the number of requests does not depend on chance.
    pub(crate) async fn page_after(
        &self,
        prefix: &str,
        start_after: Option<Key>,
        most: usize,
    ) -> Result<Vec<Entry>, Failure> {
        let page_size = Some(random_page_size(most));
        let query = ListQuery { prefix: prefix.to_owned(), start_after, shallow: false, page_size };
        let mut entries = self.list_page(&query, None, Restores::Unasked).await?.entries;
        entries.truncate(most);
        Ok(entries)
    }

    /// Returns the object at a key as a listing of exactly this key shows it, or `None` if there is no object.
    ///
    /// The page size is random, so that no cache has a response for the address of the request.
    pub(crate) async fn listed(&self, key: &Key) -> Result<Option<Entry>, Failure> {
        let (prefix, page_size) = (key.as_str().to_owned(), Some(random_page_size(FEWEST_LISTED)));
        let query = ListQuery { prefix, start_after: None, shallow: false, page_size };
        let page = self.first_page_with_entries(&query).await?;
        let is_covered = page.next.is_none() || page.entries.is_sorted_by(|before, after| before.key <= after.key);
        match page.entries.into_iter().find(|entry| entry.key == *key) {
            Some(entry) => Ok(Some(entry)),
            // The key itself is the first one in byte order that begins with it.
            None if is_covered => Ok(None),
            None => Err(Failure::Contradictory("the listing of one key is not in order".to_owned())),
        }
    }

    /// Returns the first page that is not empty, or the last one. A server that skips many deleted objects sends empty pages.
    async fn first_page_with_entries(&self, query: &ListQuery) -> Result<Page, Failure> {
        let mut page = self.list_page(query, None, Restores::Unasked).await?;
        let mut progress = Progress::default();
        while let (true, Some(token)) = (page.entries.is_empty(), &page.next) {
            progress.turn(page.entries.iter().map(|entry| &entry.key), token)?;
            page = self.list_page(query, Some(token), Restores::Unasked).await?;
        }
        Ok(page)
    }

    async fn list_page(&self, query: &ListQuery, token: Option<&str>, restores: Restores) -> Result<Page, Failure> {
        let page_size = query.page_size.map(|keys| keys.to_string());
        let start_after = query.start_after.as_ref().filter(|_| token.is_none());
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(7);
        pairs.extend(token.map(|token| ("continuation-token", token)));
        pairs.extend(query.shallow.then_some(("delimiter", "/")));
        pairs.push(("encoding-type", "url"));
        pairs.push(("list-type", "2"));
        pairs.extend(page_size.as_deref().map(|keys| ("max-keys", keys)));
        pairs.extend((!query.prefix.is_empty()).then_some(("prefix", query.prefix.as_str())));
        pairs.extend(start_after.map(|key| ("start-after", key.as_str())));
        let mut request = self.request(S3Operation::ListObjectsV2, &pairs)?;
        if restores == Restores::Asked {
            request = request.header(OPTIONAL_ATTRIBUTES, RESTORE_STATUS)?;
        }
        let asked = Asked { bucket: &self.name, query, token };
        let mut page = self.exchange(&request, |answer| page::parse(answer, &asked)).await?;
        if !self.client.has_digests() {
            page.entries.iter_mut().for_each(|entry| entry.digest = None);
        }
        Ok(page)
    }
}

/// Returns one of [`VARIETY`] page sizes, of which `least` is the smallest.
fn random_page_size(least: usize) -> usize {
    least + usize::try_from(random() % VARIETY).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn listings_that_no_cache_may_answer_have_many_addresses() {
        for (least, sizes) in [(FEWEST_LISTED, 2..=1000), (2008, 2008..=3006)] {
            let found: HashSet<usize> = (0..100).map(|_| random_page_size(least)).collect();
            assert!(found.iter().all(|size| sizes.contains(size)), "{found:?}");
            assert!(found.len() > 50, "{found:?}");
        }
    }
}
