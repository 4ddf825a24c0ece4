//! The limits of the system for this process: open files, threads and address space.
//!
//! Without these checks, a low limit would appear as failures of single files, as a panic, or as a run that never ends.

use std::io;
use std::time::Duration;

use pos3::startable_threads;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

/// The most threads that drive requests: enough for any network card, few enough not to wake each other up all the time.
const MOST_WORKERS: usize = 8;

/// The most threads for blocking work. More of them are woken for every small file and make no run faster: with up to 256,
/// 10,000 files of 4 KiB cost a tenth more CPU.
const MOST_BLOCKING: usize = 16;

/// The fewest threads that a run needs besides its first: one for blocking work, one for the sync state, and one spare,
/// because another process may start a thread meanwhile.
const FEWEST: usize = 3;

/// The address space that a thread reserves, in bytes: its stack, and a heap of its own in the GNU C library.
const PER_THREAD: u64 = 66 << 20;

/// The least address space that a run needs, in bytes.
const LEAST_SPACE: u64 = 192 << 20;

/// Idle threads are kept: the system may not give them back.
const KEPT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A limit of open files that is enough for the largest number of requests. It is not raised further, because child
/// processes inherit it and some programs close every possible file descriptor one by one.
const FILES: u64 = 65_536;

/// Raises the limit of open files of this process and its children to the largest allowed value. If that fails, the limit
/// stays as it is.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(FILES).min(FILES);
    if limit.current.is_some_and(|current| current < most) {
        let _unchanged = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit });
    }
}

/// The number of pipes that must be available to build a runtime. Each is two open files.
const ROOM: usize = 5;

/// Returns a runtime that fits the limits of the system: with several threads that drive requests, or else on this
/// thread alone.
///
/// # Errors
///
/// Fails if there are too few threads or open files. The runtime itself would panic then.
pub(crate) fn runtime() -> io::Result<Runtime> {
    let room: Vec<_> = (0..ROOM).map(|_| io::pipe()).collect::<io::Result<_>>()?;
    drop(room);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
    let wanted = workers + MOST_BLOCKING + FEWEST;
    let threads = startable_threads(wanted.min(threads_within(getrlimit(Resource::As).current)?));
    let mut builder = match threads {
        _ if threads == wanted => Builder::new_multi_thread(),
        FEWEST.. => Builder::new_current_thread(),
        _ => {
            let message = format!("the system lets this program start {threads} threads, and it needs {FEWEST}");
            return Err(io::Error::other(message));
        }
    };
    let blocking = if threads < wanted { threads - 1 } else { MOST_BLOCKING };
    builder.max_blocking_threads(blocking);
    let runtime = builder.worker_threads(workers).thread_keep_alive(KEPT).enable_all().build()?;
    // If no other thread can be started later, blocking work waits for this one.
    let first = runtime.block_on(async { spawn_blocking(|| ()).await });
    first.map_err(io::Error::other)?;
    Ok(runtime)
}

/// Returns how many threads fit into half of this address space. The other half is for content.
fn threads_within(space: Option<u64>) -> io::Result<usize> {
    match space {
        None => Ok(usize::MAX),
        Some(space) if space < LEAST_SPACE => {
            let (space, least) = (space >> 20, LEAST_SPACE >> 20);
            let message =
                format!("the system limits the address space of this program to {space} MiB, and it needs {least} MiB");
            Err(io::Error::new(io::ErrorKind::OutOfMemory, message))
        }
        Some(space) => Ok(usize::try_from(space / 2 / PER_THREAD).unwrap_or(usize::MAX).max(FEWEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_follow_the_limit_of_the_address_space() {
        assert_eq!(threads_within(None).unwrap(), usize::MAX);
        assert_eq!(threads_within(Some(LEAST_SPACE)).unwrap(), FEWEST);
        assert_eq!(threads_within(Some(1 << 30)).unwrap(), 7);
        assert!(threads_within(Some(LEAST_SPACE - 1)).is_err());
    }
}
