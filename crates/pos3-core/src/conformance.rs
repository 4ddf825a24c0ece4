//! The contract of [`RemoteStore`] as tests, for every backend, ours and yours.
//!
//! Without a shared suite each backend would be right in its own way, and the engine wrong on one of them.
//! [`conformance!`](crate::conformance!) expands to one test per clause of the contract. Alongside stand three stores that
//! misbehave on purpose: [`FaultStore`] and [`RelistedStore`].

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

/// The keys that break other tools: each must be stored exactly, or refused for itself alone.
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

/// Stands for a key of 1024 bytes, the most that S3 takes, without any slash of its own.
pub const LONGEST_KEY: &str = "1024 bytes";

/// A store under test, with what is known to be wrong with it.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn RemoteStore>,
    /// The prefix this test works under, so that tests can share a store.
    pub prefix: String,
    quirks: Vec<(&'static str, &'static str)>,
    unfit: Vec<(&'static str, &'static str)>,
    absent: Option<String>,
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl Subject {
    /// Returns a subject that works under a fresh random prefix.
    pub fn new(store: Arc<dyn RemoteStore>) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let nanos =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|time| time.as_nanos()).unwrap_or_default();
        let prefix = format!("suite-{}-{nanos}-{}/", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self { store, prefix, quirks: Vec::new(), unfit: Vec::new(), absent: None, _guard: None }
    }

    /// Returns a subject of which every clause is skipped, for a reason that is shown: its server is not there.
    pub fn absent(why: impl Into<String>) -> Self {
        Self { absent: Some(why.into()), ..Self::new(Arc::new(crate::MemoryStore::new())) }
    }

    /// Keeps something alive as long as the test runs: a temporary directory, a server.
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self._guard = Some(Box::new(guard));
        self
    }

    /// Skips a clause, for a reason that is shown.
    #[must_use]
    pub fn skipping(mut self, clause: &'static str, quirk: &'static str) -> Self {
        self.quirks.push((clause, quirk));
        self
    }

    /// Leaves one of [`ODD_KEYS`], or [`LONGEST_KEY`], out, for a reason that is shown.
    #[must_use]
    pub fn without_key(mut self, key: &'static str, quirk: &'static str) -> Self {
        self.unfit.push((key, quirk));
        self
    }

    /// Returns the store's key of a name under this test's prefix.
    pub fn key(&self, name: &str) -> Key {
        Key::from(name).under(&self.prefix)
    }

    /// Returns the odd keys this store is tested with.
    pub fn odd_keys(&self) -> Vec<&'static str> {
        ODD_KEYS.into_iter().filter(|key| self.takes(key)).collect()
    }

    /// Returns true, or says why not, if the store is tested with this key.
    pub fn takes(&self, key: &str) -> bool {
        let quirk = self.unfit.iter().find(|(unfit, _)| *unfit == key);
        if let Some((_, quirk)) = quirk {
            skipped(&format!("key {key:?}"), quirk);
        }
        quirk.is_none()
    }

    /// Returns true, and says why, if the clause is skipped for this store.
    pub fn skips(&self, clause: &str) -> bool {
        let quirk = self.quirks.iter().find(|(skipped, _)| *skipped == clause).map(|(_, quirk)| *quirk);
        let why = self.absent.as_deref().or(quirk);
        if let Some(why) = why {
            skipped(clause, why);
        }
        why.is_some()
    }
}

#[expect(clippy::print_stderr, reason = "a test suite talks to the person who runs it")]
fn skipped(what: &str, quirk: &str) {
    eprintln!("skipped {what}: {quirk}");
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
            keys_round_trip
            bad_key_hurts_only_itself
            unfinished_puts_can_be_abandoned
            usage_counts_requests
        }
    };
}

/// Expands to one test per clause named.
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
