//! The semantics of a sync on stores in memory, under the headings of `docs/SEMANTICS.md`. Behaviour that needs a disk
//! or a server is tested in the crates above.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use pos3_core::conformance::{FaultStore, RelistedStore};
use pos3_core::{
    ByContent, CancellationToken, Compare, Deletion, Digest, ErrorKind, Event, Filter, Guards, Key, LastLook, Manifest,
    MaxDelete, MemoryManifest, MemoryStore, Objection, Observer, Operation, Overwritable, Refusal, RemoteStore,
    RemoteStoreExt, Row, RowChange, Side, SkipReason, Stop, SyncJob, SyncOptions, Tree,
};
use tokio::time::Instant;

async fn store(objects: &[(&str, &'static str)]) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    for (key, content) in objects {
        store.write(&Key::from(*key), (*content).into()).await.unwrap();
    }
    store
}

async fn contents(store: &dyn RemoteStore) -> Vec<(String, String)> {
    let mut contents = Vec::new();
    for entry in store.list_all("").await.unwrap() {
        let content = store.read(&entry.key).await.unwrap();
        contents.push((entry.key.as_str().to_owned(), String::from_utf8(content.to_vec()).unwrap()));
    }
    contents
}

fn pairs(objects: &[(&str, &str)]) -> Vec<(String, String)> {
    objects.iter().map(|(key, content)| ((*key).to_owned(), (*content).to_owned())).collect()
}

fn job(source: Arc<dyn RemoteStore>, target: Arc<dyn RemoteStore>, options: SyncOptions) -> SyncJob {
    SyncJob::new(Tree::new(source), Tree::new(target), options)
}

fn mirror() -> SyncOptions {
    SyncOptions::default().with_deletion(Deletion::Extra)
}

/// Keys enough that the usual guard does not step in.
const MANY: [(&str, &str); 4] = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];

#[tokio::test]
async fn a_content_that_was_read_to_answer_an_objection_is_not_read_again_for_it() {
    let (source, target) = (store(&[("k", "old")]).await, store(&[("k", "new")]).await);
    let digest: Digest = "149603e6c03516362a8da23f624db945".parse().unwrap();
    let manifest = Arc::new(MemoryManifest::default());
    let row = Row { key: "k".into(), source: "before".into(), target: "e1".into(), digest: Some(digest) };
    manifest.apply(vec![RowChange::Equal(row)]).await.unwrap();
    let questions = Arc::new(Mutex::new(0));
    let asked = questions.clone();
    let overwritable = Overwritable::judged(move |write| {
        if write.row.is_some_and(|row| write.source.fingerprint.as_ref() == Some(&row.source)) {
            return Objection::Stay(SkipReason::Newer);
        }
        *asked.lock().unwrap() += 1;
        let (same, different) = (Some(SkipReason::Newer), None);
        ByContent { side: Side::Source, digests: vec![digest], same, different, unknown: None }.into()
    });
    let options = SyncOptions::default().with_manifest(manifest.clone()).with_overwritable(overwritable);
    for _ in 0..3 {
        let report = job(source.clone(), target.clone(), options.clone()).run().await;
        assert_eq!((report.copied, report.skipped.count(|why| *why == SkipReason::Newer)), (0, 1), "{report:?}");
    }
    assert_eq!(*questions.lock().unwrap(), 1);
    assert_eq!(contents(&*target).await, pairs(&[("k", "new")]));
}

#[tokio::test]
async fn a_plan_touches_nothing() {
    let (source, target) = (store(&MANY).await, store(&[("old", "x")]).await);
    let plan = job(source.clone(), target.clone(), mirror()).plan().await.unwrap();
    assert_eq!(plan.len(), 5);
    let (source, target) = (source.usage(), target.usage());
    assert_eq!((source.get("list"), source.get("get")), (1, 0));
    assert_eq!((target.get("list"), target.get("put"), target.get("delete")), (1, 1, 0), "one put made the old object");
}

#[tokio::test]
async fn each_copy_costs_one_read_and_one_write_and_the_second_run_nothing() {
    // A store with faults in its reads has no backend, so nothing is copied inside the store.
    let source = Arc::new(FaultStore::over_shared(store(&MANY).await).cutting_bodies_after(usize::MAX));
    let target = store(&[]).await;
    let run = async || job(source.clone(), target.clone(), mirror()).run().await.into_result().unwrap();
    let first = run().await;
    assert_eq!((first.copied, first.copied_bytes), (4, 4));
    assert_eq!(first.usage.to_string(), "4 get, 2 list, 4 put");
    let second = run().await;
    assert_eq!((second.copied, second.tally.unchanged), (0, 4));
    assert_eq!(second.usage.to_string(), "2 list");
}

#[tokio::test]
async fn deletes_come_after_copies_and_go_in_one_batch() {
    let (source, target) = (store(&MANY).await, store(&[("x", "1"), ("y", "2"), ("a", "1")]).await);
    let report = job(source, target.clone(), mirror()).run().await.into_result().unwrap();
    assert_eq!((report.deleted, report.usage.get("delete")), (2, 1));
    assert_eq!(contents(&*target).await, pairs(&MANY));
}

#[tokio::test]
async fn without_deletion_nothing_is_deleted_and_the_rest_is_counted() {
    let (source, target) = (store(&MANY).await, store(&[("x", "1")]).await);
    let report = job(source, target.clone(), SyncOptions::default()).run().await.into_result().unwrap();
    assert_eq!((report.deleted, report.tally.extra), (0, 1));
    assert_eq!(contents(&*target).await.len(), 5);
}

#[tokio::test]
async fn a_failed_copy_withholds_every_delete() {
    let source: Arc<dyn RemoteStore> = store(&MANY).await;
    let inner = store(&[("x", "1")]).await;
    let target = Arc::new(FaultStore::over_shared(inner.clone()).failing(Operation::Write, 2));
    let report = job(source, target.clone(), mirror()).run().await;
    assert_eq!((report.failed.len(), report.copied, report.withheld, report.deleted), (1, 3, 1, 0));
    assert_eq!(target.deletes(), 0);
    assert!(contents(&*inner).await.contains(&("x".into(), "1".into())));
    assert!(report.into_result().unwrap_err().to_string().contains("1 failed"));
}

#[tokio::test]
async fn a_listing_that_breaks_deletes_nothing_on_either_side() {
    for broken in [Side::Source, Side::Target] {
        let (source, inner) = (store(&MANY).await, store(&[("x", "1"), ("y", "2")]).await);
        let fault = |store: Arc<MemoryStore>, side| {
            let store = FaultStore::over_shared(store);
            Arc::new(if side == broken { store.breaking_listings_after(1) } else { store })
        };
        let target = fault(inner.clone(), Side::Target);
        let report = job(fault(source, Side::Source), target.clone(), mirror()).run().await;
        let Some(Stop::Listing { side, error, .. }) = &report.stopped else { panic!("{report:?}") };
        assert_eq!((*side, error.kind()), (broken, ErrorKind::Unavailable));
        assert_eq!((target.deletes(), report.copied), (0, 0), "with deletes asked for, nothing at all is done");
        assert_eq!(contents(&*inner).await, pairs(&[("x", "1"), ("y", "2")]));
    }
}

#[tokio::test]
async fn an_empty_source_is_refused_unless_allowed() {
    let (source, target) = (store(&[]).await, store(&MANY).await);
    let report = job(source.clone(), target.clone(), mirror()).run().await;
    assert!(matches!(report.stopped, Some(Stop::Refused(Refusal::SourceEmpty { files: 4 }))), "{report:?}");
    assert_eq!(contents(&*target).await, pairs(&MANY));
    let options = mirror().with_guards(Guards::default().with_allow_empty(true));
    let report = job(source, target.clone(), options).run().await.into_result().unwrap();
    assert_eq!(report.deleted, 4);
}

#[tokio::test]
async fn too_many_deletes_refuse_the_whole_plan_copies_too() {
    let (source, target) = (store(&[("a", "1"), ("new", "2")]).await, store(&MANY).await);
    let options = mirror().with_guards(Guards::default().with_max_delete(MaxDelete::Count(2)));
    let report = job(source, target.clone(), options).run().await;
    let expected = Refusal::TooManyDeletes { deletes: 3, files: 4, limit: 2 };
    assert!(matches!(&report.stopped, Some(Stop::Refused(refusal)) if *refusal == expected), "{report:?}");
    assert_eq!(contents(&*target).await, pairs(&MANY));
}

#[tokio::test]
async fn excluded_keys_are_neither_copied_nor_deleted() {
    let (source, target) = (store(&[("a", "1"), ("s.tmp", "1")]).await, store(&[("t.tmp", "2")]).await);
    let filter = Filter::builder().exclude("*.tmp").unwrap().build().unwrap();
    let report = job(source, target.clone(), mirror().with_filter(filter)).run().await.into_result().unwrap();
    assert_eq!((report.copied, report.deleted), (1, 0));
    assert_eq!(contents(&*target).await, pairs(&[("a", "1"), ("t.tmp", "2")]));
}

#[tokio::test]
async fn a_same_size_edit_is_found() {
    let (source, target) = (store(&[("a", "new!")]).await, store(&[("a", "old!")]).await);
    let size_only = SyncOptions::default().with_compare(Compare::SizeOnly);
    let report = job(source.clone(), target.clone(), size_only).run().await.into_result().unwrap();
    assert_eq!(report.copied, 0);
    let report = job(source, target.clone(), SyncOptions::default()).run().await.into_result().unwrap();
    assert_eq!(report.copied, 1);
    assert_eq!(contents(&*target).await, pairs(&[("a", "new!")]));
}

/// Notes what is said of disorder.
#[derive(Default)]
struct Disorders(Mutex<Vec<(Side, String)>>);

impl Observer for Disorders {
    fn event(&self, event: &Event<'_>) {
        if let Event::Disorder(side, cause) = event {
            self.0.lock().unwrap().push((*side, (*cause).to_owned()));
        }
    }
}

#[tokio::test]
async fn a_store_that_lies_about_its_order_is_noticed_and_sorted() {
    let objects: Vec<(String, String)> = (0..50).map(|n| (format!("k{n:02}"), format!("{n}"))).collect();
    for deletion in [Deletion::Keep, Deletion::Extra] {
        let (source, inner) = (store(&[]).await, store(&[("x", "1")]).await);
        for (key, content) in &objects {
            source.write(&Key::from(key.as_str()), content.clone().into_bytes().into()).await.unwrap();
            inner.write(&Key::from(key.as_str()), content.clone().into_bytes().into()).await.unwrap();
        }
        let noted = Arc::new(Disorders::default());
        let options = SyncOptions::default().with_deletion(deletion).with_observer(noted.clone());
        let lying = |store: Arc<MemoryStore>, seed| Arc::new(RelistedStore::disordered(store, seed));
        let report = job(lying(source, 1), lying(inner.clone(), 2), options).run().await;
        let report = report.into_result().unwrap();
        assert_eq!((report.tally.unchanged, report.failed.len()), (50, 0));
        let said = noted.0.lock().unwrap().clone();
        assert_eq!((said.len(), report.warnings.len()), (2, 2), "once for each side: {said:?}");
        assert!(said[0].1.contains("came after 'k"), "both keys are named: {said:?}");
        let expected = if deletion == Deletion::Extra { 50 } else { 51 };
        assert_eq!(contents(&*inner).await.len(), expected);
    }
}

#[tokio::test]
async fn what_is_copied_before_a_listing_is_sorted_is_counted_once() {
    let source = store(&[]).await;
    for number in 0..50 {
        source.write(&Key::from(format!("k{number:02}")), "x".into()).await.unwrap();
    }
    for seed in 0..5 {
        let target = store(&[]).await;
        let lying = Arc::new(RelistedStore::disordered(source.clone(), seed));
        let report = job(lying, target.clone(), SyncOptions::default()).run().await.into_result().unwrap();
        assert_eq!((report.copied, report.tally.unchanged), (50, 0), "{seed}");
        assert_eq!(contents(&*target).await.len(), 50);
    }
}

#[tokio::test]
async fn an_honestly_unordered_store_is_sorted_at_once() {
    let (source, target) = (store(&MANY).await, store(&[]).await);
    let source = Arc::new(RelistedStore::unordered(source, 3));
    let report = job(source, target.clone(), mirror()).run().await.into_result().unwrap();
    assert_eq!(report.usage.get("list"), 2);
    assert_eq!(contents(&*target).await, pairs(&MANY));
}

#[tokio::test]
async fn a_cancelled_run_deletes_nothing() {
    let (source, target) = (store(&MANY).await, store(&[("x", "1")]).await);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let report = job(source, target.clone(), mirror()).with_cancel(cancel).run().await;
    assert!(matches!(report.stopped, Some(Stop::Cancelled)));
    assert_eq!(contents(&*target).await, pairs(&[("x", "1")]));
}

/// Cancels when the first copy is done: the deletes that the plan holds must not follow.
struct CancelOnFirst(CancellationToken);

impl Observer for CancelOnFirst {
    fn event(&self, event: &Event<'_>) {
        if let Event::Done(_) = event {
            self.0.cancel();
        }
    }
}

#[tokio::test]
async fn a_cancellation_during_copies_withholds_the_deletes() {
    let (source, target) = (store(&MANY).await, store(&[("x", "1")]).await);
    let cancel = CancellationToken::new();
    let options = mirror().with_observer(CancelOnFirst(cancel.clone()));
    let report = job(source, target.clone(), options).with_cancel(cancel).run().await;
    assert!(matches!(report.stopped, Some(Stop::Cancelled)), "{report:?}");
    assert_eq!(report.deleted, 0);
    assert!(contents(&*target).await.contains(&("x".into(), "1".into())));
}

#[tokio::test]
async fn a_cancellation_during_deletes_withholds_the_batches_that_are_left() {
    let (source, target) = (store(&[]).await, store(&[]).await);
    for number in 0..1_500 {
        target.write(&Key::from(format!("old-{number:04}")), "x".into()).await.unwrap();
    }
    let cancel = CancellationToken::new();
    let guards = Guards::default().with_allow_empty(true).with_max_delete(MaxDelete::Percent(100));
    let options = mirror().with_guards(guards).with_observer(CancelOnFirst(cancel.clone()));
    let report = job(source, target.clone(), options).with_cancel(cancel).run().await;
    assert!(matches!(report.stopped, Some(Stop::Cancelled)), "{report:?}");
    assert_eq!((report.deleted, report.withheld), (1_000, 500));
    assert_eq!(contents(&*target).await.len(), 500);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_is_not_answered_is_withheld_when_the_grace_period_is_over() {
    let (source, target) = (store(&[("a", "1")]).await, store(&[("a", "1"), ("b", "1"), ("c", "1")]).await);
    let stalling = Arc::new(FaultStore::over_shared(target.clone()).stalling_deletes());
    for (keeps, expected) in [(None, 11), (Some(Duration::from_secs(1)), 41)] {
        let (cancel, keep, begun) = (CancellationToken::new(), CancellationToken::new(), Instant::now());
        let job = job(source.clone(), stalling.clone(), mirror()).with_cancel(cancel.clone()).with_keep(keep.clone());
        tokio::spawn(async move {
            if let Some(first) = keeps {
                tokio::time::sleep(first).await;
                keep.cancel();
                tokio::time::sleep(Duration::from_secs(29)).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            cancel.cancel();
        });
        let report = job.run().await;
        assert!(matches!(report.stopped, Some(Stop::Cancelled)), "{report:?}");
        assert_eq!((begun.elapsed().as_secs(), report.deleted, report.withheld), (expected, 0, 2), "{report:?}");
        assert!(report.warnings[0].starts_with("deletes without a result before the end: 2;"), "{report:?}");
    }
    assert_eq!(stalling.faults(), 2);
}

#[tokio::test]
async fn the_wish_to_keep_the_rest_withholds_deletes_and_no_copy() {
    for (files, deleted, left) in [(&MANY[..], 0, 1_500), (&[], 1_000, 500)] {
        let (source, target) = (store(files).await, store(&[]).await);
        for number in 0..1_500 {
            target.write(&Key::from(format!("old-{number:04}")), "x".into()).await.unwrap();
        }
        let keep = CancellationToken::new();
        let guards = Guards::default().with_allow_empty(true).with_max_delete(MaxDelete::Percent(100));
        let options = mirror().with_guards(guards).with_observer(CancelOnFirst(keep.clone()));
        let report = job(source, target.clone(), options).with_keep(keep).run().await;
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.copied, report.deleted, report.withheld), (files.len() as u64, deleted, left));
        assert_eq!(contents(&*target).await.len() as u64, files.len() as u64 + left);
    }
}

#[tokio::test]
async fn the_last_look_comes_between_the_copies_and_the_deletes_and_can_withhold_them() {
    for (is_kept, old, expected) in [(true, 1, (0, 1, 1)), (false, 1, (1, 0, 1)), (false, 0, (0, 0, 0))] {
        let (source, target) = (store(&[("a", "1")]).await, store(&[("old", "1")][..old]).await);
        let (keep, looks) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let look = {
            let (keep, looks, target) = (keep.clone(), looks.clone(), target.clone());
            LastLook::new(move || {
                let (keep, looks, target) = (keep.clone(), looks.clone(), target.clone());
                async move {
                    looks.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(contents(&*target).await.len(), 2, "the copy is there, and so is the old object");
                    if is_kept {
                        keep.cancel();
                    }
                }
            })
        };
        let options = mirror().with_guards(Guards::default().with_max_delete(MaxDelete::Percent(100)));
        let report = job(source, target, options).with_keep(keep).with_last_look(look).run().await;
        assert!(report.is_clean() && report.copied == 1, "{report:?}");
        let found = (report.deleted, report.withheld, looks.load(Ordering::Relaxed));
        assert_eq!(found, expected, "{is_kept} {old}");
    }
}

#[tokio::test]
async fn a_plan_that_was_asked_for_is_seen_whole_before_anything_is_done() {
    let (source, target) = (store(&MANY).await, store(&[("x", "1")]).await);
    let manifest = Arc::new(MemoryManifest::default());
    for (options, actions) in [(SyncOptions::default(), MANY.len() as u64), (mirror(), 1)] {
        let job = job(source.clone(), target.clone(), options.with_manifest(manifest.clone()));
        let mut seen = 0;
        let puts = target.usage().get("put");
        let report = job
            .run_seeing(|plan| {
                seen = plan.len();
                assert_eq!(target.usage().get("put"), puts);
            })
            .await;
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(seen, actions);
    }
    assert_eq!(manifest.rows().count().await, MANY.len(), "what was done is remembered");
    assert_eq!(contents(&*target).await, contents(&*source).await);
}

#[tokio::test]
async fn an_object_that_appears_meanwhile_is_not_overwritten() {
    let (source, target) = (store(&[("a", "ours")]).await, store(&[]).await);
    let job = job(source, target.clone(), SyncOptions::default());
    let plan = job.plan().await.unwrap();
    target.write(&Key::from("a"), "theirs".into()).await.unwrap();
    let report = job.execute(plan).await;
    assert_eq!(report.failed.head()[0].error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(contents(&*target).await, pairs(&[("a", "theirs")]));
}

#[tokio::test]
async fn a_prefix_is_text_and_siblings_stay() {
    let source = store(&[("p/data/a", "1"), ("p/data_backup/b", "2")]).await;
    let target = store(&[("q/data/old", "x"), ("q/data_backup/c", "3")]).await;
    let job = SyncJob::new(Tree::new(source).at("p/data/"), Tree::new(target.clone()).at("q/data/"), mirror());
    let report = job.run().await.into_result().unwrap();
    assert_eq!((report.copied, report.deleted), (1, 1));
    assert_eq!(contents(&*target).await, pairs(&[("q/data/a", "1"), ("q/data_backup/c", "3")]));
}

#[tokio::test]
async fn a_plan_is_the_same_however_little_of_it_is_in_memory() {
    let source: Vec<(String, &str)> = (0..300).map(|number| (format!("new/{number:03}"), "1")).collect();
    let source: Vec<(&str, &str)> = source.iter().map(|(key, content)| (key.as_str(), *content)).collect();
    let target: Vec<(String, &str)> = (0..299).map(|number| (format!("old/{number:03}"), "2")).collect();
    let target: Vec<(&str, &str)> = target.iter().map(|(key, content)| (key.as_str(), *content)).collect();
    let guards = Guards::default().with_max_delete(MaxDelete::Percent(100));
    let mut plans = Vec::new();
    for bytes in [0, 1000, 1 << 20] {
        let target = store(&target).await;
        let options = mirror().with_guards(guards).with_plan_memory(bytes);
        let job = job(store(&source).await, target.clone(), options);
        let plan = job.plan().await.unwrap();
        let keys: Vec<Key> = plan.actions().map(|action| action.unwrap().key().clone()).collect();
        plans.push((keys, plan.counts(), plan.len()));
        let report = job.execute(plan).await.into_result().unwrap();
        assert_eq!((report.copied, report.deleted), (300, 299), "{bytes}");
        assert_eq!(contents(&*target).await, pairs(&source));
    }
    assert_eq!((plans[0].1.copies, plans[0].1.deletes, plans[0].2), (300, 299, 599));
    assert_eq!(plans[0], plans[2]);
    assert_eq!(plans[1], plans[2]);
}
