//! The media types of a whole sync: which files get the type of their names, and which keep that of their source.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use pos3_core::{ContentTypeResolver, MemoryManifest, RemoteStore, Report, SyncJob, SyncOptions, Tree};
use pos3_local::{LocalOptions, LocalStore, MissingRoot};
use pos3_s3::S3Client;
use pos3_tests::server::{Operation, Properties, S3Server, StoredObject};
use tempfile::TempDir;

use super::{BUCKET, config, random_bytes, server, store};

/// More than is sent in one request.
const LARGE: usize = 17 << 20;

fn directory(names: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in names {
        fs::write(directory.path().join(name), name).unwrap();
    }
    directory
}

fn disk(path: &Path) -> Arc<dyn RemoteStore> {
    let options = LocalOptions::default().with_missing_root(MissingRoot::Empty);
    Arc::new(LocalStore::with_options(path, options).unwrap())
}

async fn sync(from: Arc<dyn RemoteStore>, to: Arc<dyn RemoteStore>, options: SyncOptions) -> Report {
    SyncJob::new(Tree::new(from), Tree::new(to), options).run().await
}

fn resolved_by(resolve: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> SyncOptions {
    SyncOptions::default().with_content_type(ContentTypeResolver::new(resolve))
}

fn type_of(server: &S3Server, bucket: &str, key: &str) -> String {
    server.object(bucket, key).unwrap().properties.content_type.unwrap()
}

#[tokio::test]
async fn a_resolver_determines_the_media_type_of_each_file_that_is_sent() {
    let source = directory(&["a.note", "b.html", "plain"]);
    fs::create_dir_all(source.path().join("d.note/empty")).unwrap();
    fs::write(source.path().join("d.note/large.note"), random_bytes(1, LARGE)).unwrap();
    let server = server();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let names = asked.clone();
    let options = resolved_by(move |name| {
        names.lock().unwrap().push(name.to_owned());
        name.ends_with(".note").then(|| "text/x-note; charset=latin1".to_owned())
    });
    let _report = sync(disk(source.path()), Arc::new(store(&server)), options).await.into_result().unwrap();
    for (key, expected) in [
        ("a.note", "text/x-note; charset=latin1"),
        ("b.html", "text/html; charset=utf-8"),
        ("plain", "application/octet-stream"),
        ("d.note/empty/", "application/octet-stream"),
        ("d.note/large.note", "text/x-note; charset=latin1"),
    ] {
        assert_eq!(type_of(&server, BUCKET, key), expected, "{key}");
    }
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(asked, ["a.note", "b.html", "large.note", "plain"]);
}

#[tokio::test]
async fn an_illegal_media_type_fails_its_key_alone_and_writes_nothing() {
    let source = directory(&["a.html", "new.bad", "old.bad"]);
    fs::write(source.path().join("large.bad"), random_bytes(2, LARGE)).unwrap();
    let server = server();
    server.put(BUCKET, "old.bad", "before");
    let injected = "text/plain\r\nx-amz-acl: public-read";
    let options = resolved_by(move |name| name.ends_with(".bad").then(|| injected.to_owned()));
    let report = sync(disk(source.path()), Arc::new(store(&server)), options).await;
    assert_eq!((report.copied, report.failed.len()), (1, 3), "{report:?}");
    for failure in report.failed.iter().map(Result::unwrap) {
        let message = failure.error.to_string();
        assert!(message.contains(failure.key.as_str()), "{message}");
        assert!(message.contains(r"the media type 'text/plain\r\nx-amz-acl: public-read' is not allowed"), "{message}");
    }
    assert_eq!(server.keys(BUCKET), ["a.html", "old.bad"]);
    assert_eq!(server.object(BUCKET, "old.bad").unwrap().bytes, "before");
    let requests = server.requests();
    assert_eq!((requests.of(Operation::PutObject), requests.of(Operation::CreateMultipartUpload)), (1, 0));
}

#[tokio::test]
async fn neither_a_copy_inside_the_server_nor_a_download_calls_a_resolver() {
    let server = server();
    server.create_bucket("other");
    let properties = Properties { content_type: Some("text/x-old".to_owned()), ..Properties::default() };
    server.put_object(BUCKET, "a.html", StoredObject::new("content".into(), properties));
    let client = S3Client::new(config(&server)).unwrap();
    let (from, to) = (client.bucket(BUCKET).unwrap(), client.bucket("other").unwrap());
    let options = || resolved_by(|name| panic!("it is called for {name}"));
    let _report = sync(Arc::new(from.clone()), Arc::new(to), options()).await.into_result().unwrap();
    assert_eq!(type_of(&server, "other", "a.html"), "text/x-old");

    let target = tempfile::tempdir().unwrap();
    let _report = sync(Arc::new(from), disk(target.path()), options()).await.into_result().unwrap();
    assert_eq!(fs::read_to_string(target.path().join("a.html")).unwrap(), "content");
}

#[tokio::test]
async fn another_media_type_of_its_name_sends_no_file_again() {
    for manifest in [None, Some(Arc::new(MemoryManifest::default()))] {
        let with_manifest = |options: SyncOptions| match &manifest {
            Some(manifest) => options.with_manifest(manifest.clone()),
            None => options,
        };
        let source = directory(&["a.html", "b.js"]);
        fs::write(source.path().join("large.xml"), random_bytes(3, LARGE)).unwrap();
        let server = server();
        let earlier = with_manifest(resolved_by(|_| Some("text/x-earlier".to_owned())));
        let first = sync(disk(source.path()), Arc::new(store(&server)), earlier).await.into_result().unwrap();
        assert_eq!(first.copied, 3);
        server.reset_requests();
        let now = with_manifest(SyncOptions::default());
        let second = sync(disk(source.path()), Arc::new(store(&server)), now).await.into_result().unwrap();
        assert_eq!((second.copied, server.requests().of(Operation::PutObject)), (0, 0));
        assert_eq!(server.requests().of(Operation::CreateMultipartUpload), 0);
        assert_eq!(type_of(&server, BUCKET, "a.html"), "text/x-earlier");
    }
}
