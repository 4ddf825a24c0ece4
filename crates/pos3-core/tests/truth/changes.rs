//! Sources and targets that change between the listing and the action.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_source_that_changes_while_it_is_read_is_read_again() {
    let mut store = Told::disk();
    store.before_get = Some(Box::new(|_, call| (call <= 2).then_some(("a", "new"))));
    let (source, target) = (filled(store, &[("a", "old")]).await, filled(Told::bucket(), &[]).await);
    let report = job(&source, &target, SyncOptions::default()).run().await.into_result().unwrap();
    assert_eq!(report.copied, 1);
    assert_eq!(read(&target, "a").await.as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_rests_is_reported_and_the_target_stays() {
    let mut store = Told::disk();
    store.before_get = Some(Box::new(|_, _| Some(("a", "x"))));
    let source = filled(store, &[("a", "old"), ("b", "fine")]).await;
    let target = filled(Told::bucket(), &[("a", "good")]).await;
    let report = job(&source, &target, SyncOptions::default()).run().await;
    assert_eq!((report.copied, report.failed.len()), (1, 1));
    assert_eq!(report.failed.head()[0].kind, FailureKind::Changed);
    assert_eq!(read(&target, "a").await.as_deref(), Some("good"));
}

#[tokio::test]
async fn a_target_that_changed_since_it_was_listed_is_left_alone() {
    let mut store = Told::bucket();
    store.before_put = Some(Box::new(|_, _| Some(("a", "theirs"))));
    let source = filled(Told::disk(), &[("a", "ours, longer")]).await;
    let target = filled(store, &[("a", "old")]).await;
    let report = job(&source, &target, mirror()).run().await;
    assert_eq!(report.failed.head()[0].kind, FailureKind::Stale(Side::Target));
    assert_eq!(read(&target, "a").await.as_deref(), Some("theirs"));
}

#[tokio::test]
async fn a_strict_plan_does_nothing_that_is_out_of_date() {
    let source = filled(Told::disk(), &[("changed", "1"), ("fine", "1"), ("left", "1"), ("new", "1")]).await;
    let target = filled(Told::bucket(), &[("changed", "old"), ("gone", "x"), ("kept", "x"), ("new-too", "x")]).await;
    let options = mirror().with_preconditions(Preconditions::Strict);
    let job = job(&source, &target, options);
    let plan = job.plan().await.unwrap();
    for (store, key) in [(&source, "changed"), (&target, "new")] {
        store.inner.write(&Key::from(key), "meanwhile".into()).await.unwrap();
    }
    source.inner.remove(&Key::from("left")).await.unwrap();
    let report = job.execute(plan).await;
    assert_eq!((report.copied, report.deleted, report.withheld), (1, 0, 3));
    let mut told: Vec<_> =
        report.failed.head().iter().map(|failure| (failure.key.as_str(), failure.kind, failure.cause())).collect();
    told.sort_by_key(|(key, ..)| *key);
    let (by_source, by_target) = (
        "the source has changed since the plan was made, so it was skipped".to_owned(),
        "the target has changed since it was listed, so it was skipped".to_owned(),
    );
    let stale = |key, side, cause: &String| (key, FailureKind::Stale(side), cause.clone());
    let expected = [
        stale("changed", Side::Source, &by_source),
        stale("left", Side::Source, &by_source),
        stale("new", Side::Target, &by_target),
    ];
    assert_eq!(told, expected);
    assert_eq!(report.failed.stale(), 3);
    assert_eq!(read(&target, "changed").await.as_deref(), Some("old"));
    assert_eq!(read(&target, "new").await.as_deref(), Some("meanwhile"));
}

#[tokio::test]
async fn a_strict_plan_deletes_nothing_that_the_source_has_again() {
    let source = filled(Told::disk(), &[("a", "1")]).await;
    let target = filled(Told::bucket(), &[("a", "1"), ("back", "x"), ("gone", "x")]).await;
    let job = job(&source, &target, mirror().with_preconditions(Preconditions::Strict));
    let plan = job.plan().await.unwrap();
    source.inner.write(&Key::from("back"), "again".into()).await.unwrap();
    let report = job.execute(plan).await;
    assert_eq!((report.deleted, report.failed.head()[0].kind), (1, FailureKind::Stale(Side::Source)));
    assert_eq!(report.failed.head()[0].cause(), "the source has it again, so it was not deleted");
    assert_eq!(read(&target, "back").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn what_changed_before_its_delete_stays() {
    let source = filled(Told::disk(), &[("a", "1")]).await;
    let target = filled(Told::disk(), &[("a", "1"), ("old", "x"), ("touched", "x")]).await;
    let job = job(&source, &target, mirror());
    let plan = job.plan().await.unwrap();
    target.inner.write(&Key::from("touched"), "precious".into()).await.unwrap();
    let report = job.execute(plan).await;
    assert_eq!((report.deleted, report.failed.head()[0].kind), (1, FailureKind::Stale(Side::Target)));
    assert_eq!(read(&target, "touched").await.as_deref(), Some("precious"));
}

#[tokio::test]
async fn what_is_newer_in_the_target_stays_and_a_conflict_is_told() {
    let bucket = filled(Told::bucket(), &[("a", "1"), ("b", "1"), ("c", "1")]).await;
    let disk = filled(Told::disk(), &[]).await;
    let manifest = Arc::new(MemoryManifest::default());
    let down = async || {
        let options = SyncOptions::default().with_manifest(manifest.clone());
        job(&bucket, &disk, options.with_overwritable(Overwritable::unless_newer())).run().await
    };
    assert_eq!(down().await.into_result().unwrap().copied, 3);
    disk.inner.write(&Key::from("a"), "2".into()).await.unwrap();
    bucket.inner.write(&Key::from("b"), "2".into()).await.unwrap();
    let report = down().await.into_result().unwrap();
    assert_eq!((report.copied, report.skipped.len()), (1, 1), "{:?}", report.skipped);
    assert_eq!(read(&disk, "a").await.as_deref(), Some("2"), "it was never uploaded");
    assert_eq!(read(&disk, "b").await.as_deref(), Some("2"));

    disk.inner.write(&Key::from("c"), "mine".into()).await.unwrap();
    bucket.inner.write(&Key::from("c"), "theirs".into()).await.unwrap();
    let report = down().await;
    assert!(!report.is_clean());
    assert_eq!(read(&disk, "c").await.as_deref(), Some("mine"));
}

#[tokio::test]
async fn a_policy_can_keep_a_removed_key_from_being_created_again() {
    let disk = filled(Told::disk(), &[("kept", "1"), ("new", "1")]).await;
    let bucket = filled(Told::bucket(), &[]).await;
    let absent = Overwritable::unless(|write| {
        (write.target.is_none() && write.source.key.as_str() == "kept").then_some(SkipReason::Removed)
    });
    let options = mirror().with_overwritable(absent);
    let report = job(&disk, &bucket, options).run().await.into_result().unwrap();
    assert_eq!(
        report.skipped.to_vec().unwrap(),
        [(Key::from("kept"), SkipReason::Removed)],
        "reported, and no failure"
    );
    assert_eq!((read(&bucket, "kept").await, read(&bucket, "new").await.as_deref()), (None, Some("1")));
}

#[tokio::test]
async fn directories_are_looked_up_where_there_are_any_however_they_are_read() {
    let looked_up = async |source: Told, target: Told| {
        let content = [("d/x", "1")];
        let (source, target) = (filled(source, &content).await, filled(target, &content).await);
        let before = source.inner.usage().get("head");
        job(&source, &target, SyncOptions::default()).explain(&Key::from("d/x")).await.unwrap();
        source.inner.usage().get("head") - before
    };
    let in_memory = || Told::new(MemoryStore::new().capabilities());
    assert_eq!(looked_up(in_memory(), Told::bucket()).await, 1, "d/x");
    assert_eq!(looked_up(in_memory(), Told::file_server()).await, 2, "d and d/x");
    assert_eq!(looked_up(Told::file_server(), Told::bucket()).await, 4, "d, d/, d/x and d/x/");
    assert_eq!(looked_up(Told::disk(), Told::bucket()).await, 4, "the same on a disk");
}
