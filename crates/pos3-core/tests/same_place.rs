//! One store behind two names, where only what happens shows it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pos3_core::{
    Capabilities, Content, Deletion, Download, Entry, EntryStream, GetOptions, Guards, Key, ListOptions, MaxDelete,
    MemoryStore, PutOptions, Refusal, RemoteStore, RemoteStoreExt, Report, Result, Stop, SyncJob, SyncOptions, Tree,
    Unfinished, Usage,
};

/// A server that keeps its objects in another store, as a gateway to a directory does.
#[derive(Debug)]
struct Gateway(Arc<MemoryStore>);

#[async_trait]
impl RemoteStore for Gateway {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().with_local_reads(false).with_keeps_modified(false)
    }
    fn usage(&self) -> Usage {
        Usage::default()
    }
    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        self.0.list(prefix, options)
    }
    async fn head(&self, key: &Key) -> Result<Entry> {
        self.0.head(key).await
    }
    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        self.0.get(key, options).await
    }
    async fn put(&self, key: &Key, content: Content, _: PutOptions) -> Result<Entry> {
        self.0.put(key, content, PutOptions::default()).await
    }
    async fn delete(&self, keys: &[Key]) -> Vec<Result<()>> {
        self.0.delete(keys).await
    }
    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        self.0.unfinished(prefix).await
    }
    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        self.0.abandon(puts).await
    }
    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.0.copy(from, to).await
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gateway://bucket")
    }
}

async fn store(keys: &[&'static str]) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    for key in keys {
        store.write(&Key::from(*key), (*key).into()).await.unwrap();
    }
    Arc::new(store)
}

async fn keys(store: &MemoryStore) -> Vec<String> {
    store.list_all("").await.unwrap().into_iter().map(|entry| entry.key.as_str().to_owned()).collect()
}

async fn mirror(source: Tree, target: Tree) -> Report {
    let guards = Guards::default().with_max_delete(MaxDelete::Percent(100));
    SyncJob::new(source, target, SyncOptions::default().with_deletion(Deletion::Mirror).with_guards(guards)).run().await
}

#[track_caller]
fn assert_refused(report: &Report, key: &str) {
    let found = match &report.stopped {
        Some(Stop::Refused(Refusal::SamePlace { key })) => key.as_str(),
        other => panic!("{other:?}"),
    };
    assert_eq!((found, report.deleted), (key, 0));
}

#[tokio::test]
async fn a_gateway_to_the_source_shows_itself_before_a_delete() {
    let directory = store(&["a", "sub/mine", "z"]).await;
    let target = Tree::new(Arc::new(Gateway(directory.clone()))).at("sub/");
    let report = mirror(Tree::new(directory.clone()), target).await;
    assert_refused(&report, "a");
    assert!(keys(&directory).await.contains(&"sub/mine".to_owned()), "what only the target has is the source's too");
}

#[tokio::test]
async fn two_gateways_to_one_store_show_themselves_by_the_first_object() {
    let behind = store(&["a", "sub/mine", "z"]).await;
    let gateway = || Tree::new(Arc::new(Gateway(behind.clone())));
    let report = mirror(gateway(), gateway().at("sub/")).await;
    assert_refused(&report, "a");
    assert_eq!(keys(&behind).await, ["a", "sub/a", "sub/mine", "z"], "nothing else was begun");
}

#[tokio::test]
async fn nested_prefixes_of_two_stores_are_two_places() {
    let (one, two) = (store(&["a", "sub/b"]).await, store(&["sub/old", "old"]).await);
    let gateway = |store: &Arc<MemoryStore>| Tree::new(Arc::new(Gateway(store.clone())));
    for (source, target) in [
        (gateway(&one), gateway(&two).at("sub/")),
        (gateway(&one).at("sub/"), gateway(&two)),
        (Tree::new(one.clone()), gateway(&two).at("in/")),
    ] {
        let report = mirror(source, target).await.into_result().unwrap();
        assert!(report.copied > 0);
    }
}

#[tokio::test]
async fn a_download_from_a_prefix_looks_for_nothing() {
    let (remote, local) = (store(&["p/a", "p/b"]).await, store(&["old"]).await);
    let source = Tree::new(Arc::new(Gateway(remote.clone()))).at("p/");
    let report = mirror(source, Tree::new(local.clone())).await.into_result().unwrap();
    assert_eq!(report.copied, 2);
    assert_eq!(keys(&local).await, ["a", "b"]);
    assert_eq!(remote.usage().get("head"), 0);
}
