//! The abilities of a store, as data: the engine queries them instead of trying operations.

use crate::entry::{Entry, Kind};
use crate::key::UnsafeKey;

/// The abilities of a store. Create it with [`Capabilities::new`] and the `with_` methods, so that fields can be added
/// later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Listings come in byte order of the full key. If false, the engine sorts them.
    pub ordered: bool,
    /// The keys that the store can hold.
    pub keys: KeyRule,
    /// Reading content takes no request, so hashing it for a comparison is cheap.
    pub local_reads: bool,
    /// `put` checks [`Expect`](super::Expect) atomically.
    pub conditional_put: bool,
    /// `copy` is supported.
    pub server_copy: bool,
    /// `delete` preserves an object that differs from [`DeleteKey::unless_changed`](super::DeleteKey::unless_changed),
    /// by a conditional request or by a lookup right before it.
    pub conditional_delete: bool,
    /// The number of keys per `delete` request; 1 if each key takes its own request.
    pub delete_batch: usize,
    /// `put` with [`PutOptions::modified`](super::PutOptions::modified) preserves that time.
    pub keeps_modified: bool,
}

impl Capabilities {
    /// Returns the capabilities of a plain object store: ordered listings, any key, no conditional puts, no server-side
    /// copy, one delete per request.
    pub fn new() -> Self {
        Self {
            ordered: true,
            keys: KeyRule::Any,
            local_reads: false,
            conditional_put: false,
            server_copy: false,
            conditional_delete: false,
            delete_batch: 1,
            keeps_modified: false,
        }
    }

    /// Returns true if keys are independent of each other, so the order of deletes does not matter.
    pub fn is_flat(&self) -> bool {
        self.keys == KeyRule::Any
    }

    /// Sets whether listings come in byte order.
    #[must_use]
    pub fn with_ordered(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }

    /// Sets which keys the store can hold.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyRule) -> Self {
        self.keys = keys;
        self
    }

    /// Sets whether reading content takes no request.
    #[must_use]
    pub fn with_local_reads(mut self, local_reads: bool) -> Self {
        self.local_reads = local_reads;
        self
    }

    /// Sets whether `put` checks expectations atomically.
    #[must_use]
    pub fn with_conditional_put(mut self, conditional_put: bool) -> Self {
        self.conditional_put = conditional_put;
        self
    }

    /// Sets whether `copy` is supported.
    #[must_use]
    pub fn with_server_copy(mut self, server_copy: bool) -> Self {
        self.server_copy = server_copy;
        self
    }

    /// Sets whether `delete` honours its conditions.
    #[must_use]
    pub fn with_conditional_delete(mut self, conditional_delete: bool) -> Self {
        self.conditional_delete = conditional_delete;
        self
    }

    /// Sets the number of keys per delete request; at least 1.
    #[must_use]
    pub fn with_delete_batch(mut self, keys: usize) -> Self {
        self.delete_batch = keys.max(1);
        self
    }

    /// Sets whether `put` preserves the modification time it is given.
    #[must_use]
    pub fn with_keeps_modified(mut self, keeps: bool) -> Self {
        self.keeps_modified = keeps;
        self
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::new()
    }
}

/// The keys that a store can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRule {
    /// Any key is only a name; `a` and `a/x` can both be objects.
    Any,
    /// Keys are file paths: [`Key::check_path`](crate::Key::check_path) decides, a marker becomes a directory and
    /// cannot have content, and a file cannot also be a directory.
    FilePath,
}

impl KeyRule {
    /// Checks that this entry can be stored under its key.
    ///
    /// # Errors
    ///
    /// Returns why it cannot.
    pub fn check(self, entry: &Entry) -> Result<(), UnsafeKey> {
        match self {
            Self::Any => Ok(()),
            Self::FilePath if entry.kind == Kind::Marker && entry.size > 0 => Err(UnsafeKey::MarkerWithContent),
            Self::FilePath => entry.key.check_path(),
        }
    }
}
