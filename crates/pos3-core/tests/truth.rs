//! A sync detects changes since the last run, and changes that happen while it runs.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pos3_core::{
    Action, Backend, Capabilities, Content, Deletable, DeleteKey, Deletion, Download, Entry, EntryStream, ErrorKind,
    FailureKind, Filter, GetOptions, Key, ListOptions, Manifest, MemoryManifest, MemoryStore, Namespace, Operation,
    Overwritable, Preconditions, Protection, PutOptions, Reads, RemoteStore, RemoteStoreExt, Result, Side, SkipReason,
    Stored, SyncJob, SyncOptions, Tree, Unfinished, Usage, Verify,
};

/// What happens right before the nth read or write of a store (from 1).
type Interference = Box<dyn Fn(&MemoryStore, u64) -> Option<(&'static str, &'static str)> + Send + Sync>;

/// A store in memory that says of itself what a test wants, and in which others write at the wrong moment.
pub(crate) struct Told {
    inner: MemoryStore,
    capabilities: Capabilities,
    digests: bool,
    before_get: Option<Interference>,
    before_put: Option<Interference>,
    calls: Mutex<(u64, u64)>,
}

impl Told {
    fn new(capabilities: Capabilities) -> Self {
        let inner = MemoryStore::new();
        Self { inner, capabilities, digests: true, before_get: None, before_put: None, calls: Mutex::default() }
    }

    /// Like a disk: names are paths, reading is cheap, and nothing is hashed in a listing.
    pub(crate) fn disk() -> Self {
        let capabilities = MemoryStore::new().capabilities().with_namespace(Namespace::Hierarchical);
        Self { digests: false, ..Self::new(capabilities) }
    }

    /// Like a bucket: reading costs requests, times are its own.
    pub(crate) fn bucket() -> Self {
        Self::new(MemoryStore::new().capabilities().with_reads(Reads::Remote).with_keeps_modified(false))
    }

    /// Like a server with directories: names are paths, and reading costs requests.
    fn file_server() -> Self {
        Self::new(Self::bucket().capabilities.with_namespace(Namespace::Hierarchical))
    }

    fn without_digests(mut self) -> Self {
        self.digests = false;
        self
    }

    async fn interfere(&self, interference: Option<&Interference>, call: u64) -> Result<()> {
        if let Some((key, content)) = interference.and_then(|interfere| interfere(&self.inner, call)) {
            self.inner.write(&Key::from(key), content.into()).await?;
        }
        Ok(())
    }

    fn show(&self, entry: Entry) -> Entry {
        Entry { digest: entry.digest.filter(|_| self.digests), ..entry }
    }
}

#[async_trait]
impl RemoteStore for Told {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }
    fn backend(&self, _: &Key) -> Option<Backend<'_>> {
        None
    }
    fn usage(&self) -> Usage {
        self.inner.usage()
    }
    fn list(&self, prefix: &str, options: ListOptions) -> EntryStream {
        use futures::StreamExt;
        let digests = self.digests;
        let shown = move |entry: Entry| Entry { digest: entry.digest.filter(|_| digests), ..entry };
        self.inner.list(prefix, options).map(move |entry| entry.map(shown)).boxed()
    }
    async fn head(&self, key: &Key) -> Result<Entry> {
        Ok(self.show(self.inner.head(key).await?))
    }
    async fn get(&self, key: &Key, options: GetOptions) -> Result<Download> {
        let call = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.0 += 1;
            calls.0
        };
        self.interfere(self.before_get.as_ref(), call).await?;
        self.inner.get(key, options).await
    }
    async fn put(&self, key: &Key, content: Content, options: PutOptions) -> Result<Stored> {
        let call = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            calls.1 += 1;
            calls.1
        };
        self.interfere(self.before_put.as_ref(), call).await?;
        Ok(self.inner.put(key, content, options).await?.map_entry(|entry| self.show(entry)))
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

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

async fn filled(store: Told, objects: &[(&str, &'static str)]) -> Arc<Told> {
    for (key, content) in objects {
        store.inner.write(&Key::from(*key), (*content).into()).await.unwrap();
    }
    Arc::new(store)
}

fn job(source: &Arc<Told>, target: &Arc<Told>, options: SyncOptions) -> SyncJob {
    SyncJob::new(Tree::new(source.clone()), Tree::new(target.clone()), options)
}

fn mirror() -> SyncOptions {
    SyncOptions::default().with_deletion(Deletion::Extra)
}

async fn read(store: &Told, key: &str) -> Option<String> {
    let bytes = store.inner.read(&Key::from(key)).await.ok()?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Stores other content of the same size and the same time, as an edit that covers its tracks does.
async fn replace_unseen(store: &Told, key: &str, content: &'static str) {
    let key = Key::from(key);
    let modified = store.inner.head(&key).await.unwrap().modified;
    store.inner.put(&key, content.into(), PutOptions::default().with_modified(modified)).await.unwrap();
}

#[tokio::test]
async fn with_a_manifest_nothing_is_read_and_every_change_is_found() {
    // No digest can be compared, as with keys held by a key service: only the manifest can know.
    let disk = filled(Told::disk(), &[("a", "one"), ("b", "two")]).await;
    let bucket = filled(Told::bucket().without_digests(), &[]).await;
    let manifest = Arc::new(MemoryManifest::default());
    let options = || SyncOptions::default().with_manifest(manifest.clone());
    let up = async || job(&disk, &bucket, options()).run().await.into_result().unwrap();

    assert_eq!(up().await.copied, 2);
    let second = up().await;
    assert_eq!((second.copied, second.tally.unchanged, second.usage.get("get")), (0, 2, 0));

    replace_unseen(&disk, "a", "ONE").await;
    assert_eq!(up().await.copied, 1);
    assert_eq!(read(&bucket, "a").await.as_deref(), Some("ONE"));

    replace_unseen(&bucket, "b", "TWO").await;
    assert_eq!(up().await.copied, 1, "the target was overwritten by somebody else");
    assert_eq!(read(&bucket, "b").await.as_deref(), Some("two"));
    assert_eq!(up().await.copied, 0);
}

#[tokio::test]
async fn a_manifest_that_knows_nothing_costs_reading_and_no_truth() {
    let disk = filled(Told::disk(), &[("a", "one")]).await;
    let bucket = filled(Told::bucket(), &[]).await;
    let down = async |manifest| {
        let options = SyncOptions::default().with_manifest(manifest);
        job(&bucket, &disk, options).run().await.into_result().unwrap()
    };
    assert!(job(&disk, &bucket, SyncOptions::default()).run().await.is_clean());

    let manifest = Arc::new(MemoryManifest::default());
    let first = down(manifest.clone()).await;
    assert_eq!((first.copied, first.usage.get("get")), (0, 1), "the local file was hashed");
    assert_eq!(down(manifest).await.usage.get("get"), 0, "and that is remembered");

    replace_unseen(&disk, "a", "ONE").await;
    assert_eq!(down(Arc::new(MemoryManifest::default())).await.copied, 1);
    assert_eq!(read(&disk, "a").await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_dry_run_remembers_nothing_and_rows_of_deleted_keys_go() {
    use futures::StreamExt;
    let disk = filled(Told::disk(), &[("a", "one"), ("b", "two"), ("c", "three")]).await;
    let bucket = filled(Told::bucket(), &[("a", "one"), ("b", "two"), ("c", "three")]).await;
    let manifest = Arc::new(MemoryManifest::default());
    let job = || job(&disk, &bucket, mirror().with_manifest(manifest.clone()));
    let rows = async || manifest.rows().map(|row| row.unwrap().key.to_string()).collect::<Vec<_>>().await;

    job().plan().await.unwrap();
    assert_eq!(rows().await, [""; 0]);
    assert!(job().run().await.is_clean());
    assert_eq!(rows().await, ["a", "b", "c"]);
    disk.inner.remove(&Key::from("b")).await.unwrap();
    assert_eq!(job().run().await.into_result().unwrap().deleted, 1);
    assert_eq!(rows().await, ["a", "c"]);
}

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
async fn a_manifest_that_fails_costs_time_and_is_told() {
    #[derive(Debug)]
    struct Broken;
    #[async_trait]
    impl Manifest for Broken {
        fn rows(&self) -> futures::stream::BoxStream<'static, Result<pos3_core::Row, pos3_core::ManifestError>> {
            let error = pos3_core::ManifestError("the manifest is damaged".into());
            Box::pin(futures::stream::iter([Err(error)]))
        }
        async fn started(&self) -> Result<Vec<pos3_core::StartedWrite>, pos3_core::ManifestError> {
            Ok(Vec::new())
        }
        async fn apply(&self, _: Vec<pos3_core::RowChange>) -> Result<(), pos3_core::ManifestError> {
            Err(pos3_core::ManifestError("the disk is full".into()))
        }
    }
    let objects = [("a", "1"), ("b", "2")];
    let (source, target) = (filled(Told::disk(), &objects).await, filled(Told::bucket(), &objects[..1]).await);
    let options = SyncOptions::default().with_manifest(Arc::new(Broken));
    let report = job(&source, &target, options).run().await.into_result().unwrap();
    assert_eq!((report.copied, report.tally.unchanged), (1, 1));
    assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
}

#[tokio::test]
async fn only_what_the_manifest_knows_is_deleted_where_that_was_asked_for() {
    let disk = filled(Told::disk(), &[("a", "1"), ("b", "2")]).await;
    let bucket = filled(Told::bucket(), &[("old", "of somebody else")]).await;
    let manifest = Arc::new(MemoryManifest::default());
    let sync = async || {
        let options = mirror().with_manifest(manifest.clone()).with_deletable(Deletable::known());
        job(&disk, &bucket, options).run().await.into_result().unwrap()
    };
    assert_eq!(sync().await.tally.extra, 1, "what was there before is not ours");
    bucket.inner.write(&Key::from("new"), "of somebody else".into()).await.unwrap();
    bucket.inner.write(&Key::from("b"), "replaced by somebody else".into()).await.unwrap();
    for key in ["a", "b"] {
        disk.inner.remove(&Key::from(key)).await.unwrap();
    }
    disk.inner.write(&Key::from("c"), "3".into()).await.unwrap();
    let report = sync().await;
    assert_eq!((report.copied, report.deleted, report.tally.extra), (1, 1, 3));
    assert_eq!(read(&bucket, "a").await, None);
    assert_eq!(read(&bucket, "b").await.as_deref(), Some("replaced by somebody else"));
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
