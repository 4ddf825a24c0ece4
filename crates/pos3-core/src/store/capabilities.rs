//! What a store can do, as data: the engine asks instead of trying.

use super::ClockSkew;
use crate::entry::{Entry, Kind};
use crate::key::UnsafeKey;

/// What a store can do. Made with [`Capabilities::new`] and the `with_` methods, so that fields can be added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Listings come in byte order of the whole key. A store without it is sorted by the engine.
    pub ordered: bool,
    /// Which keys the store can hold.
    pub keys: KeyRule,
    /// Reading content costs no request, so hashing it to compare is cheap.
    pub local_reads: bool,
    /// `put` honours [`Expect`](super::Expect) atomically.
    pub conditional_put: bool,
    /// `copy` works.
    pub server_copy: bool,
    /// How many keys one `delete` request takes; 1 where each key costs one.
    pub delete_batch: usize,
    /// `put` with [`PutOptions::modified`](super::PutOptions::modified) keeps that time.
    pub keeps_modified: bool,
    /// How the clock that dates the entries differs from this machine's, as far as that is known.
    pub clock: ClockSkew,
}

impl Capabilities {
    /// Returns those of a plain object store: ordered, any key, nothing conditional, one delete per request.
    pub fn new() -> Self {
        Self {
            ordered: true,
            keys: KeyRule::Any,
            local_reads: false,
            conditional_put: false,
            server_copy: false,
            delete_batch: 1,
            keeps_modified: false,
            clock: ClockSkew::default(),
        }
    }

    /// Returns true if keys do not depend on each other: nothing has to be deleted before something else.
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

    /// Sets whether reading content costs no request.
    #[must_use]
    pub fn with_local_reads(mut self, local_reads: bool) -> Self {
        self.local_reads = local_reads;
        self
    }

    /// Sets whether `put` honours expectations.
    #[must_use]
    pub fn with_conditional_put(mut self, conditional_put: bool) -> Self {
        self.conditional_put = conditional_put;
        self
    }

    /// Sets whether `copy` works.
    #[must_use]
    pub fn with_server_copy(mut self, server_copy: bool) -> Self {
        self.server_copy = server_copy;
        self
    }

    /// Sets how many keys one delete request takes.
    #[must_use]
    pub fn with_delete_batch(mut self, keys: usize) -> Self {
        self.delete_batch = keys.max(1);
        self
    }

    /// Sets whether `put` keeps the modification time it is given.
    #[must_use]
    pub fn with_keeps_modified(mut self, keeps: bool) -> Self {
        self.keeps_modified = keeps;
        self
    }

    /// Sets how the store's clock differs from this machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: ClockSkew) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::new()
    }
}

/// Which keys a store can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyRule {
    /// Any key is just a name; `a` and `a/x` can both be objects.
    Any,
    /// Keys become file paths: [`Key::check_path`](crate::Key::check_path) decides, a marker becomes a directory
    /// and cannot hold content, and a file cannot also be a directory.
    FilePath,
}

impl KeyRule {
    /// Checks that an entry like this can be stored under its key.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub fn check(self, entry: &Entry) -> Result<(), UnsafeKey> {
        match self {
            Self::Any => Ok(()),
            Self::FilePath if entry.kind == Kind::Marker && entry.size > 0 => Err(UnsafeKey::MarkerWithContent),
            Self::FilePath => entry.key.check_path(),
        }
    }
}
