//! A cache in front of the server answers HEAD requests with an old state. Only together with a listing is such a
//! response evidence.

use http::StatusCode;
use pos3_core::{Content, DeleteKey, Entry, ErrorKind, Expect, Key, PutOptions, RemoteStore, RemoteStoreExt, Result};
use pos3_s3::S3Store;
use pos3_tests::server::{Answer, AnsweredEtag, Checksums, ConditionalWrites, Fault, Operation, S3Server};

use super::{BUCKET, config, random_bytes, server, store, store_with};

/// The size of an object of two parts.
const LARGE: usize = 20 << 20;

async fn put(store: &S3Store, bytes: &[u8], expect: Expect) -> Result<()> {
    let options = PutOptions::default().with_expect(expect);
    store.put(&Key::from("k"), Content::from(bytes.to_vec()), options).await.map(drop)
}

fn stored(server: &S3Server) -> bytes::Bytes {
    server.object(BUCKET, "k").unwrap().bytes
}

async fn listed(store: &S3Store) -> Entry {
    store.list_all("").await.unwrap().remove(0)
}

/// Returns a server where HEAD requests show the content that a test will send, and another writer has replaced it.
fn server_that_shows(bytes: &[u8]) -> S3Server {
    let server = server();
    server.put(BUCKET, "k", bytes.to_vec());
    server.cache_reads(BUCKET);
    server.put(BUCKET, "k", "theirs");
    server
}

#[tokio::test]
async fn a_response_that_names_no_object_is_not_confirmed_by_an_old_state() {
    let bytes = random_bytes(1, 1000);
    let server = server_that_shows(&bytes);
    let store = store_with(config(&server).with_attempts(2));
    let expect = Expect::Unchanged(listed(&store).await.fingerprint.unwrap());
    let empty = Answer::Page { status: StatusCode::OK, body: "" };
    server.fault(Fault::on(Operation::PutObject).always().answer(empty));
    let error = put(&store, &bytes, expect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    assert!(error.cause().contains("a cache may answer with an old state of the object"), "{}", error.cause());
    assert_eq!(stored(&server), "theirs");
}

#[tokio::test]
async fn an_object_that_only_a_head_shows_as_missing_is_not_written_again() {
    for (size, last) in [(1000, Operation::PutObject), (LARGE, Operation::CompleteMultipartUpload)] {
        let server = server();
        server.configure(|settings| {
            settings.checksums = Checksums::Ignored;
            settings.conditional_writes = ConditionalWrites::Ignored;
        });
        server.cache_reads(BUCKET);
        let overwritten = Answer::Overwritten { content: "theirs", answered: AnsweredEtag::Current };
        server.fault(Fault::on(last).answer(overwritten));
        let error = put(&store(&server), &random_bytes(2, size), Expect::Absent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition, "{last}: {error}");
        assert_eq!((stored(&server), server.requests().of(last)), ("theirs".into(), 1), "{last}");
    }
}

/// The response to the write and the listing agree, so the old state is recognized as such.
#[tokio::test]
async fn a_listing_with_the_etag_of_the_response_outweighs_an_old_state() {
    let server = server();
    server.configure(|settings| {
        settings.checksums = Checksums::Ignored;
        settings.etags = pos3_tests::server::Etags::Kms;
    });
    server.cache_reads(BUCKET);
    let bytes = random_bytes(3, 1000);
    put(&store(&server), &bytes, Expect::Absent).await.unwrap();
    assert_eq!((stored(&server), server.requests().of(Operation::PutObject)), (bytes.into(), 1));
}

#[tokio::test]
async fn an_object_that_only_a_head_shows_as_gone_is_not_treated_as_deleted() {
    // A batch cannot contain the second key, so it has a request of its own.
    for key in ["k", "bell\u{7}"] {
        let server = server();
        server.cache_reads(BUCKET);
        server.put(BUCKET, key, "theirs");
        let store = store_with(config(&server).with_attempts(2));
        let status = StatusCode::NOT_FOUND;
        server.fault(Fault::on(Operation::DeleteObject).always().answer(Answer::Error { status, code: "NoSuchKey" }));
        let missing = "<DeleteResult><Error><Key>k</Key><Code>NoSuchKey</Code></Error></DeleteResult>";
        let missing = Answer::Page { status: StatusCode::OK, body: missing };
        server.fault(Fault::on(Operation::DeleteObjects).always().answer(missing));
        for asked in [DeleteKey::new(key.into()), DeleteKey::new(key.into()).unless_changed(&listed(&store).await)] {
            let deleted = store.delete(&[asked]).await.remove(0);
            assert!(deleted.is_err() && server.object(BUCKET, key).is_some(), "{key:?}: {deleted:?}");
        }
    }
}
