//! Reads records as a stream. An iterator would read the temporary file on a thread of the runtime.

use futures::{Stream, StreamExt, stream};

use crate::blocking::run_blocking;

/// The number of records that are read at once, a few pages.
pub(crate) const BATCH: usize = 1024;

/// Returns the items of an iterator that reads files. They are read in batches, on threads that may block.
pub(crate) fn streamed<I>(items: I) -> impl Stream<Item = I::Item> + Send
where
    I: Iterator + Send + 'static,
    I::Item: Send + 'static,
{
    let batches = stream::unfold(Some(items), |items| async move {
        let mut items = items?;
        let read = move || {
            let batch: Vec<_> = items.by_ref().take(BATCH).collect();
            (batch, items)
        };
        let (batch, items) = run_blocking(read).await;
        let may_have_more = batch.len() == BATCH;
        Some((stream::iter(batch), may_have_more.then_some(items)))
    });
    // Callers may ask again after the end.
    batches.flatten().fuse()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn items_are_read_in_order_in_batches_and_on_other_threads() {
        let here = thread::current().id();
        for length in [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH] {
            let read = Arc::new(AtomicUsize::new(0));
            let counted = read.clone();
            let items = (0..length).inspect(move |_| {
                assert_ne!(thread::current().id(), here);
                counted.fetch_add(1, Ordering::Relaxed);
            });
            let mut stream = pin!(streamed(items));
            for expected in 0..length {
                assert_eq!(stream.next().await, Some(expected));
                let ahead = read.load(Ordering::Relaxed) - expected;
                assert!((1..=BATCH).contains(&ahead), "{ahead} items are in memory");
            }
            assert_eq!((stream.next().await, stream.next().await), (None, None));
        }
    }
}
