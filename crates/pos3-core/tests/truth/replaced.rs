//! What is replaced or withheld, and runs of one object or in a task of its own.

use super::*;

#[tokio::test]
async fn what_is_overwritten_or_deleted_is_kept_in_the_backup() {
    let source = filled(Told::disk(), &[("same", "1"), ("changed", "new one"), ("added", "1")]).await;
    let target = filled(Told::bucket(), &[("same", "1"), ("changed", "old"), ("deleted", "last words")]).await;
    let backup = Arc::new(Told::bucket());
    let options = mirror().with_backup(Some(Tree::new(backup.clone()).at("kept/")));
    let report = job(&source, &target, options).run().await.into_result().unwrap();
    assert_eq!((report.copied, report.deleted), (2, 1));
    let kept: Vec<String> =
        backup.inner.list_all("").await.unwrap().into_iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!(kept, ["kept/changed", "kept/deleted"]);
    assert_eq!(read(&backup, "kept/deleted").await.as_deref(), Some("last words"));
}

#[tokio::test]
async fn without_its_backup_nothing_is_overwritten_or_deleted() {
    let source = filled(Told::disk(), &[("changed", "new one"), ("keep", "1")]).await;
    let target = filled(Told::bucket(), &[("changed", "old"), ("deleted", "last words")]).await;
    let backup =
        Tree::new(Arc::new(pos3_core::conformance::FaultStore::over(MemoryStore::new()).failing(Operation::Write, 1)));
    let report = job(&source, &target, mirror().with_backup(Some(backup))).run().await;
    assert_eq!((report.failed.len(), report.withheld), (1, 1));
    let cause = report.failed.head()[0].error.cause();
    assert!(
        cause.starts_with("it could not be backed up to 'memory:") && cause.contains("so it was not changed"),
        "{cause}"
    );
    assert_eq!(read(&target, "changed").await.as_deref(), Some("old"));
    assert_eq!(read(&target, "deleted").await.as_deref(), Some("last words"));
}

#[tokio::test]
async fn a_kind_is_replaced_after_the_deletes_that_clear_its_way() {
    let source = filled(Told::bucket(), &[("dir", "now a file"), ("file/x", "now a directory"), ("z", "1")]).await;
    let target = filled(Told::disk(), &[("dir/a", "1"), ("dir/b", "2"), ("file", "was a file"), ("z", "1")]).await;
    let keep = job(&source, &target, SyncOptions::default()).run().await;
    assert_eq!((keep.copied, keep.skipped.len()), (0, 2), "{:?}", keep.skipped);

    let plan = job(&source, &target, mirror()).plan().await.unwrap();
    let words: Vec<String> = plan.actions().map(|action| word(&action.unwrap())).collect();
    assert_eq!(words, ["delete dir/a", "delete dir/b", "delete file", "replace dir", "replace file/x"]);
    let report = job(&source, &target, mirror()).run().await.into_result().unwrap();
    assert_eq!((report.copied, report.deleted), (2, 3));
    assert_eq!(read(&target, "dir").await.as_deref(), Some("now a file"));
    assert_eq!(read(&target, "file/x").await.as_deref(), Some("now a directory"));
}

fn word(action: &Action) -> String {
    let verb = match action {
        Action::Copy { .. } => "copy",
        Action::Delete { .. } => "delete",
        Action::Replace { .. } => "replace",
        Action::Skip { .. } => "skip",
    };
    format!("{verb} {}", action.key())
}

#[tokio::test]
async fn a_copy_that_no_checksum_covers_is_counted_and_can_be_refused() {
    let objects = [("a", "1"), ("b", "2")];
    let source = filled(Told::bucket(), &objects).await;
    let checked = job(&source, &filled(Told::disk(), &[]).await, SyncOptions::default()).run().await;
    assert_eq!((checked.copied, checked.unverified), (2, 0), "the memory store checks what it sends");

    // A bucket that returns no checksums, so a put cannot be verified.
    let disk = filled(Told::disk(), &objects).await;
    let loose = job(&disk, &filled(Told::bucket(), &[]).await, SyncOptions::default()).run().await;
    assert_eq!((loose.copied, loose.unverified), (2, 2));
    assert!(loose.is_clean());
    let options = SyncOptions::default().with_verify(Verify::Require);
    let strict = job(&disk, &filled(Told::bucket(), &[]).await, options).run().await;
    assert_eq!((strict.copied, strict.failed.len()), (0, 2));
    assert_eq!(strict.failed.head()[0].kind, FailureKind::Unverified);
    assert_eq!(strict.failed.head()[0].error.kind(), ErrorKind::Integrity);
}

#[tokio::test]
async fn what_may_be_hidden_in_the_source_withholds_every_delete() {
    let disk = filled(Told::disk(), &[("a", "1"), ("b", "2")]).await;
    let bucket = filled(Told::bucket(), &[("d/hidden", "1"), ("gone", "2")]).await;
    let hidden = |key: &Key| key.is_inside("d").then(|| Protection::Unreadable("it is hidden".into()));
    let options = || mirror().with_deletable(Deletable::default().unless_hidden(hidden));
    let report = job(&disk, &bucket, options()).run().await;
    assert_eq!((report.copied, report.deleted, report.withheld, report.is_clean()), (2, 0, 2, false), "{report:?}");
    assert_eq!(report.skipped.to_vec().unwrap()[0].0.as_str(), "d/hidden");
    let report = job(&disk, &bucket, options().with_deletion(Deletion::Keep)).run().await;
    assert_eq!((report.tally.extra, report.is_clean()), (2, true), "{report:?}");
}

#[tokio::test]
async fn one_object_is_a_tree_whatever_each_side_calls_it() {
    let bucket = filled(Told::bucket(), &[("in/model.bin", "weights"), ("in/model.bin.old", "x")]).await;
    let disk = filled(Told::disk(), &[("other", "x")]).await;
    let tree = |store: &Arc<Told>, whole: &str| Tree::object(store.clone(), whole.into(), "model.bin".into());
    let down = |options| SyncJob::new(tree(&bucket, "in/model.bin"), tree(&disk, "here.bin"), options);

    assert_eq!(down(mirror()).run().await.into_result().unwrap().copied, 1);
    assert_eq!(read(&disk, "here.bin").await.as_deref(), Some("weights"));
    assert_eq!(read(&disk, "other").await.as_deref(), Some("x"), "a tree of one object has no neighbours");
    assert_eq!(down(mirror()).run().await.into_result().unwrap().tally.unchanged, 1);

    let none = Filter::builder().exclude("*.bin").unwrap().build().unwrap();
    assert_eq!(down(SyncOptions::default().with_filter(none)).run().await.into_result().unwrap().tally.source, 0);
}

#[test]
fn a_run_can_be_spawned() {
    fn is_send(_: impl Send) {}
    let job = SyncJob::new(Tree::new(Arc::new(MemoryStore::new())), Tree::new(Arc::new(MemoryStore::new())), mirror());
    is_send(job.run());
    is_send(job.plan());
}
