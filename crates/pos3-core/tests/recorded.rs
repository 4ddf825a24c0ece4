//! A listing that is read once and replayed.

use std::sync::Arc;

use futures::TryStreamExt;
use pos3_core::conformance::{FaultStore, Subject};
use pos3_core::{
    DeleteKey, Filter, GetOptions, Key, ListOptions, Listing, MemoryStore, Order, Recorded, RemoteStore,
    RemoteStoreExt, Tree,
};

pos3_core::conformance!(recorded, async || {
    let mut subject = Subject::new(Arc::new(MemoryStore::new()));
    subject.store = Arc::new(Recorded::new(subject.store.clone(), subject.prefix.as_str()));
    subject
});

async fn filled(keys: &[&str]) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    for key in keys {
        store.write(&Key::from(*key), "x".into()).await.unwrap();
    }
    store
}

async fn names(store: &dyn RemoteStore, prefix: &str, options: ListOptions) -> Vec<String> {
    let entries: Vec<_> = store.list(prefix, options).try_collect().await.unwrap();
    entries.into_iter().map(|entry| entry.key.as_str().to_owned()).collect()
}

#[tokio::test]
async fn a_listing_is_read_once_and_others_are_forwarded() {
    let store = Recorded::new(filled(&["p/a", "p/b/c", "q"]).await, "p/");
    let prune = Filter::builder().exclude("*").unwrap().build().unwrap();
    for options in [ListOptions::default().with_prune(prune), ListOptions::default()] {
        assert_eq!(names(&store, "p/", options).await, ["p/a", "p/b/c"]);
    }
    assert_eq!(store.usage().get("list"), 1);
    let after = ListOptions::default().with_start_after("p/a".into());
    assert_eq!(names(&store, "p/", after).await, ["p/b/c"]);
    assert_eq!(names(&store, "p/", ListOptions::default().with_shallow(true)).await, ["p/a", "p/b/"]);
    assert_eq!(names(&store, "", ListOptions::default()).await, ["p/a", "p/b/c", "q"]);
    assert_eq!(store.usage().get("list"), 4);
}

#[tokio::test]
async fn a_listing_that_failed_never_looks_complete() {
    let broken = FaultStore::over_shared(filled(&["a", "b", "c"]).await).breaking_listings_after(2);
    let tree = Tree::new(Arc::new(Recorded::new(Arc::new(broken), "")));
    for _ in 0..2 {
        let mut listing = Listing::open(&tree, &Filter::default(), Order::Trusted);
        assert_eq!(listing.next().await.unwrap().unwrap().key.as_str(), "a");
        assert_eq!(listing.next().await.unwrap().unwrap().key.as_str(), "b");
        listing.next().await.unwrap_err();
        assert!(listing.finish().is_none());
    }
}

#[tokio::test]
async fn a_change_or_a_sign_of_one_outdates_the_recording() {
    let inner = filled(&["a", "b"]).await;
    let recorded = || Recorded::new(inner.clone(), "");
    let (own, others) = (recorded(), recorded());
    assert_eq!(names(&own, "", ListOptions::default()).await, ["a", "b"]);
    assert_eq!(names(&others, "", ListOptions::default()).await, ["a", "b"]);
    own.delete(&[DeleteKey::new("a".into())]).await;
    assert_eq!(names(&own, "", ListOptions::default()).await, ["b"]);
    others.head(&"b".into()).await.unwrap();
    assert_eq!(names(&others, "", ListOptions::default()).await, ["a", "b"], "nothing shows the delete");
    others.get(&"a".into(), GetOptions::default()).await.unwrap_err();
    assert_eq!(names(&others, "", ListOptions::default()).await, ["b"]);
}
