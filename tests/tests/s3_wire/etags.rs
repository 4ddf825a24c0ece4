//! ETags of objects: what they show of content that arrived, and where they are no digests.

use std::sync::Arc;

use futures::TryStreamExt;
use pos3_core::{Content, ErrorKind, Key, ListOptions, PutOptions, RemoteStore, StoreError};
use pos3_local::LocalStore;
use pos3_s3::{Etags, S3Store};
use pos3_tests::server::{self, Answer, Fault, Operation, Properties, S3Server, StoredObject};

use super::checksums::{put, stored};
use super::{BUCKET, config, random_bytes, server, store, store_with};

/// Returns a server without checksums that has 40,000,000 bytes, uploaded in parts of this size.
async fn uploaded_in_parts(part_size: u64) -> (S3Server, Vec<u8>) {
    let server = server();
    server.configure(|settings| settings.checksums = server::Checksums::Ignored);
    let bytes = random_bytes(11, 40_000_000);
    put(&store_with(config(&server).with_part_size(part_size)), "k", &bytes).await;
    (server, bytes)
}

/// Downloads that object and returns the content, if the download succeeds, and whether it was compared with anything.
async fn downloaded(server: &S3Server) -> (Result<Vec<u8>, StoreError>, bool) {
    let directory = tempfile::tempdir().unwrap();
    let target = LocalStore::new(directory.path()).unwrap();
    let source = Arc::new(store(server));
    let listed = source.list("", ListOptions::default()).try_next().await.unwrap().unwrap();
    let content = Content::stored(source, listed);
    let written = target.put(&Key::from("k"), content, PutOptions::default()).await;
    let file = std::fs::read(directory.path().join("k"));
    assert_eq!(written.is_ok(), file.is_ok(), "only what is whole has its name");
    let is_verified = written.as_ref().is_ok_and(|stored| stored.verified);
    (written.map(|_| file.unwrap()), is_verified)
}

#[tokio::test]
async fn a_download_that_contradicts_the_etag_of_its_parts_is_no_copy() {
    for part_size in [8 << 20, 9_000_000] {
        let (server, bytes) = uploaded_in_parts(part_size).await;
        server.fault(Fault::on(Operation::GetObject).nth(3).answer(Answer::FlipByte { at: 17 }));
        let (damaged, _) = downloaded(&server).await;
        let error = damaged.unwrap_err();
        assert!(error.kind() == ErrorKind::Integrity && error.is_temporary(), "{part_size}: {error}");
        let (whole, is_verified) = downloaded(&server).await;
        assert!(whole.unwrap() == bytes && is_verified, "{part_size}");
    }
}

#[tokio::test]
async fn a_small_object_in_parts_is_compared_with_its_etag() {
    for (size, part_size) in [(600_000, 600_000), (900_000, 500_000), (3 << 20, 2 << 20)] {
        for part_numbers in [true, false] {
            for is_damaged in [false, true] {
                let server = server();
                let bytes = random_bytes(12, size);
                server.put_object(BUCKET, "k", StoredObject::in_parts(bytes.clone().into(), part_size));
                if is_damaged {
                    server.fault(Fault::on(Operation::GetObject).answer(Answer::FlipByte { at: 99 }));
                }
                if !part_numbers {
                    let refusal = Answer::Error { status: http::StatusCode::NOT_IMPLEMENTED, code: "NotImplemented" };
                    server.fault(Fault::on(Operation::HeadObject).always().answer(refusal));
                }
                let (whole, is_verified) = downloaded(&server).await;
                let is_known = part_numbers || part_size == size;
                let case = format!("{size} {part_numbers} {is_damaged}");
                assert_eq!(is_verified, is_known && !is_damaged, "{case}");
                match whole {
                    // Without a part size, damage cannot be distinguished from parts of an unusual size.
                    Ok(whole) => assert!((whole == bytes) != is_damaged && !(is_damaged && part_numbers), "{case}"),
                    Err(error) => assert!(is_damaged && error.kind() == ErrorKind::Integrity, "{case}: {error}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn an_etag_that_is_no_md5_is_a_failure_that_is_named_and_can_be_allowed() {
    for size in [1000, 3 << 20, 20 << 20] {
        let server = server();
        let bytes = random_bytes(13, size);
        let object = StoredObject::new(bytes.clone().into(), Properties::default());
        server.put_object(BUCKET, "k", StoredObject { etag: "0f".repeat(16), ..object });
        let shared = Arc::new(store(&server));
        let read = async |source: Arc<S3Store>| {
            let directory = tempfile::tempdir().unwrap();
            let target = LocalStore::new(directory.path()).unwrap();
            let listed = source.list("", ListOptions::default()).try_next().await.unwrap().unwrap();
            let content = Content::stored(source, listed);
            let written = target.put(&Key::from("k"), content, PutOptions::default()).await;
            let is_verified = written.as_ref().is_ok_and(|stored| stored.verified);
            (written.map(|_| std::fs::read(directory.path().join("k")).unwrap()), is_verified)
        };
        // A large object is not compared by the store, and a small one is read again by it.
        let (mut error, _) = read(shared.clone()).await;
        for _ in 0..2 {
            if size == 3 << 20 {
                error = read(shared.clone()).await.0;
            }
        }
        let error = error.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Integrity, Some(pos3_core::OTHER_DIGEST)),
            "{size}: {error}"
        );
        assert!(error.to_string().contains("ETag"), "{error}");
        if size < 20 << 20 {
            assert!(!error.is_temporary(), "{error}");
        }
        let opaque = Arc::new(store_with(config(&server).with_etags(Etags::Opaque)));
        let (whole, is_verified) = read(opaque).await;
        assert!(whole.unwrap() == bytes && !is_verified, "{size}");
    }
}

#[tokio::test]
async fn what_no_part_size_explains_is_unverified_where_the_server_does_not_tell_one() {
    let (server, bytes) = uploaded_in_parts(9_000_000).await;
    let mut object = stored(&server, "k");
    object.part_sizes = vec![9_000_000, 9_000_000, 9_000_000, 8_000_000, 5_000_000];
    server.put_object(BUCKET, "k", object);
    let (uneven, is_verified) = downloaded(&server).await;
    assert!(uneven.unwrap() == bytes && !is_verified);

    let (server, bytes) = uploaded_in_parts(9_000_000).await;
    let refusal = Answer::Error { status: http::StatusCode::NOT_IMPLEMENTED, code: "NotImplemented" };
    server.fault(Fault::on(Operation::HeadObject).nth(2).always().answer(refusal));
    let (unknown, is_verified) = downloaded(&server).await;
    assert!(unknown.unwrap() == bytes && !is_verified);
}
