//! Random trees, filters and faults against a plain `BTreeMap` world.

use std::collections::BTreeMap;
use std::sync::Arc;

use pos3_core::conformance::{FaultStore, Operation, ShuffledStore};
use pos3_core::{
    Deletion, Filter, Guards, Key, MaxDelete, MemoryStore, RemoteStore, RemoteStoreExt, Report, SyncJob, SyncOptions,
    Tree,
};
use proptest::prelude::*;

type World = BTreeMap<String, String>;

/// Keys that collide and sort in every way that matters, from few letters.
fn key() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "a-", "a.", "a0", "é", "..", "x#1", ""]);
    prop::collection::vec(segment, 1..4)
        .prop_map(|segments| segments.join("/"))
        .prop_filter("no key", |key| !key.is_empty())
}

fn world() -> impl Strategy<Value = World> {
    prop::collection::btree_map(key(), "[xy]{0,2}", 0..12)
}

fn patterns() -> impl Strategy<Value = Vec<(bool, String)>> {
    let pattern = prop::sample::select(vec!["*", "a*", "a/*", "*b", "*/a", "b", "é/*", "a?"]).prop_map(str::to_owned);
    prop::collection::vec((any::<bool>(), pattern), 0..3)
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    SourceListing(usize),
    TargetListing(usize),
    Put(u64),
    Get(u64),
    CutBody,
    SourceDisorder(u64),
    TargetDisorder(u64),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        1 => (0..12_usize).prop_map(Fault::SourceListing),
        1 => (0..12_usize).prop_map(Fault::TargetListing),
        1 => (1..6_u64).prop_map(Fault::Put),
        1 => (1..6_u64).prop_map(Fault::Get),
        1 => Just(Fault::CutBody),
        1 => any::<u64>().prop_map(Fault::SourceDisorder),
        1 => any::<u64>().prop_map(Fault::TargetDisorder),
    ]
}

fn filter(patterns: &[(bool, String)]) -> Filter {
    let build = patterns.iter().try_fold(Filter::builder(), |builder, (exclude, pattern)| {
        if *exclude { builder.exclude(pattern) } else { builder.include(pattern) }
    });
    build.unwrap().build().unwrap()
}

async fn fill(world: &World) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    for (key, content) in world {
        store.write(&Key::from(key.as_str()), content.clone().into_bytes().into()).await.unwrap();
    }
    store
}

async fn read(store: &MemoryStore) -> World {
    let mut world = World::new();
    for entry in store.list_all("").await.unwrap() {
        let content = store.read(&entry.key).await.unwrap();
        world.insert(entry.key.as_str().to_owned(), String::from_utf8(content.to_vec()).unwrap());
    }
    world
}

/// What a sync means, said of two maps.
fn expected(source: &World, target: &World, filter: &Filter, deletion: Deletion) -> World {
    let mut world = target.clone();
    world.retain(|key, _| !filter.admits(key) || deletion == Deletion::Keep || source.contains_key(key));
    world.extend(
        source.iter().filter(|(key, _)| filter.admits(key)).map(|(key, content)| (key.clone(), content.clone())),
    );
    world
}

/// The two stores with the fault put in.
fn faulty(
    fault: Fault,
    source: Arc<MemoryStore>,
    target: Arc<MemoryStore>,
) -> (Arc<dyn RemoteStore>, Arc<dyn RemoteStore>) {
    let from = || FaultStore::over_shared(source.clone());
    let to = || FaultStore::over_shared(target.clone());
    match fault {
        Fault::None => (source, target),
        Fault::SourceListing(after) => (Arc::new(from().breaking_listings_after(after)), target),
        Fault::TargetListing(after) => (source, Arc::new(to().breaking_listings_after(after))),
        Fault::Put(nth) => (source, Arc::new(to().failing(Operation::Put, nth))),
        Fault::Get(nth) => (Arc::new(from().failing(Operation::Get, nth)), target),
        Fault::CutBody => (Arc::new(from().cutting_bodies_after(1)), target),
        Fault::SourceDisorder(seed) => (Arc::new(ShuffledStore::lying(source, seed)), target),
        Fault::TargetDisorder(seed) => (source, Arc::new(ShuffledStore::lying(target, seed))),
    }
}

fn options(patterns: &[(bool, String)], deletion: Deletion) -> SyncOptions {
    let guards = Guards::default().with_max_delete(MaxDelete::Percent(100)).with_allow_empty(true);
    SyncOptions::default().with_filter(filter(patterns)).with_deletion(deletion).with_guards(guards)
}

async fn run(source: Arc<dyn RemoteStore>, target: Arc<dyn RemoteStore>, options: SyncOptions) -> Report {
    SyncJob::new(Tree::new(source), Tree::new(target), options).run().await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Target = filtered source; excluded keys stay; a second run does nothing. With a fault: an object is old or new and
    /// never torn, nothing is deleted unless the run was clean, and a run without the fault then makes it right.
    #[test]
    fn a_sync_is_what_two_maps_say(
        source in world(), target in world(), patterns in patterns(), mirror in any::<bool>(), fault in fault(),
    ) {
        let deletion = if mirror { Deletion::Mirror } else { Deletion::Keep };
        let want = expected(&source, &target, &filter(&patterns), deletion);
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (from, to) = (fill(&source).await, fill(&target).await);
            let (faulty_from, faulty_to) = faulty(fault, from.clone(), to.clone());
            let report = run(faulty_from, faulty_to, options(&patterns, deletion)).await;
            let world = read(&to).await;
            if report.is_clean() {
                prop_assert_eq!(&world, &want);
            } else {
                prop_assert_eq!(report.deleted, 0);
                prop_assert!(target.keys().all(|key| world.contains_key(key)), "something was deleted");
                for (key, content) in &world {
                    let whole = source.get(key) == Some(content) || target.get(key) == Some(content);
                    prop_assert!(whole, "{key:?} is torn: {content:?}");
                }
            }
            let repair = run(from.clone(), to.clone(), options(&patterns, deletion)).await;
            prop_assert!(repair.is_clean());
            prop_assert_eq!(&read(&to).await, &want);
            let again = run(from, to, options(&patterns, deletion)).await;
            prop_assert_eq!((again.copied, again.deleted), (0, 0));
            Ok(())
        })?;
    }

    /// A plan that is collected and then executed does what a run does.
    #[test]
    fn executing_a_collected_plan_is_running(source in world(), target in world(), mirror in any::<bool>()) {
        let deletion = if mirror { Deletion::Mirror } else { Deletion::Keep };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (from, one, two) = (fill(&source).await, fill(&target).await, fill(&target).await);
            let direct = run(from.clone(), one.clone(), options(&[], deletion)).await;
            let job = SyncJob::new(Tree::new(from), Tree::new(two.clone()), options(&[], deletion));
            let plan = job.plan().await.unwrap();
            let planned = job.execute(plan).await;
            prop_assert_eq!(read(&one).await, read(&two).await);
            prop_assert_eq!((direct.copied, direct.deleted, direct.tally), (planned.copied, planned.deleted, planned.tally));
            Ok(())
        })?;
    }
}
