//! Copies inside the server, and copies that the client has to send itself.

use std::sync::Arc;

use futures::TryStreamExt;
use pos3_core::{Content, Entry, ErrorKind, Expect, Key, PutOptions, RemoteStore, RemoteStoreExt};
use pos3_s3::{ConditionalWrites, S3Client, S3Store};
use pos3_tests::server::{
    Answer, AnsweredEtag, CopyEtag, Etags, Fault, Operation, Properties, S3Server, StoredObject, Tagging,
};

use super::checksums::Warned;
use super::{BUCKET, config, random_bytes, server, store, store_with};

const SIZE: usize = 12 << 20;

async fn stored(store: &S3Store, key: &str) -> (Content, Entry) {
    let entry = store.head(&Key::from(key)).await.unwrap();
    (Content::stored(Arc::new(store.clone()), entry.clone()), entry)
}

/// Two buckets of one server through one client.
fn pair(server: &S3Server) -> (S3Store, S3Store) {
    server.create_bucket("other");
    let client = S3Client::new(config(server)).unwrap();
    (client.bucket(BUCKET).unwrap(), client.bucket("other").unwrap())
}

#[tokio::test]
async fn a_copy_between_buckets_moves_no_bytes() {
    for etag in [CopyEtag::Quoted, CopyEtag::Unquoted] {
        let server = server();
        server.configure(|settings| settings.copy_etag = etag);
        for key in ["a b+c%20/é#?", "dir/", "plain"] {
            server.put(BUCKET, key, random_bytes(1, 1000));
            let (from, to) = pair(&server);
            let (content, entry) = stored(&from, key).await;
            let copied = to.put(&Key::from(key), content, PutOptions::default()).await.unwrap().entry;
            assert_eq!(copied.fingerprint, entry.fingerprint);
            assert_eq!(to.usage().to_string(), "1 CopyObject");
            assert_eq!(server.object("other", key).unwrap().bytes, random_bytes(1, 1000));
        }
    }
}

#[tokio::test]
async fn what_is_too_large_for_one_request_is_copied_in_parts() {
    let server = server();
    let mut described = PutOptions::default().with_content_type(Some("text/x-note".into()));
    described.metadata.insert("mood".into(), "good".into());
    let store = store_with(config(&server).with_copy_limit(5 << 20));
    let content = random_bytes(2, SIZE);
    store.put(&Key::from("k"), content.clone().into(), described).await.unwrap();
    let (source, _) = stored(&store, "k").await;
    server.reset_requests();
    store.put(&Key::from("copy"), source, PutOptions::default()).await.unwrap();
    let copy = server.object(BUCKET, "copy").unwrap();
    assert!(copy.bytes == content);
    assert_eq!(copy.properties.content_type.as_deref(), Some("text/x-note"));
    assert_eq!(copy.properties.metadata.get("mood").map(String::as_str), Some("good"));
    assert_eq!(server.requests().of(Operation::UploadPartCopy), 3);
    assert_eq!(server.requests().of(Operation::UploadPart), 0);
}

#[tokio::test]
async fn an_error_in_a_success_is_no_copy() {
    let server = server();
    server.put(BUCKET, "k", "content");
    let store = store(&server);
    server.fault(Fault::on(Operation::CopyObject).times(2).answer(Answer::ErrorInOk { code: "InternalError" }));
    store.copy(&Key::from("k"), &Key::from("copy")).await.unwrap();
    assert_eq!(server.requests().of(Operation::CopyObject), 3);

    server.fault(Fault::on(Operation::CopyObject).always().answer(Answer::ErrorInOk { code: "AccessDenied" }));
    let error = store.copy(&Key::from("k"), &Key::from("other")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(server.object(BUCKET, "other").is_none());
}

#[tokio::test]
async fn where_copying_is_not_allowed_the_bytes_are_sent() {
    for (size, copy_limit, operation) in
        [(1000, 5 << 30, Operation::CopyObject), (SIZE, 5 << 20, Operation::UploadPartCopy)]
    {
        for answer in [
            Answer::access_denied(),
            Answer::Error { status: http::StatusCode::NOT_IMPLEMENTED, code: "NotImplemented" },
        ] {
            let server = server();
            let content = random_bytes(3, size);
            server.put(BUCKET, "k", content.clone());
            server.fault(Fault::on(operation).always().answer(answer));
            let store = store_with(config(&server).with_copy_limit(copy_limit));
            let (source, _) = stored(&store, "k").await;
            store.put(&Key::from("copy"), source, PutOptions::default()).await.unwrap();
            assert!(server.object(BUCKET, "copy").unwrap().bytes == content);
            assert_eq!(server.open_uploads(BUCKET), [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_source_that_changed_is_not_copied() {
    let server = server();
    server.put(BUCKET, "k", "old");
    let store = store(&server);
    let (source, _) = stored(&store, "k").await;
    server.put(BUCKET, "k", "new");
    let error = store.put(&Key::from("copy"), source, PutOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!(server.keys(BUCKET), ["k"]);
}

#[tokio::test]
async fn another_clients_object_is_streamed() {
    let server = server();
    server.put(BUCKET, "k", "content");
    let (source, _) = stored(&store(&server), "k").await;
    let other = store(&server);
    other.put(&Key::from("copy"), source, PutOptions::default()).await.unwrap();
    assert_eq!(other.usage().to_string(), "1 PutObject");
    assert_eq!(other.read(&Key::from("copy")).await.unwrap(), "content");
}

/// Stores an object with a description that its key does not tell.
fn put_described(server: &S3Server, key: &str, content: Vec<u8>) -> Properties {
    let properties = Properties {
        content_type: Some("text/x-note".into()),
        metadata: [("mood".to_owned(), "good".to_owned())].into(),
        ..Properties::default()
    };
    server.put_object(BUCKET, key, StoredObject::new(content.into(), properties.clone()));
    properties
}

#[tokio::test]
async fn a_copy_carries_the_description_unless_another_is_given() {
    for copy_limit in [5 << 30, 5 << 20] {
        let server = server();
        let described = put_described(&server, "k.png", random_bytes(5, SIZE));
        let store = store_with(config(&server).with_copy_limit(copy_limit));
        let (source, _) = stored(&store, "k.png").await;
        store.put(&Key::from("kept.html"), source.clone(), PutOptions::default()).await.unwrap();
        assert_eq!(server.object(BUCKET, "kept.html").unwrap().properties, described);

        let given = PutOptions::default().with_content_type(Some("text/css".into()));
        store.put(&Key::from("given.html"), source.clone(), given).await.unwrap();
        let given = server.object(BUCKET, "given.html").unwrap().properties;
        assert_eq!((given.content_type.as_deref(), given.metadata.len()), (Some("text/css"), 0));

        let mut noted = PutOptions::default();
        noted.metadata.insert("mood".into(), "fair".into());
        store.put(&Key::from("noted.html"), source, noted).await.unwrap();
        let noted = server.object(BUCKET, "noted.html").unwrap().properties;
        assert_eq!(noted.content_type.as_deref(), Some("text/html; charset=utf-8"));
        assert_eq!(noted.metadata.get("mood").map(String::as_str), Some("fair"));
        assert_eq!(server.requests().of(Operation::PutObject) + server.requests().of(Operation::UploadPart), 0);
    }
}

#[tokio::test]
async fn a_large_copy_under_a_condition_stays_in_the_server() {
    let server = server();
    let content = random_bytes(6, 20 << 20);
    let described = put_described(&server, "k.png", content.clone());
    let store = store_with(config(&server).with_conditional_writes(ConditionalWrites::On));
    let (source, _) = stored(&store, "k.png").await;
    let absent = PutOptions::default().with_expect(Expect::Absent);
    server.reset_requests();
    let copied = store.put(&Key::from("copy"), source.clone(), absent.clone()).await.unwrap().entry;
    assert_eq!(
        server.requests().to_string(),
        "CompleteMultipartUpload: 1, CreateMultipartUpload: 1, GetObjectTagging: 1, HeadObject: 3, UploadPartCopy: 3"
    );
    let copy = server.object(BUCKET, "copy").unwrap();
    assert!(copy.bytes == content);
    assert_eq!(copy.properties, described);
    let sent = store.put(&Key::from("sent"), content.into(), PutOptions::default()).await.unwrap().entry;
    assert_eq!(copied.fingerprint, sent.fingerprint, "it is the object that sending would have made");

    let error = store.put(&Key::from("copy"), source.clone(), absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let unchanged = |seen: Option<_>| PutOptions::default().with_expect(Expect::Unchanged(seen.unwrap()));
    server.put(BUCKET, "copy", "of somebody else");
    let error = store.put(&Key::from("copy"), source.clone(), unchanged(copied.fingerprint)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!(server.object(BUCKET, "copy").unwrap().bytes, "of somebody else");
    let now = store.head(&Key::from("copy")).await.unwrap().fingerprint;
    store.put(&Key::from("copy"), source, unchanged(now)).await.unwrap();
    assert_eq!(server.object(BUCKET, "copy").unwrap().bytes.len(), 20 << 20);
    assert_eq!(server.open_uploads(BUCKET), [""; 0]);
    assert_eq!(server.requests().of(Operation::GetObject), 0);
}

#[tokio::test]
async fn a_small_copy_under_a_condition_stays_in_the_server_and_a_broken_condition_is_told() {
    let server = server();
    server.put(BUCKET, "k", "content");
    let store = store_with(config(&server).with_conditional_writes(ConditionalWrites::On));
    let (source, _) = stored(&store, "k").await;
    let absent = PutOptions::default().with_expect(Expect::Absent);
    server.reset_requests();
    store.put(&Key::from("copy"), source.clone(), absent.clone()).await.unwrap();
    assert_eq!(server.requests().to_string(), "CopyObject: 1");
    assert_eq!(server.object(BUCKET, "copy").unwrap().bytes, "content");

    server.put(BUCKET, "copy", "of somebody else");
    let error = store.put(&Key::from("copy"), source, absent).await.unwrap_err();
    assert_eq!((error.operation(), error.kind()), (pos3_core::Operation::Write, ErrorKind::AlreadyExists));
    assert_eq!(server.object(BUCKET, "copy").unwrap().bytes, "of somebody else");
}

/// Copies `k` to `copy` and returns whether it is verified.
async fn is_verified(store: &S3Store, options: PutOptions) -> bool {
    let (source, _) = stored(store, "k").await;
    let listed = store.list("k", Default::default()).try_next().await.unwrap().unwrap();
    let source = Content::stored(source.origin().unwrap().0.clone(), listed);
    store.put(&Key::from("copy"), source, options).await.unwrap().verified
}

#[tokio::test]
async fn a_copy_is_verified_by_what_the_server_tells_of_both_sides() {
    let absent = || PutOptions::default().with_expect(Expect::Absent);
    // ETags that are equal, or the checksums that the server keeps of both.
    for etags in [Etags::Digests, Etags::Opaque, Etags::Kms] {
        for size in [1000, SIZE] {
            for options in [PutOptions::default(), absent()] {
                let server = server();
                server.configure(|settings| settings.etags = etags);
                let store = store_with(config(&server).with_multipart_threshold(8 << 20));
                store.write(&Key::from("k"), random_bytes(7, size).into()).await.unwrap();
                assert!(is_verified(&store, options.clone()).await, "{etags:?} {size} {:?}", options.expect);
                assert_eq!(server.requests().of(Operation::GetObject), 0, "{etags:?} {size}");
            }
        }
    }
    // Nothing is known of either.
    let server = server();
    server.configure(|settings| settings.etags = Etags::Kms);
    server.put_object(
        BUCKET,
        "k",
        StoredObject { etag: "opaque".into(), ..StoredObject::new("c".into(), Properties::default()) },
    );
    assert!(!is_verified(&store(&server), PutOptions::default()).await);
}

#[tokio::test]
async fn a_copy_in_parts_has_the_part_size_of_its_source_where_only_etags_can_be_compared() {
    let server = server();
    server.configure(|settings| settings.checksums = pos3_tests::server::Checksums::Ignored);
    let of_other_parts = store_with(config(&server).with_part_size(5 << 20).with_multipart_threshold(5 << 20));
    of_other_parts.write(&Key::from("k"), random_bytes(8, 20 << 20).into()).await.unwrap();
    let store = store_with(config(&server));
    assert!(is_verified(&store, PutOptions::default().with_expect(Expect::Absent)).await);
    assert_eq!(server.object(BUCKET, "copy").unwrap().part_sizes, [5 << 20; 4]);
}

#[tokio::test]
async fn a_copy_that_the_server_shows_to_be_wrong_or_has_lost_is_made_again() {
    for (size, last) in [(1000, Operation::CopyObject), (SIZE, Operation::CompleteMultipartUpload)] {
        let server = server();
        server.put(BUCKET, "k", random_bytes(9, size));
        let store = store_with(config(&server).with_multipart_threshold(8 << 20));
        let absent = PutOptions::default().with_expect(Expect::Absent);
        server.fault(Fault::on(last).answer(Answer::Forget));
        is_verified(&store, absent.clone()).await;
        assert!(server.object(BUCKET, "copy").unwrap().bytes == random_bytes(9, size));
        assert_eq!(server.requests().of(last), 2);

        server.remove(BUCKET, "copy");
        server.fault(Fault::on(last).always().answer(Answer::Forget));
        let (source, _) = stored(&store, "k").await;
        let error = store.put(&Key::from("copy"), source, absent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
    }
}

#[tokio::test]
async fn what_another_writer_stored_after_a_copy_is_not_overwritten() {
    for (size, last) in [(1000, Operation::CopyObject), (SIZE, Operation::CompleteMultipartUpload)] {
        for answered in [AnsweredEtag::Missing, AnsweredEtag::Current] {
            let server = server();
            server.put(BUCKET, "k", random_bytes(16, size));
            let store = store_with(config(&server).with_multipart_threshold(8 << 20));
            let (source, _) = stored(&store, "k").await;
            server.fault(Fault::on(last).answer(Answer::Overwritten { content: "theirs", answered }));
            let absent = PutOptions::default().with_expect(Expect::Absent);
            let error = store.put(&Key::from("copy"), source, absent).await.unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Precondition | ErrorKind::AlreadyExists), "{answered:?} {error}");
            assert_eq!(server.object(BUCKET, "copy").unwrap().bytes, "theirs", "{answered:?}");
        }
    }
}

#[tokio::test]
async fn a_wrong_etag_of_a_copy_that_is_right_is_no_failure() {
    let server = server();
    server.put(BUCKET, "k", "content");
    server.fault(Fault::on(Operation::CopyObject).answer(Answer::WrongEtag));
    assert!(is_verified(&store(&server), PutOptions::default()).await, "HEAD of both tells the same MD5");
    assert_eq!(server.requests().of(Operation::CopyObject), 1);
}

#[tokio::test]
async fn a_copy_in_parts_keeps_the_tags_or_warns_once() {
    let tags = "a%20b=c%26d&stage=raw";
    for (tagging, kept, warnings) in [
        (Tagging::Kept, true, 0),
        (Tagging::Denied, false, 1),
        (Tagging::ReadDenied, false, 1),
        (Tagging::WriteDenied, false, 1),
        (Tagging::Unknown, false, 0),
    ] {
        let server = server();
        let properties = Properties { tagging: Some(tags.to_owned()), ..Properties::default() };
        server.put_object(BUCKET, "k", StoredObject::new(random_bytes(10, SIZE).into(), properties));
        server.configure(|settings| settings.tagging = tagging);
        let warned = Warned::new(config(&server).with_copy_limit(5 << 20));
        for key in ["copy", "again"] {
            let (source, _) = stored(&warned.store, "k").await;
            warned.store.put(&Key::from(key), source, PutOptions::default()).await.unwrap();
            let copy = server.object(BUCKET, key).unwrap();
            assert!(copy.bytes == random_bytes(10, SIZE), "{tagging:?}");
            assert_eq!(copy.properties.tagging.as_deref(), kept.then_some(tags), "{tagging:?}");
        }
        let told = warned.warnings();
        assert_eq!(told.iter().filter(|warning| warning.contains("lose their tags")).count(), warnings, "{told:?}");
        let asked = server.requests().of(Operation::GetObjectTagging);
        assert_eq!(asked, if tagging == Tagging::Unknown { 1 } else { 2 }, "{tagging:?}");
    }
}

#[tokio::test]
async fn a_copy_whose_answer_is_lost_or_empty_is_looked_up() {
    for (size, last) in [(1000, Operation::CopyObject), (SIZE, Operation::CompleteMultipartUpload)] {
        for answer in [Answer::ResetAfterPerforming, Answer::Empty] {
            let server = server();
            server.put(BUCKET, "k", random_bytes(15, size));
            let config = config(&server).with_conditional_writes(ConditionalWrites::On);
            let store = store_with(config.with_multipart_threshold(8 << 20));
            let (source, _) = stored(&store, "k").await;
            server.fault(Fault::on(last).answer(answer.clone()));
            store.put(&Key::from("copy"), source, PutOptions::default().with_expect(Expect::Absent)).await.unwrap();
            assert!(server.object(BUCKET, "copy").unwrap().bytes == random_bytes(15, size), "{answer:?}");
            assert_eq!(server.requests().of(Operation::GetObject), 0, "{answer:?} {size}");
        }
    }
}

#[tokio::test]
async fn a_copy_whose_answer_is_lost_overwrites_no_other_writers_object_where_conditions_do_nothing() {
    for answered in [AnsweredEtag::Reset, AnsweredEtag::Failed] {
        let server = server();
        server.configure(|settings| settings.conditional_writes = pos3_tests::server::ConditionalWrites::Ignored);
        server.put(BUCKET, "k", random_bytes(15, 1000));
        let store = store_with(config(&server));
        let (source, _) = stored(&store, "k").await;
        server.fault(Fault::on(Operation::CopyObject).answer(Answer::Overwritten { content: "theirs", answered }));
        let options = PutOptions::default().with_expect(Expect::Absent);
        let error = store.put(&Key::from("copy"), source, options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
        assert_eq!(server.object(BUCKET, "copy").unwrap().bytes, "theirs", "{answered:?}");
    }
}
