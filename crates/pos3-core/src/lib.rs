//! The engine of pos3.

mod entry;
mod error;
mod filter;
mod key;
mod store;

pub use entry::{Digest, Entry, Fingerprint, Kind, Protection};
pub use error::{ErrorKind, StoreError};
pub use filter::{Filter, FilterBuilder, FilterError};
pub use key::{Key, PARTIAL_PREFIX, UnsafeKey};
pub use store::memory::MemoryStore;
pub use store::{
    Budget, ByteStream, Capabilities, Content, Download, EntryStream, Expect, GetOptions, KeyRule, ListOptions, Meter,
    PutOptions, RemoteStore, RemoteStoreExt, Reservation, Result, Slot, Usage, collect_exactly,
};
