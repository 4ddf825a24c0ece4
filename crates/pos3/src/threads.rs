//! How many threads this process can start.
//!
//! A runtime that asks for more than the system gives panics, or waits for ever for a thread that never comes.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The stack of a thread that only waits.
const STACK: usize = 64 << 10;

/// How long the system may take to forget a thread that has ended.
const SETTLED: Duration = Duration::from_millis(20);

/// A thread that ends when its sender is dropped.
type Waiting = (mpsc::Sender<()>, JoinHandle<()>);

/// Returns how many threads can be started now, at most `most`. It starts them, and lets them end again.
///
/// Limits of the user (`ulimit -u`) and of the container are counted over other processes too, so only a try tells.
pub fn startable_threads(most: usize) -> usize {
    let started: Vec<Waiting> = (0..most).map_while(|_| start()).collect();
    let count = started.len();
    for (sender, thread) in started {
        drop(sender);
        // It does nothing that can panic.
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
        // It ends when the sender does.
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
