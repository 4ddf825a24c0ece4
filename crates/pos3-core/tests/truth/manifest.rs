//! What a run reads and deletes with a manifest.

use super::*;

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
