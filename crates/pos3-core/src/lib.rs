//! The engine of pos3: makes one tree of objects like another, over any store.
//!
//! Two ordered listings are merge-joined into differences, differences are decided into actions, actions are executed,
//! and everything that happened is reported. Nothing here knows S3, a terminal or the environment.
//!
//! ```text
//!  source ─► Listing ─┐
//!                     ├─► Merge ─► Compare ─► Policy ─► Action ─► Executor ─► Report
//!  target ─► Listing ─┘                        Planner / Plan        every step ─► Event
//! ```
//!
//! # Where to start
//!
//! * [`SyncJob`] runs a sync between two [`Tree`]s; [`SyncOptions`] says how; the [`Report`] says what happened.
//! * [`RemoteStore`] is the port that a backend implements. `conformance!` (feature `conformance`) tests one against
//!   every clause of its contract; `examples/custom_store.rs` is a whole backend.
//! * [`Planner`] and [`Plan`] are a sync before anything is done; [`Executor`] does it.
//! * [`MemoryStore`] is a strict store for tests.
//!
//! # What it promises
//!
//! * Deletes are planned only from two listings that are [`Complete`], which is a type: no other value can make one.
//! * They are done only after every copy went well, and refused as a whole by [`Guards`].
//! * Keys are exact; what cannot be a file name on a disk is refused for itself alone.
//! * Memory grows neither with the trees nor with what differs: plans and reports spill to temporary files.

mod checksum;
mod compare;
#[cfg(feature = "conformance")]
pub mod conformance;
mod diff;
mod digest;
mod entry;
mod error;
mod event;
mod execute;
mod explain;
mod filter;
mod journal;
mod key;
mod listing;
mod manifest;
mod options;
mod plan;
mod report;
mod spill;
mod store;
mod sync;
mod text;
mod tree;

pub use checksum::Checksummer;
pub use compare::{Change, Compare, Proof};
pub use diff::{Diff, ListingFailed, Merge, Side};
pub use digest::{Agreement, Digester};
pub use entry::{Availability, Checksum, Digest, Entry, Fingerprint, Kind, Protection, TextError};
pub use error::{ErrorKind, Reach, StoreError, one_line};
pub use event::{Event, Observe, Observer};
pub use execute::Executor;
pub use explain::{Explanation, Outcome};
pub use filter::{Effect, Filter, FilterBuilder, FilterError, FilterLine, FilterRule};
pub use journal::{Journal, MemoryJournal, Unfinished};
pub use key::{Key, PARTIAL_PREFIX, UnsafeKey};
pub use listing::{Complete, Doubts, Entries, Listing, Order};
pub use manifest::{Manifest, ManifestError, MemoryManifest, Row, RowChange};
pub use options::{
    Archived, Deletable, Deletion, Overwritable, PendingWrite, Preconditions, SyncOptions, Verify, WithheldDeletes,
};
pub use plan::{
    Action, Guards, MaxDelete, Plan, PlanCounts, PlanError, Planner, Policy, Refusal, SkipEffect, SkipReason, Tally,
};
pub use report::{FailedAction, Failure, FailureKind, Failures, Incomplete, NotBegun, Report, Skips, Stop};
pub use spill::{Sorted, Sorter, Spill, SpillError};
pub use store::memory::MemoryStore;
pub use store::{
    Budget, ByteStream, Capabilities, ClockSkew, Content, Download, EntryStream, Expect, GetOptions, KeyRule,
    ListOptions, Meter, Opened, Pace, PutOptions, RemoteStore, RemoteStoreExt, Reservation, Result, Slot, Usage,
    collect_exactly, open_file_limit,
};
pub use sync::SyncJob;
pub use text::{Printable, Url, is_deceptive, printable, without_userinfo};
pub use tokio_util::sync::CancellationToken;
pub use tree::Tree;
