//! What a store needs to take up an unfinished put again.
//!
//! A killed upload of a terabyte would start from zero without it. What is noted is the store's own matter; that the
//! source is still the same, and that the parts are still there, the store checks before it goes on. Losing a note costs
//! time, and an upload that [`RemoteStore::unfinished`](crate::RemoteStore::unfinished) still shows.

mod expiry;
mod memory;

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::key::Key;

pub(crate) use expiry::give_up_expired;
pub use memory::MemoryJournal;

/// A put that was begun and neither finished nor given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The store's name for it: an upload id, the name of a partial file.
    pub id: String,
    /// When it was begun, as far as is known.
    pub since: Option<SystemTime>,
    /// What else the store needs to go on; empty where it is only known that the put is there.
    pub state: Vec<u8>,
}

/// Notes on unfinished puts, by the whole key of the target's store.
///
/// Nothing here can fail: a note that cannot be read is none, one that cannot be written is lost.
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Returns the note on `key`.
    async fn load(&self, key: &Key) -> Option<Unfinished>;

    /// Notes an unfinished put of `key`, in place of an earlier note. It survives a kill soon after.
    async fn save(&self, key: &Key, unfinished: &Unfinished);

    /// Removes the note on `key`.
    async fn remove(&self, key: &Key);

    /// Returns every note.
    async fn all(&self) -> Vec<(Key, Unfinished)>;
}
