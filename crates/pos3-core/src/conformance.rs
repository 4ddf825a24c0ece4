//! Tests the contract of [`RemoteStore`], for the backends of this project and for your own.
//!
//! Without a shared suite, each backend could read the contract differently, and the engine would be wrong on one of them.
//! [`conformance!`](crate::conformance!) expands to one test per clause of the contract. Two further stores misbehave on
//! purpose: [`FaultStore`] and [`RelistedStore`].

pub mod clauses;
mod fault;
mod model;
mod relisted;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::key::Key;
use crate::store::RemoteStore;

pub use fault::FaultStore;
pub(crate) use fault::THEIRS;
pub use model::{Consequence, Model, Participant, Trouble};
pub use relisted::{RelistedStore, Surplus};

/// Keys that break other tools. A store must store each of them exactly, or refuse only that key.
pub const ODD_KEYS: [&str; 28] = [
    "a//b",
    "/lead",
    "//",
    "dir/",
    "dir/x",
    "dir",
    "a%20b",
    "a b",
    "a+b",
    "x#1",
    "y?z",
    "s;p=1",
    "c/./d",
    "c/../d",
    "../up",
    "line\nbreak",
    "tab\there",
    "bell\u{7}",
    "<tag>&amp;\"'",
    "caf\u{e9}",
    "cafe\u{301}",
    "日本/語",
    "emoji-🦀",
    "back\\slash",
    "trailing ",
    "~tilde!*'()",
    "q{x}[y]^`|",
    ".hidden",
];

/// Represents a key of 1024 bytes without a slash. S3 accepts no longer key.
pub const LONGEST_KEY: &str = "1024 bytes";

/// A store under test, with its known deviations.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn RemoteStore>,
    /// The prefix of this test, so that tests can share a store.
    pub prefix: String,
    quirks: Vec<(&'static str, &'static str)>,
    unfit: Vec<(&'static str, &'static str)>,
    absent: Option<String>,
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl Subject {
    /// Returns a subject with a new random prefix.
    pub fn new(store: Arc<dyn RemoteStore>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let nanos =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|time| time.as_nanos()).unwrap_or_default();
        let prefix = format!("suite-{}-{nanos}-{}/", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { store, prefix, quirks: Vec::new(), unfit: Vec::new(), absent: None, _guard: None }
    }

    /// Returns a subject whose clauses are all skipped, for a reason that the test prints, such as a missing server.
    pub fn absent(why: impl Into<String>) -> Self {
        Self { absent: Some(why.into()), ..Self::new(Arc::new(crate::MemoryStore::new())) }
    }

    /// Preserves a value until the test ends, such as a temporary directory or a server.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self._guard = Some(Box::new(guard));
        self
    }

    /// Skips a clause, for a reason that the test prints.
    #[must_use]
    pub fn skipping(mut self, clause: &'static str, quirk: &'static str) -> Self {
        self.quirks.push((clause, quirk));
        self
    }

    /// Leaves out one of [`ODD_KEYS`], or [`LONGEST_KEY`], for a reason that the test prints.
    #[must_use]
    pub fn without_key(mut self, key: &'static str, quirk: &'static str) -> Self {
        self.unfit.push((key, quirk));
        self
    }

    /// Returns the store's key for a name under this test's prefix.
    pub fn key(&self, name: &str) -> Key {
        Key::from(name).under(&self.prefix)
    }

    /// Returns the odd keys that this store is tested with.
    pub fn odd_keys(&self) -> Vec<&'static str> {
        ODD_KEYS.into_iter().filter(|key| self.takes(key)).collect()
    }

    /// Returns true if the store is tested with this key, and logs the reason if it is not.
    pub fn takes(&self, key: &str) -> bool {
        let quirk = self.unfit.iter().find(|(unfit, _)| *unfit == key);
        if let Some((_, quirk)) = quirk {
            skipped(&format!("key {key:?}"), quirk);
        }
        quirk.is_none()
    }

    /// Returns true if the clause is skipped for this store, and logs the reason.
    pub fn skips(&self, clause: &str) -> bool {
        let quirk = self.quirks.iter().find(|(skipped, _)| *skipped == clause).map(|(_, quirk)| *quirk);
        let why = self.absent.as_deref().or(quirk);
        if let Some(why) = why {
            skipped(clause, why);
        }
        why.is_some()
    }
}

fn skipped(what: &str, quirk: &str) {
    tracing::warn!("skipped {what}: {quirk}");
}

/// Expands to a module of tests, one per clause of the contract.
///
/// ```no_run
/// # use std::sync::Arc;
/// use pos3_core::MemoryStore;
/// use pos3_core::conformance::Subject;
///
/// pos3_core::conformance!(memory, async || Subject::new(Arc::new(MemoryStore::new())));
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance {
    ($name:ident, $subject:expr) => {
        $crate::conformance_clauses! { $name, $subject,
            list_is_in_byte_order
            list_is_complete
            list_start_after
            list_shallow_names_directories
            head_equals_list
            head_confirmed_equals_head
            get_returns_what_put_stored
            get_range
            get_missing_is_not_found
            get_if_match_mismatch
            put_replaces
            put_is_atomic
            put_expectation
            put_large_content
            fingerprint_changes_with_content
            delete_missing_is_ok
            delete_answers_per_key
            delete_spares_what_changed
            copy_keeps_content
            copy_through_a_wrapper_stays_inside_the_store
            keys_round_trip
            bad_key_hurts_only_itself
            unfinished_puts_can_be_abandoned
            usage_counts_requests
        }
    };
}

/// Expands to one test for each of the given clauses.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_clauses {
    ($name:ident, $subject:expr, $($clause:ident)*) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $clause() {
                    let make = $subject;
                    let subject: $crate::conformance::Subject = make().await;
                    if !subject.skips(stringify!($clause)) {
                        $crate::conformance::clauses::$clause(&subject).await;
                    }
                }
            )*
        }
    };
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
