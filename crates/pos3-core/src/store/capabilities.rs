//! The abilities of a store, as data: the engine queries them instead of trying operations.

use crate::entry::{Entry, Kind};
use crate::key::UnsafeKey;

/// The abilities of a store. Create it with [`Capabilities::new`] and the `with_` methods, so that fields can be added
/// later.
///
/// | capability | default | the engine uses it to decide |
/// | --- | --- | --- |
/// | [`ordered`](Self::ordered) | `true` | whether it sorts the listings |
/// | [`namespace`](Self::namespace) | [`Namespace::Flat`] | which keys can be stored and which names exclude each other, whether the entries above a key matter, and whether deletes have an order |
/// | [`reads`](Self::reads) | [`Reads::Remote`] | whether it hashes content or asks for the facts about an entry, whether content must be verified, and whether a lookup before a delete is free |
/// | [`conditional_put`](Self::conditional_put) | `false` | whether the condition of a `put` suffices if it is not allowed to look up the key |
/// | [`server_copy`](Self::server_copy) | `false` | nothing; [`RemoteStore::copy`](super::RemoteStore::copy) is for other callers |
/// | [`conditional_delete`](Self::conditional_delete) | `false` | whether it looks up the target before a `delete` |
/// | [`delete_batch`](Self::delete_batch) | 1 | how many keys it deletes with one call |
/// | [`keeps_modified`](Self::keeps_modified) | `false` | whether equal times are evidence of equal content |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Listings come in byte order of the full key. If false, the engine sorts them.
    pub ordered: bool,
    /// How keys depend on each other, and which keys the store can hold.
    pub namespace: Namespace,
    /// Where content is read from.
    pub reads: Reads,
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
    /// Returns the capabilities of a plain object store behind a network: the defaults of the [table](Capabilities).
    pub fn new() -> Self {
        Self {
            ordered: true,
            namespace: Namespace::Flat,
            reads: Reads::Remote,
            conditional_put: false,
            server_copy: false,
            conditional_delete: false,
            delete_batch: 1,
            keeps_modified: false,
        }
    }

    /// Sets whether listings come in byte order.
    #[must_use]
    pub fn with_ordered(mut self, ordered: bool) -> Self {
        self.ordered = ordered;
        self
    }

    /// Sets how keys depend on each other.
    #[must_use]
    pub fn with_namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// Sets where content is read from.
    #[must_use]
    pub fn with_reads(mut self, reads: Reads) -> Self {
        self.reads = reads;
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

/// Where the content of a store is read from. This does not depend on its [namespace](Namespace): a network file system
/// with an API of its own has directories and remote reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reads {
    /// This machine. Reads and lookups take no request, so the engine hashes content to compare it instead of asking for
    /// the facts about one entry. No network can damage what is read, so it needs no verification.
    Local,
    /// A server. Each read and each lookup is a request, and content must be verified.
    #[default]
    Remote,
}

/// How the keys of a store depend on each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Namespace {
    /// A key is only a name. Any key is possible, and `a` and `a/x` can both be objects.
    #[default]
    Flat,
    /// Keys are paths in directories that exist. [`Key::check_path`](crate::Key::check_path) decides which keys are
    /// possible. A marker becomes a directory and cannot have content, and a file and a directory cannot have the same
    /// name. A directory is deleted only after everything in it.
    Hierarchical,
}

impl Namespace {
    /// Checks that this entry can be stored under its key.
    ///
    /// # Errors
    ///
    /// Returns why it cannot.
    pub fn check(self, entry: &Entry) -> Result<(), UnsafeKey> {
        match self {
            Self::Flat => Ok(()),
            Self::Hierarchical if entry.kind == Kind::Marker && entry.size > 0 => Err(UnsafeKey::MarkerWithContent),
            // The store hides such a file, and removes it with its next write.
            Self::Hierarchical if entry.kind == Kind::File && entry.key.is_staged() => Err(UnsafeKey::Reserved),
            Self::Hierarchical => entry.key.check_path(),
        }
    }
}
