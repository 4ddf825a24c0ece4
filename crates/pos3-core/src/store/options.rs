//! The options of the store's verbs; every field has a default that asks for nothing special.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use crate::entry::Fingerprint;
use crate::filter::Filter;
use crate::journal::Journal;
use crate::key::Key;

use super::budget::Budget;
use super::opened::Opened;

/// Options of [`RemoteStore::list`](super::RemoteStore::list).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListOptions {
    /// Only keys greater than this one (a whole key, prefix included).
    pub start_after: Option<Key>,
    /// Only what stands directly under the prefix; deeper levels appear once, as a directory.
    pub shallow: bool,
    /// Whole directories that this filter excludes need not be visited. A hint: entries it excludes may still come.
    /// It speaks of keys with the prefix taken off.
    pub prune: Filter,
}

impl ListOptions {
    /// Asks only for keys greater than `key`.
    #[must_use]
    pub fn with_start_after(mut self, key: Key) -> Self {
        self.start_after = Some(key);
        self
    }

    /// Asks for one level only.
    #[must_use]
    pub fn with_shallow(mut self, shallow: bool) -> Self {
        self.shallow = shallow;
        self
    }

    /// Allows the store to skip directories that `filter` excludes.
    #[must_use]
    pub fn with_prune(mut self, filter: Filter) -> Self {
        self.prune = filter;
        self
    }
}

/// Options of [`RemoteStore::get`](super::RemoteStore::get).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GetOptions {
    /// Only these bytes. The range must lie inside the content; an empty range gives an empty body.
    pub range: Option<Range<u64>>,
    /// Only if the object still has this fingerprint; otherwise a `Precondition` error.
    pub if_match: Option<Fingerprint>,
    /// What was opened for other ranges of the same content, or where to keep it for them.
    pub opened: Opened,
}

impl GetOptions {
    /// Asks for a range of bytes.
    #[must_use]
    pub fn with_range(mut self, range: Range<u64>) -> Self {
        self.range = Some(range);
        self
    }

    /// Asks for exactly this state of the object.
    #[must_use]
    pub fn with_if_match(mut self, fingerprint: Option<Fingerprint>) -> Self {
        self.if_match = fingerprint;
        self
    }

    /// Shares what is opened with other reads of the same key and state.
    #[must_use]
    pub fn with_opened(mut self, opened: Opened) -> Self {
        self.opened = opened;
        self
    }
}

/// Options of [`RemoteStore::put`](super::RemoteStore::put).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PutOptions {
    /// What must stand at the key for the put to happen.
    pub expect: Expect,
    /// The modification time to give, where the store can.
    pub modified: Option<SystemTime>,
    /// The media type, such as `text/plain`.
    pub content_type: Option<String>,
    /// The user's own metadata, where the store keeps any.
    pub metadata: BTreeMap<String, String>,
    /// What the store may use for further parallel parts. The caller already holds one slot.
    pub budget: Budget,
    /// Where a store may note what it needs to take this put up again after a kill. Without it a put that is given up
    /// leaves nothing behind.
    pub journal: Option<Arc<dyn Journal>>,
}

impl PutOptions {
    /// Sets what must stand at the key.
    #[must_use]
    pub fn with_expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Sets the modification time to give.
    #[must_use]
    pub fn with_modified(mut self, modified: Option<SystemTime>) -> Self {
        self.modified = modified;
        self
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: Option<String>) -> Self {
        self.content_type = content_type;
        self
    }

    /// Sets where an unfinished put may be noted.
    #[must_use]
    pub fn with_journal(mut self, journal: Option<Arc<dyn Journal>>) -> Self {
        self.journal = journal;
        self
    }

    /// Sets the budget that further parallel parts are taken from.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}

/// What must stand at a key for a put to happen. A store without
/// [`conditional_put`](super::Capabilities::conditional_put) ignores it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Anything or nothing.
    #[default]
    Anything,
    /// Nothing; otherwise `AlreadyExists`.
    Absent,
    /// An object with this fingerprint; otherwise `Precondition`.
    Unchanged(Fingerprint),
}
