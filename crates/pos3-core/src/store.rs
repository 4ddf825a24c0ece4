//! The port that every backend implements: [`RemoteStore`].
//!
//! Few required methods and no provided ones: a default is convenient for callers and error-prone for implementors,
//! so convenience lives in [`RemoteStoreExt`], which nobody can implement. Each clause of the contract below has a test
//! of the same name in the conformance suite ([`conformance!`](crate::conformance!)).

mod budget;
mod capabilities;
mod clock;
mod content;
mod delete;
mod ext;
mod files;
mod opened;
mod options;
mod pace;
mod space;
mod usage;
mod witness;

pub(crate) mod memory;

use std::any::Any;
use std::fmt::{Debug, Display};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::entry::Entry;
use crate::error::StoreError;
use crate::journal::Unfinished;
use crate::key::Key;

pub use budget::{Budget, Reservation, Slot};
pub use capabilities::{Capabilities, KeyRule};
pub use clock::ClockSkew;
pub use content::{Content, Meter, collect_exactly};
pub use delete::{DeleteKey, Seen};
pub use ext::RemoteStoreExt;
pub use files::open_file_limit;
pub use opened::Opened;
pub use options::{Expect, GetOptions, ListOptions, PutOptions};
pub use pace::Pace;
pub use usage::Usage;
pub use witness::{ContentFacts, PutWitness};

/// The result of an operation on a store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A listing as a store gives it: entries in byte order of their keys, not yet checked.
pub type EntryStream = BoxStream<'static, Result<Entry>>;

/// Content in pieces; it ends with an error when it could not be delivered whole.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// A body with the facts that came with it.
pub struct Download {
    /// The object as it was when the body was sent; `size` is that of the whole object.
    pub entry: Entry,
    /// The content of the range that was asked for.
    pub body: ByteStream,
    /// True if the body ends with an error unless it agrees with what the store itself knows of the content, such as a
    /// checksum or an MD5. Bytes that never left the machine count as checked.
    pub checked: bool,
}

impl Download {
    /// Returns a body that nothing but its length is checked by.
    pub fn new(entry: Entry, body: ByteStream) -> Self {
        Self { entry, body, checked: false }
    }

    /// Sets whether the body is checked at its end.
    #[must_use]
    pub fn with_checked(mut self, checked: bool) -> Self {
        self.checked = checked;
        self
    }
}

impl Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("entry", &self.entry).finish_non_exhaustive()
    }
}

/// A place that holds objects by key.
///
/// The contract, clause by clause (each is a conformance test):
///
/// * `list_is_in_byte_order`: entries come in byte order of their whole keys, each key once, unless
///   [`Capabilities::ordered`] is false.
/// * `list_is_complete`: every entry under the prefix comes, over as many pages as it takes; the prefix is text, so
///   `da` lists `data/x` too.
/// * `list_start_after`: with `start_after` only greater keys come.
/// * `list_shallow_names_directories`: a shallow listing gives what stands directly under the prefix, and each
///   deeper level once, as a directory.
/// * `list_error_is_never_an_early_end`: a listing that could not be read to its end ends with an error.
/// * `head_equals_list`: `head` and `list` give the same size, fingerprint and digest.
/// * `get_returns_what_put_stored`, `get_range`: the body is the content, or exactly the range of it.
/// * `get_missing_is_not_found`, `get_if_match_mismatch`: errors by kind.
/// * `put_replaces`, `put_is_atomic`: the new content is seen whole or not at all, also when the put fails midway.
/// * `put_expectation`: with an [`Expect`] that does not hold nothing changes (where [`Capabilities::conditional_put`]).
/// * `put_large_content`: content larger than any internal part size arrives whole.
/// * `fingerprint_changes_with_content`: other content under the same key has another fingerprint.
/// * `delete_missing_is_ok`, `delete_answers_per_key`: each key has an answer, a missing one is a success.
/// * `delete_spares_what_changed`: an object that is not as [`DeleteKey::unless_changed`] describes it stays, and its answer
///   is `Precondition` (where [`Capabilities::conditional_delete`]).
/// * `copy_keeps_content`: where [`Capabilities::server_copy`].
/// * `keys_round_trip`: what is listed is what is fetched, replaced and deleted, for every key the store's
///   [`KeyRule`] admits.
/// * `bad_key_hurts_only_itself`: a key the store cannot hold is refused with `InvalidKey` and nothing else happens.
/// * `unfinished_puts_can_be_abandoned`: what `unfinished` shows is gone after `abandon`; what a put that failed left
///   behind is no entry of any listing.
/// * `usage_counts_requests`: what [`usage`](Self::usage) counts grows with every request.
///
/// `Any` lets one store recognise another of its own type behind [`Content::origin`], which is how a file-to-file copy
/// becomes the kernel's and an S3-to-S3 copy the server's without the engine knowing.
#[async_trait]
pub trait RemoteStore: Any + Debug + Display + Send + Sync {
    /// Returns what this store can do, as data. Only what is learned from answers changes while it lives: conditions that
    /// a server turns out not to honour, and its clock.
    fn capabilities(&self) -> Capabilities;

    /// Returns the requests sent so far, by kind; empty for a store that sends none.
    fn usage(&self) -> Usage;

    /// Returns why the store's last request failed, while requests fail and are sent again. A transfer that is stopped
    /// in that time has no other cause to name.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Lists the entries whose keys start with `prefix`.
    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream;

    /// Returns the entry at `key`.
    async fn head(&self, key: &Key) -> Result<Entry>;

    /// Reads content, or a range of it.
    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download>;

    /// Returns the size of the parts in which an entry's content was stored, if the store knows it and only the last part
    /// has another size. With it, a [`Digest::Md5OfParts`](crate::Digest::Md5OfParts) can be compared whatever the size is.
    ///
    /// The answer is about the entry's version: another one is a `Precondition`.
    async fn part_size(&self, _entry: &Entry) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Stores content under `key` and returns the entry as it now is.
    ///
    /// How the content is split, sent in parallel and retried is the store's own matter, within
    /// [`PutOptions::budget`].
    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Entry>;

    /// Deletes keys and answers for each, in the order given. A missing key is a success.
    ///
    /// A key that ends in `/` names a placeholder: what lies below it stays, and where directories are real, one
    /// that still holds something stays too, which is a success.
    /// A store that cannot delete on a condition in one step looks at the object right before it deletes it, or has no
    /// [`Capabilities::conditional_delete`]; then the engine looks.
    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>>;

    /// Returns the puts below `prefix` that were begun, by anybody, and neither finished nor given up.
    ///
    /// They are paid for or use up the disk, and no listing shows them. A store that has none returns none.
    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>>;

    /// Gives up unfinished puts and frees what they hold; one that is gone already is a success.
    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>>;

    /// Copies an object inside this store without moving its bytes through this machine.
    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry>;

    /// Gives the content at `from` the key `to`, which nothing has yet, and returns the entry as it now is. A store that can
    /// do this in one step, without copying, should.
    async fn rename(&self, from: &Key, to: &Key) -> Result<Entry> {
        let entry = self.copy(from, to).await?;
        match self.delete(&[DeleteKey::new(from.clone())]).await.pop() {
            Some(Err(error)) => Err(error),
            _ => Ok(entry),
        }
    }
}
