//! A server that lists directory by directory is detected, and no wrong file is deleted.
//!
//! Such a server lists `so/a/b` before `so/a b`, but the byte order is the reverse. A merge that trusted the listing
//! would miss `so/a b` on one side and delete it on the other.

use std::fs;
use std::sync::{Arc, Mutex};

use pos3_core::conformance::Subject;
use pos3_core::{Deletion, Event, Observer, RemoteStoreExt, Report, Side, SyncJob, SyncOptions, Tree};

use super::tree::{local, read, remote, write};
use super::{quirks, site};

/// Which listings were reported to be out of order.
#[derive(Default)]
struct Disordered(Mutex<Vec<Side>>);

impl Observer for Disordered {
    fn event(&self, event: &Event<'_>) {
        if let Event::Disorder(side, _) = event {
            self.0.lock().unwrap().push(*side);
        }
    }
}

async fn mirror(source: Tree, target: Tree) -> (Report, Vec<Side>) {
    let seen = Arc::new(Disordered::default());
    let options = SyncOptions::default().with_deletion(Deletion::Extra).with_observer(seen.clone());
    let report = SyncJob::new(source, target, options).run().await.into_result().unwrap();
    let sides = seen.0.lock().unwrap().clone();
    (report, sides)
}

async fn disorder_is_noticed(subject: Subject) {
    if subject.skips("disorder_is_noticed") {
        return;
    }
    let names = ["so/a/b", "so/a b", "so/a-b", "so/a.d/x", "so/a.d.txt", "z"];
    let files = names.map(|name| (name.to_owned(), name.as_bytes().to_vec())).into();
    let (up, down) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(up.path(), &files);

    let (report, sides) = mirror(local(up.path()), remote(&subject)).await;
    assert_eq!((report.copied, report.deleted, sides), (6, 0, vec![]));
    let (report, sides) = mirror(local(up.path()), remote(&subject)).await;
    assert_eq!((report.copied, report.deleted, sides), (0, 0, vec![Side::Target]));

    // What only the target has goes, beside names that a wrong merge would take for absent.
    for extra in ["so/a/c", "so/a c", "so/a-c"] {
        subject.store.write(&subject.key(extra), "extra".into()).await.unwrap();
    }
    let (report, sides) = mirror(local(up.path()), remote(&subject)).await;
    assert_eq!((report.copied, report.deleted, sides), (0, 3, vec![Side::Target]));

    fs::write(down.path().join("extra"), "extra").unwrap();
    let (report, sides) = mirror(remote(&subject), local(down.path())).await;
    assert_eq!((report.copied, report.deleted, sides), (6, 1, vec![Side::Source]));
    assert_eq!(read(down.path()), files);

    subject.store.remove(&subject.key("so/a b")).await.unwrap();
    let (report, sides) = mirror(remote(&subject), local(down.path())).await;
    assert_eq!((report.copied, report.deleted, sides), (0, 1, vec![Side::Source]));
    assert!(!down.path().join("so/a b").exists());
    assert_eq!(read(down.path()).len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own() {
    disorder_is_noticed(site::own_out_of_order()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seaweedfs() {
    disorder_is_noticed(site::other(&quirks::SEAWEEDFS)).await;
}
