//! Measures how many threads this process can start.
//!
//! If a runtime asks for more threads than the system allows, it panics, or waits forever for a thread that never
//! starts.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The stack size of the threads that a runtime starts, in bytes. A limited address space may have room for smaller
/// stacks only.
const STACK: usize = 2 << 20;

/// The time to wait until the system no longer counts the threads that have ended.
const SETTLED: Duration = Duration::from_millis(20);

/// A thread that ends when its sender is dropped.
type Waiting = (mpsc::Sender<()>, JoinHandle<()>);

/// Returns how many threads can be started now, at most `most`. It starts them and ends them again.
///
/// The limits of the user (`ulimit -u`) and of the container include other processes, so the number can only be found
/// by starting threads.
pub fn startable_threads(most: usize) -> usize {
    let started: Vec<Waiting> = (0..most).map_while(|_| start()).collect();
    let count = started.len();
    for (sender, thread) in started {
        drop(sender);
        // The thread cannot panic.
        let _ended = thread.join();
    }
    if count < most {
        thread::sleep(SETTLED);
    }
    count
}

fn start() -> Option<Waiting> {
    let (sender, ended) = mpsc::channel();
    let wait = move || {
        // Receiving fails as soon as the sender is dropped.
        let _gone = ended.recv();
    };
    thread::Builder::new().stack_size(STACK).spawn(wait).ok().map(|thread| (sender, thread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_threads_can_be_started_and_end() {
        assert_eq!(startable_threads(3), 3);
        assert_eq!(startable_threads(0), 0);
    }
}
