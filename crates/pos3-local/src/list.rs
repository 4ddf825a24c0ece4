//! Listing: a walk on threads that may block, batch by batch.
//!
//! A batch is walked while the one before is used, and no thread waits for the consumer: where the system allows few
//! threads, walks that each hold one would leave none for the work that they wait for. The stream ends well only if the
//! walk said so: a walk that died is an error, never a short listing.

mod directory;
mod level;
mod walk;

use std::sync::Arc;

use futures::{FutureExt, Stream, StreamExt, stream};
use pos3_core::{Entry, EntryStream, ListOptions, Result};

use crate::blocking::{Working, begin};
use crate::root::Root;
use walk::Walk;

pub(crate) use directory::{ReadBuffer, Step, is_empty, leftovers, partial};

type Batch = Vec<Result<Entry>>;

/// Returns the entries whose keys start with `prefix`, in byte order.
pub(crate) fn list(root: Arc<Root>, prefix: &str, options: ListOptions) -> EntryStream {
    let prefix = prefix.to_owned();
    async move { batches(Walk::new(root, prefix, options)) }.flatten_stream().flat_map(stream::iter).boxed()
}

fn batches(walk: Walk) -> impl Stream<Item = Batch> {
    stream::unfold(Some(next(walk)), async |walking| match walking?.end().await {
        Ok(Some((batch, walk))) => Some((batch, Some(next(walk)))),
        Ok(None) => None,
        Err(error) => Some((vec![Err(error)], None)),
    })
}

/// Walks for one batch, ahead of its use.
fn next(walk: Walk) -> Working<Option<(Batch, Walk)>> {
    begin("list", |waited| Ok(walk.next(waited)))
}
