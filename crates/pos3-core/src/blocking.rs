//! Runs work that blocks or computes for long on threads of its own.
//!
//! A future that reads a file or hashes a large content stops every other task of its thread meanwhile. On a runtime with
//! one thread, these are all requests, timeouts and signals.

use bytes::Bytes;
use tokio::task::spawn_blocking;

/// The longest chunk that is hashed in place. Its MD5 takes about 100 microseconds, and a change of the thread takes about
/// ten.
const HASHED_IN_PLACE: usize = 64 << 10;

/// Runs `work` on a thread that may block, and returns its result. If the future is dropped, the work still continues to
/// its end, and its result is dropped.
///
/// # Panics
///
/// Panics if `work` panics, and outside a runtime of `tokio`.
pub async fn run_blocking<T, W>(work: W) -> T
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down, so nothing continues after this future.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

/// Passes a chunk of content to `update` and returns the changed `state`, such as that of a hash. Only chunks of more than
/// 64 KiB change the thread, so small files cost nothing more.
pub async fn hash_chunk<S: Send + 'static>(mut state: S, chunk: Bytes, update: fn(&mut S, &[u8])) -> S {
    if chunk.len() <= HASHED_IN_PLACE {
        update(&mut state, &chunk);
        return state;
    }
    run_blocking(move || {
        update(&mut state, &chunk);
        state
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn only_long_chunks_are_hashed_on_another_thread() {
        let here = thread::current().id();
        for (length, is_here) in [(0, true), (HASHED_IN_PLACE, true), (HASHED_IN_PLACE + 1, false)] {
            let state = hash_chunk((0, None), vec![1; length].into(), |(sum, thread), bytes| {
                *sum += bytes.len();
                *thread = Some(thread::current().id());
            });
            let (sum, thread) = state.await;
            assert_eq!((sum, thread == Some(here)), (length, is_here));
        }
    }

    #[tokio::test]
    #[should_panic(expected = "the work failed")]
    async fn a_panic_of_the_work_is_not_lost() {
        run_blocking(|| panic!("the work failed")).await;
    }
}
