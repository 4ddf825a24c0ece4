//! The data that a store needs to resume an unfinished put.
//!
//! Without it, a killed upload of a terabyte would start from zero. Only the store knows the contents of a note. Before
//! it resumes, it checks that the source is unchanged and that the parts still exist. A lost note only costs time, and
//! leaves an upload that [`RemoteStore::unfinished`](crate::RemoteStore::unfinished) still lists.

mod memory;

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::key::Key;

pub use memory::MemoryJournal;

/// A put that was started and neither finished nor aborted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The store's name for it: an upload ID or the name of a partial file.
    pub id: String,
    /// When it was started, if known.
    #[serde(with = "crate::time")]
    pub since: Option<SystemTime>,
    /// Further data that the store needs to resume; empty if only the existence of the put is known.
    pub state: Vec<u8>,
}

/// Notes about unfinished puts, by the full key in the target's store.
///
/// No method can fail: a note that cannot be read is treated as missing, and a note that cannot be written is lost.
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Returns the note about `key`.
    async fn load(&self, key: &Key) -> Option<Unfinished>;

    /// Saves a note about an unfinished put of `key` and replaces an earlier note. The note must survive a kill soon
    /// afterwards.
    async fn save(&self, key: &Key, unfinished: &Unfinished);

    /// Removes the note about `key`.
    async fn remove(&self, key: &Key);

    /// Returns every note.
    async fn all(&self) -> Vec<(Key, Unfinished)>;
}
