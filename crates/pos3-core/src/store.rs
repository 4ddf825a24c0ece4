//! The interface that every backend implements: [`RemoteStore`].
//!
//! It has few methods. Methods that every backend must implement in its own way have no default, because a wrong
//! default would go unnoticed. Convenience methods are in [`RemoteStoreExt`], which a backend cannot implement. Each
//! clause of the contract below has a test of the same name in the conformance suite
//! ([`conformance!`](crate::conformance!)).

mod backend;
mod budget;
mod capabilities;
mod content;
mod delete;
mod doubts;
mod ext;
mod files;
mod opened;
mod options;
mod pace;
mod recorded;
mod space;
mod stored;
mod usage;
mod witness;

pub(crate) mod memory;

use std::fmt::{Debug, Display};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::entry::Entry;
use crate::error::StoreError;
use crate::journal::Unfinished;
use crate::key::Key;

pub use backend::Backend;
pub use budget::{Budget, Reservation, Slot};
pub use capabilities::{Capabilities, Namespace, Reads};
pub use content::{BEHIND_LINK, CONTRADICTED, Content, Meter, OTHER_DIGEST, OTHER_DIRECTORY, collect_exactly};
pub use delete::{DeleteKey, Seen};
pub use doubts::Doubts;
pub use ext::RemoteStoreExt;
pub use files::open_file_limit;
pub use opened::Opened;
pub use options::{Expect, GetOptions, ListOptions, PutOptions};
pub use pace::Pace;
pub use recorded::Recorded;
pub use stored::Stored;
pub use usage::Usage;
pub use witness::{ContentFacts, PutWitness};

/// The result of an operation on a store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A listing as a store returns it: entries in byte order of their keys, not yet checked.
pub type EntryStream = BoxStream<'static, Result<Entry>>;

/// Content in pieces. If not all of it could be read, the last item is an error.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// The content of an object, with the facts that the store returned with it.
pub struct Download {
    /// The object when the body was sent. `size` is that of the whole object, even for a range.
    pub entry: Entry,
    /// The content of the requested range.
    pub body: ByteStream,
    /// True if the store compares the body with a checksum of its own, such as an MD5, and ends it with an error if they
    /// differ. Bytes that never left the machine are treated as checked.
    pub checked: bool,
}

impl Download {
    /// Returns a body that is checked only for its length.
    pub fn new(entry: Entry, body: ByteStream) -> Self {
        Self { entry, body, checked: false }
    }

    /// Sets whether the body is compared with a checksum at its end.
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

/// A store of objects by key: a bucket, a directory, or anything else with the same contract.
///
/// The contract, clause by clause. Each clause is a conformance test:
///
/// * `list_is_in_byte_order`: a listing returns entries in byte order of their whole keys, and each key once, unless
///   [`Capabilities::ordered`] is false.
/// * `list_is_complete`: a listing returns every entry under the prefix, however many pages that takes. The prefix is
///   plain text, so `da` also lists `data/x`.
/// * `list_start_after`: with `start_after`, a listing returns only greater keys.
/// * `list_shallow_names_directories`: a shallow listing returns the entries directly under the prefix. Each deeper level
///   is returned once, as a directory.
/// * `list_error_is_never_an_early_end`: a listing that cannot be completed ends with an error.
/// * `head_equals_list`: `head` and `list` return the same size, fingerprint and digest.
/// * `head_confirmed_equals_head`: `head_confirmed` returns the same entry as `head`, or the same kind of error.
/// * `get_returns_what_put_stored`, `get_range`: the body is the whole content, or exactly the requested range.
/// * `get_missing_is_not_found`, `get_if_match_mismatch`: each of these errors has its own kind.
/// * `put_replaces`, `put_is_atomic`: readers see the whole new content or none of it, even if the put fails midway.
/// * `put_expectation`: if an [`Expect`] is not met, nothing changes (where [`Capabilities::conditional_put`] is true).
/// * `put_large_content`: content larger than any internal part size is stored completely.
/// * `fingerprint_changes_with_content`: if the content under a key changes, its fingerprint changes.
/// * `delete_missing_is_ok`, `delete_answers_per_key`: each key has its own result. Deleting a missing key succeeds.
/// * `delete_spares_what_changed`: an object that does not match [`DeleteKey::unless_changed`] is not deleted, and its
///   result is `Precondition` (where [`Capabilities::conditional_delete`] is true).
/// * `copy_keeps_content`: a copy has the same content (where [`Capabilities::server_copy`] is true).
/// * `copy_through_a_wrapper_stays_inside_the_store`: content of this store is put into this store without being read,
///   even if both are used through a wrapper (where [`Capabilities::server_copy`] is true).
/// * `keys_round_trip`: every listed key can be read, replaced and deleted, for all keys that the store's [`Namespace`]
///   allows.
/// * `bad_key_hurts_only_itself`: a key that the store cannot store is refused with `InvalidKey`, and nothing else happens.
/// * `unfinished_puts_can_be_abandoned`: after `abandon`, `unfinished` no longer returns the put. The remains of a
///   failed put are not in any listing.
/// * `usage_counts_requests`: [`usage`](Self::usage) grows with every request.
///
/// A **wrapper** is a store that passes calls to another one, for example to limit or count them. It must forward every
/// method, even those with a default; `#[deny(clippy::missing_trait_methods)]` on its `impl` checks that.
#[async_trait]
pub trait RemoteStore: Debug + Display + Send + Sync + 'static {
    /// Returns what this store can do, as data. Only facts that the store learns from responses change over its lifetime:
    /// its clock, and whether its server honours conditions.
    fn capabilities(&self) -> Capabilities;

    /// Returns the store that has the object at `key`, and its key there. With it, a store recognises content of
    /// another store of its own type and copies it without reading it: the kernel copies from file to file, or the
    /// server from object to object. The engine is not involved.
    ///
    /// A backend returns itself: `Some(Backend::new(self, key))`. A wrapper returns the backend of the store that it wraps,
    /// for the key under which it stores the object there. It returns `None` if content must be read through it: because
    /// the content or the fingerprints that it returns differ from those of the wrapped store, or because it checks or
    /// changes each read. Content without a backend is read and sent.
    fn backend(&self, key: &Key) -> Option<Backend<'_>>;

    /// Returns the number of requests sent so far, by kind. It is empty for a store that sends none.
    fn usage(&self) -> Usage;

    /// Returns why the last request failed, while the store retries requests. A transfer that is stopped meanwhile
    /// reports it as the cause.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Lists the entries whose keys start with `prefix`.
    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream;

    /// Returns the entry at `key`.
    async fn head(&self, key: &Key) -> Result<Entry>;

    /// Returns the entry at `key`, compared with a second source if a cache in front of the server may answer
    /// [`head`](Self::head) with an old state. The engine asks for it before it acts on a lookup that differs from the
    /// listing. If there is no second source, for example because the credentials do not permit it, this is `head`.
    ///
    /// # Errors
    ///
    /// Fails with `Precondition` if the two differ, so that the present state is unknown.
    async fn head_confirmed(&self, key: &Key) -> Result<Entry> {
        self.head(key).await
    }

    /// Reads content or a range of it.
    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download>;

    /// Returns the size of the parts in which an entry's content was stored, if the store knows it and all parts but
    /// the last have that size. With it, a [`Digest::Md5OfParts`](crate::Digest::Md5OfParts) with parts of any size can
    /// be compared.
    ///
    /// # Errors
    ///
    /// Fails with `Precondition` if the object is no longer the entry's version.
    async fn part_size(&self, _entry: &Entry) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Stores content under `key`. Returns the new entry, and whether a checksum verified it: the response of a server
    /// to what it received, or the checksum or digest that the content's store reports ([`Content::is_checked`]).
    ///
    /// If the content comes from a store of the same type ([`Content::origin_as`]), the store copies it without reading it.
    ///
    /// The store decides how it splits the content, how many parts it sends in parallel, within
    /// [`PutOptions::budget`], and what it retries. If it has repeated its requests, its error is marked as
    /// [retried](StoreError::retried). For damage that it has not repeated anything for, the engine puts the content up to
    /// two more times.
    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored>;

    /// Deletes keys and returns a result for each, in the given order. Deleting a missing key succeeds.
    ///
    /// A key that ends in `/` is a marker. Entries below it are not deleted. If the store has real directories, it does
    /// not delete one that is not empty, and the result is still a success.
    ///
    /// A store that cannot delete on a condition in one step may look up the object right before it deletes it. If it
    /// does not, its [`Capabilities::conditional_delete`] must be false; then the engine looks up the object.
    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>>;

    /// Returns the puts below `prefix` that any process has begun and that were neither completed nor aborted.
    ///
    /// They cost money or disk space, and no listing contains them.
    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>>;

    /// Aborts unfinished puts and frees their storage. Aborting one that no longer exists succeeds.
    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>>;

    /// Copies an object within this store without sending its bytes through this machine.
    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry>;

    /// Moves the content at `from` to the key `to`, which must not exist yet, and returns the new entry. A store that can
    /// do this in one step, without a copy, should override this method.
    async fn rename(&self, from: &Key, to: &Key) -> Result<Entry> {
        let entry = self.copy(from, to).await?;
        match self.delete(&[DeleteKey::new(from.clone())]).await.pop() {
            Some(Err(error)) => Err(error),
            _ => Ok(entry),
        }
    }
}
