//! Lists entries in batches, by a walk on threads that may block.
//!
//! The next batch is prepared while the current one is used. No thread waits for the consumer: if the system allows few
//! threads, waiting walks would leave none for the work that they wait for. The stream ends without an error only if
//! the walk was complete. So a failed walk never looks like a short listing.

mod level;
mod settle;
mod walk;

use std::sync::Arc;

use futures::{FutureExt, Stream, StreamExt, stream};
use pos3_core::{Entry, EntryStream, ListOptions, Operation, Result};

use crate::blocking::{Working, begin};
use crate::root::Root;
use walk::Walk;

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

/// Walks one batch ahead of its use.
fn next(walk: Walk) -> Working<Option<(Batch, Walk)>> {
    begin(Operation::List, |waited| Ok(walk.next(waited)))
}
