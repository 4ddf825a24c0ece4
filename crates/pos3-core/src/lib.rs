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
//! | to | use |
//! | --- | --- |
//! | make one [`Tree`] like another | [`SyncJob`], configured by [`SyncOptions`] |
//! | see what happened | the [`Report`]; [`Report::into_result`] is an error unless the whole run was clean |
//! | review a sync before anything is changed | [`SyncJob::plan`], which returns a [`Plan`], and [`SyncJob::execute`] |
//! | find out why a key is copied, skipped or deleted | [`SyncJob::explain`] |
//! | follow a run | an [`Observer`], which receives each [`Event`] |
//! | leave keys out | a [`Filter`] |
//! | compare with what earlier runs recorded, or resume transfers | a [`Manifest`] and a [`Journal`] |
//! | sync a backend of your own | [`RemoteStore`], tested with `conformance!` (feature `conformance`) |
//! | test your code | [`MemoryStore`], a strict store |
//!
//! The crate `pos3` adds locations, S3, directories, sessions and the sync state on disk.
//!
//! # A sync
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use pos3_core::{Deletion, Event, Key, MemoryStore, Observer, RemoteStoreExt, SyncJob, SyncOptions, Tree};
//!
//! /// Keeps the keys of completed actions.
//! #[derive(Clone, Default)]
//! struct Done(Arc<Mutex<Vec<String>>>);
//!
//! impl Observer for Done {
//!     fn event(&self, event: &Event<'_>) {
//!         if let Event::Done(action) = event {
//!             self.0.lock().unwrap().push(action.key().to_string());
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (source, target) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
//! source.write(&Key::from("new.txt"), "hello".into()).await?;
//! target.write(&Key::from("old.txt"), "hello".into()).await?;
//!
//! let done = Done::default();
//! let options = SyncOptions::default().with_deletion(Deletion::Extra).with_observer(done.clone());
//! let job = SyncJob::new(Tree::new(source), Tree::new(target.clone()), options);
//! let plan = job.plan().await.expect("both sides can be listed");
//! assert_eq!((plan.counts().copies, plan.counts().deletes), (1, 1));
//!
//! let report = job.execute(plan).await.into_result()?;
//! assert_eq!((report.copied, report.deleted), (1, 1));
//! assert_eq!(*done.0.lock().unwrap(), ["new.txt", "old.txt"]);
//! # Ok(()) }
//! ```
//!
//! # A backend of your own
//!
//! A backend implements the required methods of [`RemoteStore`] and states in its [`Capabilities`] what it can do. The
//! engine adapts: it sorts a listing without an order, and never relies on a condition that the store does not check.
//! `conformance!` expands to one test for each clause of the contract. `examples/custom_store.rs` is a complete backend
//! with these tests. Convenience methods, such as `read` and `write`, are in [`RemoteStoreExt`].
//!
//! # Errors
//!
//! A [`StoreError`] has an [`ErrorKind`], by which callers decide, and the operation, the key and the cause, which users
//! read. Its text does not contain its cause, which is its `source`; [`one_line`] returns the whole chain. The failure of
//! one key does not end a run: it is in [`Report::failed`]. [`Report::stopped`] has the reason if the run ended early.
//!
//! ```
//! use pos3_core::{ErrorKind, Key, MemoryStore, RemoteStore, one_line};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let error = MemoryStore::new().head(&Key::from("a.txt")).await.unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::NotFound);
//! assert!(one_line(&error).contains("a.txt"));
//! # }
//! ```
//!
//! # Guarantees
//!
//! * Deletes are planned only after both listings have completed without error. The evidence is the type [`Complete`],
//!   which only a completed listing can create.
//! * Deletes run only after every copy has succeeded. [`Guards`] can refuse the whole plan.
//! * Keys are exact. If a key cannot be a file name on a disk, pos3 refuses that key alone.
//! * Memory is bounded, however large the trees and the differences are: plans and reports spill to temporary files.

mod action;
mod blocking;
mod checksum;
mod compare;
#[cfg(feature = "conformance")]
pub mod conformance;
mod content_type;
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
mod pause;
mod plan;
mod report;
mod side;
mod spill;
mod store;
mod sync;
mod text;
mod time;
mod tree;

pub use action::{Action, Archived, SkipEffect, SkipReason};
pub use blocking::{hash_chunk, run_blocking};
pub use checksum::Checksummer;
pub use compare::Compare;
pub use content_type::{ContentTypeResolver, guess_content_type};
pub use diff::{Diff, ListingFailed, Merge};
pub use digest::{Agreement, Digester};
pub use entry::{Availability, Checksum, Digest, Entry, Fingerprint, Kind, Protection, TextError};
pub use error::{ErrorKind, Operation, Reach, StoreError, one_line};
pub use event::{Event, Observe, Observer};
pub use evidence::{Change, Proof};
pub use execute::{Executor, LastLook, OTHER_SPELLING};
pub use explain::{Explanation, Outcome};
pub use filter::{
    Effect, Filter, FilterBuilder, FilterError, FilterLine, FilterPart, FilterRule, IgnoreSet, IgnoreText,
};
pub use hash::hash_body;
pub use journal::{Journal, MemoryJournal, Unfinished};
pub use key::{
    Key, MOVED_DIGITS, MOVED_PREFIX, PARTIAL_PREFIX, RESUMABLE_INFIX, STAGED_PREFIX, UnsafeKey, is_moved_name,
    is_partial_name, is_staged_name,
};
pub use listing::{Complete, Entries, Listing, Order};
pub use manifest::{Manifest, ManifestError, MemoryManifest, Row, RowChange, StartedWrite};
pub use options::{
    ByContent, Deletable, Deletion, EmptyDirectories, Guards, HiddenEntries, MaxDelete, Objection, OtherShapes,
    Overwritable, PendingWrite, Preconditions, SyncOptions, UnmatchedPatterns, Verify, WithheldDeletes,
};
pub use pause::ServerPause;
pub use plan::{Plan, PlanCounts, PlanError, Planner, Policy};
pub use report::{
    FailedAction, Failure, FailureKind, Failures, Incomplete, NotBegun, Refusal, Report, Skips, Stop, Tally,
};
pub use side::Side;
pub use spill::{Sorted, Sorter, Spill, SpillError};
pub use store::memory::MemoryStore;
pub use store::{
    BEHIND_LINK, Backend, Budget, ByteStream, CONTRADICTED, Capabilities, Content, ContentFacts, DeleteKey, Doubts,
    Download, EntryStream, Expect, GetOptions, ListOptions, Meter, Namespace, OTHER_DIGEST, OTHER_DIRECTORY, Opened,
    Pace, PutOptions, PutWitness, Reads, Recorded, RemoteStore, RemoteStoreExt, Reservation, Result, Seen, Slot,
    Stored, Usage, collect_exactly, open_file_limit,
};
pub use sync::SyncJob;
pub use text::{Printable, Url, counted, is_deceptive, printable, redacted, without_userinfo};
pub use tokio_util::sync::CancellationToken;
pub use tree::Tree;
