//! Old unfinished uploads of this client are aborted, and those of other clients are not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pos3_core::{Journal, MemoryJournal, MemoryStore, RemoteStore, SyncJob, SyncOptions, Tree};

use super::{BUCKET, server, store};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn an_old_upload_of_ours_is_given_up_after_a_good_run() {
    let server = server();
    for key in ["d/old", "d/young", "d/of-others"] {
        server.create_upload(BUCKET, key);
    }
    let target = Arc::new(store(&server));
    let journal = Arc::new(MemoryJournal::default());
    for (key, mut put) in target.unfinished("d/").await.unwrap() {
        let age = if key.as_str() == "d/old" { 8 } else { 1 };
        put.since = Some(SystemTime::now() - age * DAY);
        if key.as_str() != "d/of-others" {
            journal.save(&key, &put).await;
        }
    }
    let options = SyncOptions::default().with_journal(journal.clone());
    let job = SyncJob::new(Tree::new(Arc::new(MemoryStore::new())), Tree::new(target).at("d/"), options);
    let report = job.run().await;
    assert!(report.is_clean(), "{report:?}");
    let mut open = server.open_uploads(BUCKET);
    open.sort();
    assert_eq!(open, ["d/of-others", "d/young"]);
    let left: Vec<String> = journal.all().await.into_iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(left, ["d/young"]);
}
