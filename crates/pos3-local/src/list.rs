//! Listing: a walk on a thread that may block, handed over in batches.
//!
//! The channel is bounded, so a slow consumer slows the walk instead of filling memory, and a stream that is dropped
//! ends it. The stream ends well only if the walk said so: a walk that died is an error, never a short listing.

mod directory;
mod level;
mod walk;

use std::sync::Arc;

use futures::{FutureExt, Stream, StreamExt, stream};
use pos3_core::{Entry, EntryStream, ListOptions, Result};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::blocking::ended_early;
use crate::root::Root;
use walk::Walk;

pub(crate) use directory::{ReadBuffer, Step, is_empty, leftovers};

/// Batches on their way: enough to overlap walking with whatever is done with the entries.
const BATCHES_AHEAD: usize = 4;

type Batch = Vec<Result<Entry>>;

/// Returns the entries whose keys start with `prefix`, in byte order.
pub(crate) fn list(root: Arc<Root>, prefix: &str, options: ListOptions) -> EntryStream {
    let prefix = prefix.to_owned();
    async move { batches(root, prefix, options) }.flatten_stream().flat_map(stream::iter).boxed()
}

fn batches(root: Arc<Root>, prefix: String, options: ListOptions) -> impl Stream<Item = Batch> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    let walk = spawn_blocking(move || Walk::new(root, prefix, options, sender).run());
    stream::unfold((receiver, Some(walk)), next_batch)
}

type Walking = (mpsc::Receiver<Batch>, Option<JoinHandle<()>>);

async fn next_batch((mut receiver, walk): Walking) -> Option<(Batch, Walking)> {
    if let Some(batch) = receiver.recv().await {
        return Some((batch, (receiver, walk)));
    }
    match walk?.await {
        Ok(()) => None,
        Err(ended) => Some((vec![Err(ended_early("list", ended))], (receiver, None))),
    }
}
