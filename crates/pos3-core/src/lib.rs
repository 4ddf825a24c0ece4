//! The engine of pos3.

mod compare;
#[cfg(feature = "conformance")]
pub mod conformance;
mod diff;
mod entry;
mod error;
mod event;
mod execute;
mod filter;
mod key;
mod listing;
mod options;
mod plan;
mod report;
mod store;
mod sync;
mod tree;

pub use compare::{Change, Compare, Verdict};
pub use diff::{Diff, ListingFailed, Merge, Side};
pub use entry::{Digest, Entry, Fingerprint, Kind, Protection};
pub use error::{ErrorKind, StoreError};
pub use event::{Event, Observe, Observer};
pub use execute::Executor;
pub use filter::{Filter, FilterBuilder, FilterError};
pub use key::{Key, PARTIAL_PREFIX, UnsafeKey};
pub use listing::{Complete, Listing, Order};
pub use options::{Deletion, SyncOptions};
pub use plan::{Action, Guards, MaxDelete, Plan, PlanError, Planner, Policy, Refusal, SkipReason, Tally};
pub use report::{FailedAction, Failure, Incomplete, Report, Stop};
pub use store::memory::MemoryStore;
pub use store::{
    Budget, ByteStream, Capabilities, Content, Download, EntryStream, Expect, GetOptions, KeyRule, ListOptions, Meter,
    PutOptions, RemoteStore, RemoteStoreExt, Reservation, Result, Slot, Usage, collect_exactly,
};
pub use sync::SyncJob;
pub use tokio_util::sync::CancellationToken;
pub use tree::Tree;
