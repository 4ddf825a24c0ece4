//! Success responses to writes that were not executed as requested, and servers whose ETags only look like digests.

use std::sync::Arc;

use http::StatusCode;
use pos3_core::{
    Budget, Content, ErrorKind, Expect, Key, MemoryStore, PutOptions, RemoteStore, RemoteStoreExt, Report, SyncJob,
    SyncOptions, Tree,
};
use pos3_s3::{Checksums, S3Store};
use pos3_tests::server::{self, Answer, AnsweredEtag, Etags, Fault, Operation, S3Server};

use super::checksums::Warned;
use super::{BUCKET, config, random_bytes, server, store, store_with, told};

const LARGE: usize = 20 << 20;

/// Stores bytes where nothing is, and returns whether they were proven to have arrived.
async fn put(store: &S3Store, bytes: &[u8]) -> Result<bool, pos3_core::StoreError> {
    let absent = PutOptions::default().with_expect(Expect::Absent);
    Ok(store.put(&Key::from("k"), Content::from(bytes.to_vec()), absent).await?.verified)
}

fn stored(server: &S3Server) -> Option<bytes::Bytes> {
    server.object(BUCKET, "k").map(|object| object.bytes)
}

fn without_checksums() -> S3Server {
    let server = server();
    server.configure(|settings| settings.checksums = server::Checksums::Ignored);
    server
}

#[tokio::test]
async fn content_that_a_server_stores_wrongly_is_a_failure() {
    // The server ignores the checksum, so only its ETag shows the damage.
    let server = without_checksums();
    server.fault(Fault::on(Operation::PutObject).answer(Answer::FlipSentByte { at: 3 }));
    let error = put(&store(&server), b"0123456789").await.unwrap_err();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Precondition, false), "{error}");
    assert!(error.to_string().contains("differs from the sent content"), "{error}");
    assert_eq!(
        server.requests().of(Operation::PutObject),
        1,
        "it cannot be distinguished from another writer's object"
    );
}

#[tokio::test]
async fn what_another_writer_stored_after_the_write_is_not_overwritten() {
    for (last, size) in [(Operation::PutObject, 10), (Operation::CompleteMultipartUpload, LARGE)] {
        for content in ["theirs, of another size", "0123456789"] {
            for answered in [AnsweredEtag::Missing, AnsweredEtag::Current] {
                let server = without_checksums();
                server.fault(Fault::on(last).answer(Answer::Overwritten { content, answered }));
                let error = put(&store(&server), &random_bytes(5, size)).await.unwrap_err();
                let case = format!("{last} {content} {answered:?}: {error}");
                assert_eq!(error.kind(), ErrorKind::Precondition, "{case}");
                assert_eq!(stored(&server).unwrap(), content, "{case}");
                assert_eq!(server.requests().of(last), 1, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn the_right_checksum_with_the_etag_of_another_writer_is_no_success() {
    for (last, size) in [(Operation::PutObject, 10), (Operation::CompleteMultipartUpload, LARGE)] {
        for checksums in [server::Checksums::Kept, server::Checksums::Ignored] {
            let server = server();
            server.configure(|settings| settings.checksums = checksums);
            let theirs: &str = if size == LARGE { LARGE_TEXT.get_or_init(|| "x".repeat(LARGE)) } else { "0123456789" };
            let overwritten = Answer::Overwritten { content: theirs, answered: AnsweredEtag::Current };
            server.fault(Fault::on(last).answer(overwritten));
            let store = store(&server);
            let error = put(&store, &random_bytes(5, size)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Precondition, "{last} {checksums:?}: {error}");
            assert!(stored(&server).unwrap() == theirs, "{last} {checksums:?}");
            assert_eq!(server.requests().of(last), 1, "{last} {checksums:?}");
        }
    }
}

/// Content of another writer that is as long as a large upload.
static LARGE_TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();

#[tokio::test]
async fn an_answer_with_a_wrong_etag_is_not_believed_and_the_object_decides() {
    let server = without_checksums();
    server.fault(Fault::on(Operation::PutObject).answer(Answer::WrongEtag));
    let store = store(&server);
    let entry = store.write(&Key::from("k"), "content".into()).await.unwrap();
    assert_eq!(entry.fingerprint, store.head(&Key::from("k")).await.unwrap().fingerprint);
    assert_eq!(server.requests().to_string(), "HeadObject: 2, ListObjectsV2: 1, PutObject: 1");
}

#[tokio::test]
async fn an_object_that_is_lost_after_its_answer_is_sent_again() {
    for (size, last, checksums) in [
        (10, Operation::PutObject, server::Checksums::Ignored),
        (LARGE, Operation::CompleteMultipartUpload, server::Checksums::Kept),
        (LARGE, Operation::CompleteMultipartUpload, server::Checksums::Ignored),
    ] {
        let server = server();
        server.configure(|settings| settings.checksums = checksums);
        server.fault(Fault::on(last).answer(Answer::Forget));
        let bytes = random_bytes(1, size);
        put(&store(&server), &bytes).await.unwrap();
        assert!(stored(&server).unwrap() == bytes, "{last}");
        assert_eq!(server.requests().of(last), 2, "{last}");

        server.remove(BUCKET, "k");
        server.fault(Fault::on(last).always().answer(Answer::Forget));
        let error = put(&store_with(config(&server).with_attempts(2)), &bytes).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
        assert!(error.to_string().contains("did not store the object"), "{error}");
    }
}

/// A success response to a write that no server executed, with the ETag of no object.
fn acknowledged(media_type: &'static str, body: &'static str) -> Answer {
    Answer::Foreign { status: StatusCode::OK, media_type, body, performs: false }
}

#[tokio::test]
async fn an_object_that_a_head_shows_as_missing_is_a_failure_where_no_listing_can_be_read() {
    for listing in [Answer::access_denied(), Answer::WebPage, Answer::internal_error()] {
        let server = server();
        server.fault(Fault::on(Operation::PutObject).always().answer(acknowledged("", "")));
        server.fault(Fault::on(Operation::ListObjectsV2).always().answer(listing.clone()));
        let store = store_with(config(&server).with_attempts(2));
        let error = put(&store, b"content").await.unwrap_err();
        assert!(told(&error).contains("no listing could be read"), "{listing:?}: {}", told(&error));
        assert_eq!((stored(&server), server.requests().of(Operation::PutObject)), (None, 1), "{listing:?}");
    }
}

/// Overwrites `old` at the key `k` with `new`, by an upload or by a copy.
async fn overwrite(server: &S3Server, operation: Operation) -> Result<(), pos3_core::StoreError> {
    server.put(BUCKET, "k", "old");
    server.put(BUCKET, "source", "new");
    let store = store_with(config(server).with_attempts(3));
    let listed = store.list_all("").await.unwrap();
    let seen = |key: &str| listed.iter().find(|entry| entry.key.as_str() == key).unwrap().clone();
    let content = match operation {
        Operation::CopyObject => Content::stored(Arc::new(store.clone()), seen("source")),
        _ => Content::from("new"),
    };
    let unchanged = PutOptions::default().with_expect(Expect::Unchanged(seen("k").fingerprint.unwrap()));
    store.put(&Key::from("k"), content, unchanged).await.map(drop)
}

const COPIED: &str = "<CopyObjectResult><ETag>\"proxy\"</ETag></CopyObjectResult>";

#[tokio::test]
async fn a_write_after_which_the_old_object_is_still_there_is_sent_again() {
    for (operation, answer) in
        [(Operation::PutObject, acknowledged("", "")), (Operation::CopyObject, acknowledged("application/xml", COPIED))]
    {
        for etags in [Etags::Digests, Etags::Kms] {
            let server = server();
            server.configure(|settings| settings.etags = etags);
            server.fault(Fault::on(operation).answer(answer.clone()));
            overwrite(&server, operation).await.unwrap();
            assert_eq!(stored(&server).unwrap(), "new", "{operation} {etags:?}");
            assert_eq!(server.requests().of(operation), 2, "{operation} {etags:?}");

            server.fault(Fault::on(operation).always().answer(answer.clone()));
            let error = overwrite(&server, operation).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Precondition, "{operation} {etags:?}: {error}");
            assert_eq!(stored(&server).unwrap(), "old", "{operation} {etags:?}");
        }
    }
}

#[tokio::test]
async fn a_completion_without_the_requested_checksum_is_looked_up_where_etags_are_no_digests() {
    let completed = "<CompleteMultipartUploadResult><ETag>\"proxy\"</ETag></CompleteMultipartUploadResult>";
    for checksums in [server::Checksums::Kept, server::Checksums::Ignored] {
        for old in [None, Some(random_bytes(31, LARGE))] {
            let server = server();
            server.configure(|settings| {
                settings.etags = Etags::Kms;
                settings.checksums = checksums;
            });
            let expect = old.clone().map_or(Expect::Absent, |old| {
                server.put(BUCKET, "k", old);
                Expect::Unchanged(server.object(BUCKET, "k").unwrap().etag.as_str().into())
            });
            let lost = Fault::on(Operation::CompleteMultipartUpload).always();
            server.fault(lost.answer(acknowledged("application/xml", completed)));
            let bytes = random_bytes(30, LARGE);
            let put = async |expect| {
                let options = PutOptions::default().with_expect(expect);
                store(&server).put(&Key::from("k"), Content::from(bytes.clone()), options).await
            };
            let case = format!("{checksums:?} {}", old.is_some());
            put(expect.clone()).await.unwrap_err();
            assert!(stored(&server).map(Vec::from) == old, "{case}");
            server.clear_faults();
            put(expect).await.unwrap();
            assert!(stored(&server).unwrap() == bytes, "{case}");
        }
    }
}

#[tokio::test]
async fn another_writers_object_after_a_write_with_a_foreign_etag_is_a_failure() {
    for etags in [Etags::Digests, Etags::Kms] {
        let server = without_checksums();
        server.configure(|settings| settings.etags = etags);
        // The request is not executed, and another writer stores an object of the same size instead.
        server.fault(Fault::on(Operation::PutObject).answer(acknowledged("", "")));
        server.fault(Fault::on(Operation::HeadObject).answer(Answer::Overtaken { key: "k", content: "theirs!" }));
        let error = put(&store(&server), b"content").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition, "{etags:?}: {error}");
        assert_eq!((stored(&server).unwrap(), server.requests().of(Operation::PutObject)), ("theirs!".into(), 1));
    }
}

/// Copies the key `k`, one part at a time: between two prefixes of the server, or from or to a store in memory.
async fn copy_with(server: &S3Server, operation: Operation, size: usize) -> Report {
    let (bucket, memory) = (Arc::new(store(server)), Arc::new(MemoryStore::default()));
    let here = |prefix: &str| Tree::new(bucket.clone()).at(prefix);
    let (source, target) = match operation {
        Operation::GetObject => (here("from/"), Tree::new(memory.clone())),
        Operation::CopyObject => (here("from/"), here("to/")),
        _ => (Tree::new(memory.clone()), here("to/")),
    };
    if operation == Operation::GetObject || operation == Operation::CopyObject {
        server.put(BUCKET, "from/k", random_bytes(21, size));
    } else {
        memory.write(&Key::from("k"), random_bytes(21, size).into()).await.unwrap();
    }
    let options = SyncOptions::default().with_budget(Budget::new(1, 64 << 20));
    SyncJob::new(source, target, options).run().await
}

#[tokio::test]
async fn the_repeats_of_the_engine_and_of_the_store_do_not_multiply() {
    let damaged = Answer::FlipSentByte { at: 500 };
    for (size, operation, answer, most) in [
        (1000, Operation::PutObject, damaged.clone(), 8),
        (1000, Operation::PutObject, Answer::Forget, 8),
        (LARGE, Operation::UploadPart, damaged, 8),
        (LARGE, Operation::UploadPart, Answer::NoEtag, 8),
        (LARGE, Operation::CreateMultipartUpload, Answer::Empty, 8),
        (LARGE, Operation::CompleteMultipartUpload, Answer::Forget, 3),
        (1000, Operation::GetObject, Answer::FlipByte { at: 500 }, 3),
        (1000, Operation::CopyObject, Answer::Forget, 3),
    ] {
        let server = server();
        server.fault(Fault::on(operation).always().answer(answer.clone()));
        let report = copy_with(&server, operation, size).await;
        assert_eq!((report.copied, report.failed.len()), (0, 1), "{operation} {answer:?}");
        assert_eq!(server.requests().of(operation), most, "{operation} {answer:?}");
    }
}

#[tokio::test]
async fn content_whose_damage_shows_only_at_its_end_is_transferred_again() {
    let server = server();
    server.fault(Fault::on(Operation::GetObject).times(2).answer(Answer::FlipByte { at: LARGE - 10 }));
    let report = copy_with(&server, Operation::GetObject, LARGE).await;
    assert_eq!((report.copied, server.faults_waiting()), (1, 0), "{report:?}");
}

#[tokio::test]
async fn a_completion_with_an_impossible_etag_and_the_right_object_is_a_success() {
    let server = server();
    server.fault(Fault::on(Operation::CompleteMultipartUpload).answer(Answer::WrongEtag));
    let bytes = random_bytes(2, LARGE);
    let store = store(&server);
    assert!(put(&store, &bytes).await.unwrap());
    assert!(stored(&server).unwrap() == bytes);
    assert_eq!(server.requests().of(Operation::CompleteMultipartUpload), 1);
    assert_eq!(server.requests().of(Operation::HeadObject), 1);
}

#[tokio::test]
async fn a_server_whose_etags_are_no_digests_is_usable_and_warned_of_once() {
    for checksums in [server::Checksums::Kept, server::Checksums::Ignored] {
        let server = server();
        server.configure(|settings| {
            settings.etags = Etags::Opaque;
            settings.checksums = checksums;
        });
        let warned = Warned::new(config(&server));
        for (key, size) in [("a", 10), ("b", 1000), ("c", LARGE), ("d", 10), ("e", LARGE)] {
            let bytes = random_bytes(3, size);
            warned.store.write(&Key::from(key), bytes.clone().into()).await.unwrap();
            assert!(server.object(BUCKET, key).unwrap().bytes == bytes, "{key}");
        }
        assert_eq!(warned.store.read(&Key::from("a")).await.unwrap(), random_bytes(3, 10));
        let opaque = warned.warnings().iter().filter(|warning| warning.contains("look like MD5s")).count();
        assert_eq!(opaque, 1, "{:?}", warned.warnings());
        assert_eq!(server.requests().of(Operation::PutObject), 3, "nothing is sent twice");
    }
}

#[tokio::test]
async fn a_part_whose_etag_is_of_other_content_is_sent_again() {
    let server = server();
    let store = store_with(config(&server).with_checksums(Checksums::Md5));
    server.fault(Fault::on(Operation::UploadPart).nth(2).answer(Answer::WrongEtag));
    let bytes = random_bytes(4, LARGE);
    assert!(put(&store, &bytes).await.unwrap());
    assert!(stored(&server).unwrap() == bytes);
    assert_eq!(server.requests().of(Operation::UploadPart), 4);
}

#[tokio::test]
async fn a_length_is_looked_up_where_nothing_else_is_known() {
    let server = server();
    let store = store_with(config(&server).with_checksums(Checksums::Off));
    assert!(!put(&store, b"content").await.unwrap());
    assert_eq!(server.requests().to_string(), "HeadObject: 1, PutObject: 1");

    server.remove(BUCKET, "k");
    server.fault(Fault::on(Operation::PutObject).answer(Answer::Forget));
    put(&store, b"content").await.unwrap();
    assert_eq!(stored(&server).unwrap(), "content", "it was sent again");
}

#[tokio::test]
async fn who_may_only_write_can_write() {
    let server = without_checksums();
    server.configure(|settings| settings.etags = Etags::Kms);
    let denied = Answer::Error { status: StatusCode::FORBIDDEN, code: "AccessDenied" };
    server.fault(Fault::on(Operation::HeadObject).always().answer(denied));
    assert!(!put(&store(&server), b"content").await.unwrap());
    assert_eq!(stored(&server).unwrap(), "content");
}

#[tokio::test]
async fn a_web_page_is_named_and_not_asked_for_again() {
    let server = server();
    server.fault(Fault::on_any().always().answer(Answer::WebPage));
    let error = store(&server).list_all("").await.unwrap_err();
    assert!(told(&error).contains("a web page instead of an S3 response: a proxy"), "{}", told(&error));
    assert_eq!((error.is_temporary(), server.requests().total()), (false, 1));
}

#[tokio::test]
async fn a_write_whose_answer_names_nothing_is_looked_up_and_not_sent_again() {
    let server = without_checksums();
    server.fault(Fault::on(Operation::PutObject).always().answer(Answer::NoEtag));
    assert!(put(&store(&server), b"content").await.unwrap(), "HEAD tells the MD5");
    assert_eq!((stored(&server).unwrap(), server.requests().of(Operation::PutObject)), ("content".into(), 1));

    server.remove(BUCKET, "k");
    server.fault(Fault::on(Operation::HeadObject).always().answer(Answer::NoEtag));
    assert!(!put(&store(&server), b"content").await.unwrap(), "only the length is known");
    assert_eq!((stored(&server).unwrap(), server.requests().of(Operation::PutObject)), ("content".into(), 2));

    server.remove(BUCKET, "k");
    server.clear_faults();
    server.fault(Fault::on(Operation::PutObject).always().answer(Answer::NoEtag));
    server.fault(Fault::on(Operation::HeadObject).always().answer(Answer::access_denied()));
    let error = put(&store(&server), b"content").await.unwrap_err();
    assert!(told(&error).contains("does not identify the written object"), "{}", told(&error));
    assert_eq!(server.requests().of(Operation::PutObject), 3);
}

#[tokio::test]
async fn a_completion_that_is_answered_with_nothing_is_looked_up() {
    let server = server();
    let bytes = random_bytes(13, LARGE);
    server.fault(Fault::on(Operation::CompleteMultipartUpload).always().answer(Answer::Empty));
    assert!(put(&store(&server), &bytes).await.unwrap());
    assert!(stored(&server).unwrap() == bytes);
    assert_eq!(server.requests().of(Operation::CompleteMultipartUpload), 1);
}

#[tokio::test]
async fn a_web_page_in_place_of_a_stored_object_is_no_success() {
    let server = server();
    server.fault(Fault::on_any().always().answer(Answer::WebPage));
    for size in [7, LARGE] {
        let error = put(&store(&server), &random_bytes(14, size)).await.unwrap_err();
        assert!(told(&error).contains("a web page instead of an S3 response"), "{}", told(&error));
    }
    assert_eq!(server.requests().to_string(), "CreateMultipartUpload: 1, PutObject: 1");
}
