//! Gives the caller of a put the facts about its content before the store can have the content.
//!
//! If a process is killed right after the server has stored an object, it never receives the response. If it recorded
//! these facts, a later process can recognise the object.

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

/// Receives the facts about the content of a put before the content is stored.
#[async_trait]
pub trait PutWitness: Debug + Send + Sync + 'static {
    /// Is called at most once, before the content can be visible under its name. The put waits until it returns.
    async fn about_to_store(&self, facts: ContentFacts);
}
