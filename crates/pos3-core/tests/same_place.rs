//! One store behind two names, which only the run itself reveals.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use pos3_core::{
    Backend, Capabilities, Content, DeleteKey, Deletion, Download, Entry, EntryStream, GetOptions, Guards, Key,
    ListOptions, MaxDelete, MemoryStore, PutOptions, Reads, Refusal, RemoteStore, RemoteStoreExt, Report, Result, Stop,
    Stored, SyncJob, SyncOptions, Tree, Unfinished, Usage,
};

/// A server that keeps its objects in another store, as a gateway to a directory does.
#[derive(Debug)]
pub(crate) struct Gateway(pub(crate) Arc<MemoryStore>);

#[async_trait]
impl RemoteStore for Gateway {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().with_reads(Reads::Remote).with_keeps_modified(false)
    }
    fn backend(&self, _: &Key) -> Option<Backend<'_>> {
        None
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
    async fn put(&self, key: &Key, content: Content, _: PutOptions) -> Result<Stored> {
        self.0.put(key, content, PutOptions::default()).await
    }
    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
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

pub(crate) async fn store(keys: &[&'static str]) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    for key in keys {
        store.write(&Key::from(*key), (*key).into()).await.unwrap();
    }
    Arc::new(store)
}

pub(crate) async fn keys(store: &MemoryStore) -> Vec<String> {
    store.list_all("").await.unwrap().into_iter().map(|entry| entry.key.as_str().to_owned()).collect()
}

async fn mirror(source: Tree, target: Tree) -> Report {
    let guards = Guards::default().with_max_delete(MaxDelete::Percent(100));
    SyncJob::new(source, target, SyncOptions::default().with_deletion(Deletion::Extra).with_guards(guards)).run().await
}

#[track_caller]
fn assert_refused(report: &Report, key: &str) {
    let found = match &report.stopped {
        Some(Stop::Refused(Refusal::SamePlace { key } | Refusal::WroteIntoSource { key, .. })) => key.as_str(),
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
async fn a_download_without_deletes_looks_for_nothing() {
    let (remote, local) = (store(&["p/a", "p/b"]).await, store(&["old"]).await);
    let source = Tree::new(Arc::new(Gateway(remote.clone()))).at("p/");
    let report = SyncJob::new(source, Tree::new(local.clone()), SyncOptions::default()).run().await;
    assert_eq!(report.into_result().unwrap().copied, 2);
    assert_eq!(keys(&local).await, ["a", "b", "old"]);
    assert_eq!(remote.usage().get("head"), 0);
}

/// A directory of this machine at a path, which a server shows as a part of its bucket.
#[derive(Debug)]
struct Directory {
    path: &'static str,
    within: Gateway,
}

impl Directory {
    fn whole(&self, key: &Key) -> Key {
        Key::from(format!("{}{key}", self.path.rsplit_once("bucket/").map_or("", |(_, below)| below)))
    }
}

#[async_trait]
impl RemoteStore for Directory {
    fn capabilities(&self) -> Capabilities {
        self.within.0.capabilities().with_reads(Reads::Local)
    }
    fn backend(&self, _: &Key) -> Option<Backend<'_>> {
        None
    }
    fn usage(&self) -> Usage {
        Usage::default()
    }
    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        let root = self.whole(&Key::from(""));
        let listed = self.within.list(self.whole(&Key::from(prefix)).as_str(), options);
        let below = move |entry: Entry| Entry { key: Key::from(&entry.key.as_str()[root.as_str().len()..]), ..entry };
        Box::pin(listed.map(move |entry| entry.map(&below)))
    }
    async fn head(&self, key: &Key) -> Result<Entry> {
        Ok(Entry { key: key.clone(), ..self.within.head(&self.whole(key)).await? })
    }
    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        self.within.get(&self.whole(key), options).await
    }
    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        let stored = self.within.put(&self.whole(key), content, options).await?;
        Ok(stored.map_entry(|entry| Entry { key: key.clone(), ..entry }))
    }
    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        let whole = |asked: &DeleteKey| asked.clone().with_key(self.whole(&asked.key));
        self.within.delete(&keys.iter().map(whole).collect::<Vec<_>>()).await
    }
    async fn unfinished(&self, _: &str) -> Result<Vec<(Key, Unfinished)>> {
        Ok(Vec::new())
    }
    async fn abandon(&self, _: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        Vec::new()
    }
    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.within.copy(&self.whole(from), &self.whole(to)).await
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path.trim_end_matches('/'))
    }
}

#[tokio::test]
async fn a_local_target_that_the_source_serves_shows_itself_by_the_first_file() {
    let bucket = store(&["a", "sub/a-b", "sub/mine", "z"]).await;
    let target = Arc::new(Directory { path: "/srv/bucket/sub/", within: Gateway(bucket.clone()) });
    let report = mirror(Tree::new(Arc::new(Gateway(bucket.clone()))), Tree::new(target)).await;
    assert_refused(&report, "a");
    let Some(Stop::Refused(refusal)) = report.stopped else { unreachable!() };
    assert!(refusal.to_string().contains("'/srv/bucket/sub/a' is left there"), "{refusal}");
    assert_eq!(keys(&bucket).await, ["a", "sub/a", "sub/a-b", "sub/mine", "z"], "nothing else was begun");
}
