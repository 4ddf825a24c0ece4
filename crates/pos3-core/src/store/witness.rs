//! Tells a caller what a put is about to store, before the store can have it.
//!
//! A process that is killed right after the server stored an object never gets the answer. A caller that recorded these
//! facts can recognise the object later.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::entry::{Checksum, Digest};

/// The facts about content that its store will report once it has the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentFacts {
    /// The digest that the store derives from the content, if known.
    pub digest: Option<Digest>,
    /// The checksum of the content, if known.
    pub checksum: Option<Checksum>,
}

/// Learns what a put is about to store.
#[async_trait]
pub trait PutWitness: Debug + Send + Sync + 'static {
    /// Is called at most once, before the content can be visible under its name. The put waits until it returns.
    async fn about_to_store(&self, facts: ContentFacts);
}
