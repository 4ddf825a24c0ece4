//! Other tasks of a runtime with one thread continue during long work.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pos3_core::{
    Compare, Key, MemoryStore, Order, Plan, Planner, PutOptions, RemoteStore, RemoteStoreExt, SyncJob, SyncOptions,
    Tree,
};

use crate::truth::Told;

/// The turns that a task had beside some work.
#[derive(Debug)]
struct Turns {
    count: u64,
    last: Instant,
    longest_pause: Duration,
}

impl Turns {
    fn new() -> Self {
        Self { count: 0, last: Instant::now(), longest_pause: Duration::ZERO }
    }

    fn take(&mut self) {
        self.count += 1;
        self.longest_pause = self.longest_pause.max(self.last.elapsed());
        self.last = Instant::now();
    }
}

/// Does work beside a task that takes a turn whenever the thread is free. Returns the result, the number of turns, and the
/// longest pause between two turns as a share of the whole time.
async fn beside_a_task<T>(work: impl Future<Output = T>) -> (T, u64, f64) {
    let turns = Arc::new(Mutex::new(Turns::new()));
    let taking = turns.clone();
    let task = tokio::spawn(async move {
        loop {
            taking.lock().unwrap().take();
            tokio::task::yield_now().await;
        }
    });
    tokio::task::yield_now().await;
    *turns.lock().unwrap() = Turns::new();
    let begun = Instant::now();
    let result = work.await;
    let whole = begun.elapsed();
    task.abort();
    let mut turns = turns.lock().unwrap();
    turns.take();
    (result, turns.count, turns.longest_pause.as_secs_f64() / whole.as_secs_f64())
}

#[tokio::test]
async fn other_tasks_continue_while_a_large_listing_is_sorted_and_its_plan_is_stored() {
    const ENTRIES: u32 = 20_000;
    let source = Arc::new(MemoryStore::new());
    for number in 0..ENTRIES {
        source.write(&Key::from(format!("directory/{number}")), Bytes::new().into()).await.unwrap();
    }
    let target = Tree::new(Arc::new(MemoryStore::new()));
    let options = SyncOptions::default().with_plan_memory(100_000);
    let planner = Planner::new(&Tree::new(source), &target, &options, (Order::Sorted, Order::Trusted));
    let (plan, turns, pause) = beside_a_task(Plan::collect(planner)).await;
    assert_eq!(plan.unwrap().counts().copies, u64::from(ENTRIES));
    // The entries are sorted in batches of about a thousand, and read again in such batches.
    let batches = u64::from(ENTRIES / 1024);
    assert!(turns >= 2 * batches, "{turns} turns");
    assert!(pause < 0.25, "a pause of {pause} of the time");
}

#[tokio::test]
async fn other_tasks_continue_while_a_large_file_is_hashed() {
    let (disk, bucket) = (Arc::new(Told::disk()), Arc::new(Told::bucket()));
    let (key, content) = (Key::from("large"), Bytes::from(vec![7; 64 << 20]));
    for store in [&disk, &bucket] {
        store.put(&key, content.clone().into(), PutOptions::default()).await.unwrap();
    }
    let options = SyncOptions::default().with_compare(Compare::Digest);
    let job = SyncJob::new(Tree::new(disk), Tree::new(bucket), options);
    let (report, turns, pause) = beside_a_task(job.run()).await;
    let report = report.into_result().unwrap();
    assert_eq!((report.copied, report.tally.unchanged), (0, 1));
    assert!(turns > 1 && pause < 0.25, "a pause of {pause} of the time, {turns} turns");
}
