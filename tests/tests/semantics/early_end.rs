//! Failures that every further action would meet, if they need a real disk.

use pos3_core::{Budget, ErrorKind, NotBegun, Stop};

use super::*;

#[tokio::test]
async fn a_full_disk_ends_a_download() {
    let target = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(target.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no small file system can be mounted here");
        return;
    }
    let store = Arc::new(MemoryStore::new());
    for number in 0..500 {
        store.write(&Key::from(format!("{number:03}")), vec![b'x'; 64 << 10].into()).await.unwrap();
    }
    fs::write(target.path().join("old"), "kept").unwrap();
    let options = SyncOptions::default().with_deletion(Deletion::Extra).with_budget(Budget::new(4, 1 << 20));
    let job = SyncJob::new(Tree::new(store.clone()), Tree::new(disk(target.path())), options);
    let report = job.run().await;
    let is_kept = target.path().join("old").exists();
    assert!(Command::new("umount").arg(target.path()).status().unwrap().success());

    let Some(Stop::Fatal(failure)) = &report.stopped else { panic!("{:?}", report.stopped) };
    assert_eq!(failure.error.kind(), ErrorKind::Exhausted);
    let begun = report.copied + report.failed.len();
    assert!((10..24).contains(&begun), "a megabyte holds fifteen files, and four are in flight: {begun}");
    assert_eq!(report.not_begun, NotBegun::Copies(500 - begun));
    assert_eq!((report.deleted, report.withheld, is_kept), (0, 1, true));
    let reads = store.usage().get("get");
    assert!(reads <= begun, "{reads} objects were fetched");
}
