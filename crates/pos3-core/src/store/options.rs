//! The options of the store's methods. Every field has a default.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use crate::content_type::ContentTypeResolver;
use crate::entry::Fingerprint;
use crate::filter::Filter;
use crate::journal::Journal;
use crate::key::Key;

use super::budget::Budget;
use super::doubts::Doubts;
use super::opened::Opened;
use super::witness::PutWitness;

/// Options of [`RemoteStore::list`](super::RemoteStore::list).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListOptions {
    /// Return only keys greater than this one, which is a full key including the prefix.
    pub start_after: Option<Key>,
    /// Return only entries directly under the prefix; each deeper level appears once, as a directory.
    pub shallow: bool,
    /// Allows the store to skip whole directories that this filter excludes. It is only a hint: the listing may still
    /// contain excluded entries. The filter applies to keys without the prefix.
    pub prune: Filter,
    /// Where the store notes the directories that changed whenever it read them.
    pub doubts: Doubts,
}

impl ListOptions {
    /// Requests only keys greater than `key`.
    #[must_use]
    pub fn with_start_after(mut self, key: Key) -> Self {
        self.start_after = Some(key);
        self
    }

    /// Requests only one level.
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
    /// Return only these bytes. The range must lie inside the content; an empty range returns an empty body.
    pub range: Option<Range<u64>>,
    /// Fail with `Precondition` unless the object still has this fingerprint.
    pub if_match: Option<Fingerprint>,
    /// The resource opened for other ranges of the same content, or the slot to store it in.
    pub opened: Opened,
}

impl GetOptions {
    /// Requests a range of bytes.
    #[must_use]
    pub fn with_range(mut self, range: Range<u64>) -> Self {
        self.range = Some(range);
        self
    }

    /// Requires that the object still has this fingerprint.
    #[must_use]
    pub fn with_if_match(mut self, fingerprint: impl Into<Option<Fingerprint>>) -> Self {
        self.if_match = fingerprint.into();
        self
    }

    /// Shares an opened resource with other reads of the same key and state.
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
    /// The condition on the existing entry for the put.
    pub expect: Expect,
    /// The modification time to set, if the store can.
    pub modified: Option<SystemTime>,
    /// The media type, such as `text/plain`.
    pub content_type: Option<String>,
    /// What determines the media type if none is set and the content has none of its own.
    pub content_type_resolver: ContentTypeResolver,
    /// The user's own metadata, if the store keeps any.
    pub metadata: BTreeMap<String, String>,
    /// The budget for further parallel parts. The caller already holds one slot.
    pub budget: Budget,
    /// Where a store may save what it needs to resume this put after a kill. Without a journal, an aborted put leaves
    /// nothing behind.
    pub journal: Option<Arc<dyn Journal>>,
    /// Receives the facts about the content before it is stored, if the store knows them by then.
    pub witness: Option<Arc<dyn PutWitness>>,
}

impl PutOptions {
    /// Sets the condition on the existing entry.
    #[must_use]
    pub fn with_expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }

    /// Sets the modification time to set.
    #[must_use]
    pub fn with_modified(mut self, modified: impl Into<Option<SystemTime>>) -> Self {
        self.modified = modified.into();
        self
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<Option<String>>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// Sets what determines the media type if none is set and the content has none of its own.
    #[must_use]
    pub fn with_content_type_resolver(mut self, resolver: ContentTypeResolver) -> Self {
        self.content_type_resolver = resolver;
        self
    }

    /// Sets where an unfinished put may be recorded.
    #[must_use]
    pub fn with_journal(mut self, journal: Option<Arc<dyn Journal>>) -> Self {
        self.journal = journal;
        self
    }

    /// Sets the witness, which receives the facts about the content before it is stored.
    #[must_use]
    pub fn with_witness(mut self, witness: Option<Arc<dyn PutWitness>>) -> Self {
        self.witness = witness;
        self
    }

    /// Sets the budget for further parallel parts.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}

/// A condition on the existing entry for a put. A store without
/// [`conditional_put`](super::Capabilities::conditional_put) ignores it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// No condition.
    #[default]
    Anything,
    /// There must be no entry; otherwise the put fails with `AlreadyExists`.
    Absent,
    /// The object must have this fingerprint; otherwise the put fails with `Precondition`.
    Unchanged(Fingerprint),
}
