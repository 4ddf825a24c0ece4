//! The engine of pos3. It makes one tree of objects like another, on any store.
//!
//! The engine merge-joins two ordered listings into differences, decides an action for each difference, executes the
//! actions, and reports the result. It does not know S3 or the terminal, and it never reads the environment, except for
//! `TMPDIR` when it creates a temporary file.
//!
//! ```text
//!  source ─► Listing ─┐
//!                     ├─► Merge ─► Compare ─► Policy ─► Action ─► Executor ─► Report
//!  target ─► Listing ─┘                        Planner / Plan        every step ─► Event
//! ```
//!
//! # Where to start
//!
//! * [`SyncJob`] runs a sync between two [`Tree`]s. [`SyncOptions`] configures it, and the [`Report`] contains the
//!   result.
//! * [`RemoteStore`] is the interface that a backend implements. `conformance!` (feature `conformance`) tests a backend
//!   against every clause of the interface's contract. `examples/custom_store.rs` is a complete backend.
//! * [`Planner`] and [`Plan`] describe a sync before anything is changed. [`Executor`] executes it.
//! * [`MemoryStore`] is a strict store for tests.
//!
//! # Guarantees
//!
//! * Deletes are planned only after both listings have completed without error. The evidence is the type [`Complete`],
//!   which only a completed listing can create.
//! * Deletes run only after every copy has succeeded. [`Guards`] can refuse the whole plan.
//! * Keys are exact. If a key cannot be a file name on a disk, pos3 refuses that key alone.
//! * Memory is bounded, however large the trees and the differences are: plans and reports spill to temporary files.

mod action;
mod checksum;
mod compare;
#[cfg(feature = "conformance")]
pub mod conformance;
mod diff;
mod digest;
mod entry;
mod error;
mod event;
mod evidence;
mod execute;
mod explain;
mod filter;
mod hash;
mod journal;
mod key;
mod listing;
mod manifest;
mod options;
mod plan;
mod report;
mod side;
mod spill;
mod store;
mod sync;
mod text;
mod tree;

pub use action::{Action, Archived, SkipEffect, SkipReason};
pub use checksum::Checksummer;
pub use compare::Compare;
pub use diff::{Diff, ListingFailed, Merge};
pub use digest::{Agreement, Digester};
pub use entry::{Availability, Checksum, Digest, Entry, Fingerprint, Kind, Protection, TextError};
pub use error::{ErrorKind, Operation, Reach, StoreError, one_line};
pub use event::{Event, Observe, Observer};
pub use evidence::{Change, Proof};
pub use execute::Executor;
pub use explain::{Explanation, Outcome};
pub use filter::{Effect, Filter, FilterBuilder, FilterError, FilterLine, FilterPart, FilterRule};
pub use journal::{Journal, MemoryJournal, Unfinished};
pub use key::{
    Key, MOVED_DIGITS, MOVED_PREFIX, PARTIAL_PREFIX, RESUMABLE_INFIX, UnsafeKey, is_moved_name, is_partial_name,
};
pub use listing::{Complete, Doubts, Entries, Listing, Order};
pub use manifest::{Manifest, ManifestError, MemoryManifest, Row, RowChange, StartedWrite};
pub use options::{
    ByContent, Deletable, Deletion, Guards, HiddenEntries, MaxDelete, Objection, OtherShapes, Overwritable,
    PendingWrite, Preconditions, SyncOptions, UnmatchedPatterns, Verify, WithheldDeletes,
};
pub use plan::{Plan, PlanCounts, PlanError, Planner, Policy};
pub use report::{
    FailedAction, Failure, FailureKind, Failures, Incomplete, NotBegun, Refusal, Report, Skips, Stop, Tally,
};
pub use side::Side;
pub use spill::{Sorted, Sorter, Spill, SpillError};
pub use store::memory::MemoryStore;
pub use store::{
    Backend, Budget, ByteStream, Capabilities, Content, ContentFacts, DeleteKey, Download, EntryStream, Expect,
    GetOptions, ListOptions, Meter, Namespace, OTHER_DIGEST, Opened, Pace, PutOptions, PutWitness, Reads, RemoteStore,
    RemoteStoreExt, Reservation, Result, Seen, Slot, Stored, Usage, collect_exactly, open_file_limit,
};
pub use sync::SyncJob;
pub use text::{Printable, Url, counted, is_deceptive, printable, redacted, without_userinfo};
pub use tokio_util::sync::CancellationToken;
pub use tree::Tree;
