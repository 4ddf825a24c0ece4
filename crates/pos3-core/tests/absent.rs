//! Files that a listing lacks although they exist, and the copies of them in the target.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, future};
use pos3_core::{
    Backend, Budget, Capabilities, Content, DeleteKey, Deletion, Download, Entry, EntryStream, ErrorKind, Expect,
    FailureKind, GetOptions, Key, ListOptions, MemoryStore, OTHER_SPELLING, Operation, Preconditions, PutOptions,
    Reads, RemoteStore, RemoteStoreExt, Report, Result, Side, StoreError, Stored, SyncJob, SyncOptions, Tree,
    Unfinished, Usage,
};

/// A store whose listing differs from its lookups.
#[derive(Debug, Default)]
struct Source {
    inner: MemoryStore,
    /// The listing lacks these keys.
    unlisted: &'static [&'static str],
    /// The listing notes these directories as unsettled.
    unsettled: &'static [&'static str],
    /// A lookup finds a key also in another spelling.
    ignores_case: bool,
    is_remote: bool,
}

#[async_trait]
impl RemoteStore for Source {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities().with_reads(if self.is_remote { Reads::Remote } else { Reads::Local })
    }
    fn backend(&self, _: &Key) -> Option<Backend<'_>> {
        None
    }
    fn usage(&self) -> Usage {
        self.inner.usage()
    }
    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        self.unsettled.iter().for_each(|directory| options.doubts.note_unsettled(&Key::from(*directory)));
        let unlisted = self.unlisted;
        let is_listed = move |entry: &Entry| future::ready(!unlisted.contains(&entry.key.as_str()));
        self.inner.list(prefix, options).try_filter(is_listed).boxed()
    }
    async fn head(&self, key: &Key) -> Result<Entry> {
        let all: Vec<Entry> = self.inner.list("", ListOptions::default()).try_collect().await?;
        let is_meant = |entry: &&Entry| entry.key.as_str().eq_ignore_ascii_case(key.as_str());
        match all.iter().find(is_meant).filter(|_| self.ignores_case) {
            Some(entry) => Ok(Entry { key: key.clone(), ..entry.clone() }),
            None => self.inner.head(key).await,
        }
    }
    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        self.inner.get(key, options).await
    }
    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        let is_there = self.ignores_case && options.expect == Expect::Absent && self.head(key).await.is_ok();
        if is_there {
            return Err(StoreError::new(ErrorKind::AlreadyExists, Operation::Write).with_key(key));
        }
        self.inner.put(key, content, options).await
    }
    async fn delete(&self, keys: &[DeleteKey]) -> Vec<Result<()>> {
        self.inner.delete(keys).await
    }
    async fn unfinished(&self, prefix: &str) -> Result<Vec<(Key, Unfinished)>> {
        self.inner.unfinished(prefix).await
    }
    async fn abandon(&self, puts: &[(Key, Unfinished)]) -> Vec<Result<()>> {
        self.inner.abandon(puts).await
    }
    async fn copy(&self, from: &Key, to: &Key) -> Result<Entry> {
        self.inner.copy(from, to).await
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

async fn fill(store: &MemoryStore, keys: &[&str]) {
    for key in keys {
        store.write(&Key::from(*key), "1".into()).await.unwrap();
    }
}

/// Syncs the source to a target with these keys. Returns the report and the keys that the target has then.
async fn sync(source: Source, has: &[&str], target: &[&str], options: SyncOptions) -> (Report, Vec<String>) {
    fill(&source.inner, has).await;
    let store = Arc::new(MemoryStore::new());
    fill(&store, target).await;
    let report = SyncJob::new(Tree::new(Arc::new(source)), Tree::new(store.clone()), options).run().await;
    let left = store.list_all("").await.unwrap();
    (report, left.into_iter().map(|entry| entry.key.as_str().to_owned()).collect())
}

fn mirror() -> SyncOptions {
    SyncOptions::default().with_deletion(Deletion::Extra)
}

#[tokio::test]
async fn what_a_listing_lacks_and_a_lookup_finds_is_not_deleted() {
    let unlisted = &["b", "d/e"];
    let has = &["a", "b", "d/e", "d/f"];
    let (report, left) =
        sync(Source { unlisted, ..Source::default() }, has, &["a", "b", "d/e", "d/f", "gone"], mirror()).await;
    assert_eq!(left, has);
    assert_eq!((report.deleted, report.failed.len(), report.is_clean()), (1, 2, false));
    for failure in report.failed.head() {
        assert_eq!(failure.kind, FailureKind::Stale(Side::Source));
        assert_eq!(failure.cause(), "the source has it again, so it was not deleted");
    }

    // A source that takes a request for each lookup is only looked up if the options require it.
    let target = &["a", "b", "d/e", "d/f"];
    for (preconditions, deleted) in [(Preconditions::Usual, 2), (Preconditions::Strict, 0)] {
        let source = Source { unlisted, is_remote: true, ..Source::default() };
        let (report, left) = sync(source, has, target, mirror().with_preconditions(preconditions)).await;
        assert_eq!((report.deleted, left.len()), (deleted, target.len() - usize::try_from(deleted).unwrap()));
    }
}

#[tokio::test]
async fn a_file_that_is_renamed_to_another_case_loses_its_old_object() {
    for (new, old) in [("a.txt", "A.txt"), ("d/x", "D/x"), ("d/e/x", "d/E/X")] {
        let source = Source { ignores_case: true, ..Source::default() };
        let (report, left) = sync(source, &[new, "z"], &[old, "z"], mirror()).await;
        assert!(report.is_clean(), "{old}: {report:?}");
        assert_eq!(left, [new, "z"]);
    }
    // Where case counts, both names are files, and the listing lacks one.
    let source = Source { unlisted: &["A"], ..Source::default() };
    let (report, left) = sync(source, &["A", "a"], &["A", "a"], mirror()).await;
    assert_eq!((report.deleted, left.len()), (0, 2));
    // A directory that ignores case, and whose listing lacks the only file.
    let source = Source { unlisted: &["a"], ignores_case: true, ..Source::default() };
    let (report, left) = sync(source, &["a", "z"], &["a", "z"], mirror()).await;
    assert_eq!((report.deleted, left.len()), (0, 2));
}

#[tokio::test]
async fn a_directory_that_never_settles_is_named_and_withholds_the_deletes() {
    for (unsettled, named) in [(&["d/", "e/"] as &[&str], "d/"), (&[""], "./")] {
        for deletion in [Deletion::Extra, Deletion::Keep] {
            let source = Source { unsettled, ..Source::default() };
            let options = SyncOptions::default().with_deletion(deletion);
            let (report, left) = sync(source, &["a", "d/x"], &["d/x", "gone"], options).await;
            assert_eq!(left, ["a", "d/x", "gone"], "the copies are made");
            assert_eq!((report.copied, report.deleted, report.is_clean()), (1, 0, false));
            assert_eq!(report.withheld, u64::from(deletion == Deletion::Extra));
            assert_eq!(report.skipped.to_vec().unwrap()[0].0.as_str(), named);
            let warning = &report.warnings[0];
            assert!(warning.contains("may lack files") && warning.contains(&format!("'{named}'")), "{warning}");
        }
    }
}

#[tokio::test]
async fn a_target_that_ignores_case_names_the_other_spelling_in_every_run() {
    let source = Arc::new(MemoryStore::new());
    fill(&source, &["A.txt", "D/x", "a.txt", "d/x", "other"]).await;
    for preconditions in [Preconditions::Usual, Preconditions::Strict] {
        let target = Arc::new(Source { ignores_case: true, ..Source::default() });
        for copied in [3, 0] {
            let options = SyncOptions::default().with_budget(Budget::new(1, 1 << 20)).with_preconditions(preconditions);
            let report = SyncJob::new(Tree::new(source.clone()), Tree::new(target.clone()), options).run().await;
            assert_eq!((report.copied, report.failed.len(), report.failed.stale()), (copied, 2, 0), "{report:?}");
            for (failure, other) in report.failed.head().iter().zip(["'A.txt'", "'D/x'"]) {
                assert_eq!(failure.error.code(), Some(OTHER_SPELLING));
                assert!(failure.cause().contains(other), "{}", failure.cause());
            }
        }
    }
    // Another writer stored the same name meanwhile.
    let target = Arc::new(Source { unlisted: &["a.txt"], ..Source::default() });
    fill(&target.inner, &["A.txt", "a.txt"]).await;
    let report = SyncJob::new(Tree::new(source), Tree::new(target), SyncOptions::default()).run().await;
    assert_eq!((report.failed.len(), report.failed.stale()), (1, 1), "{report:?}");
}
