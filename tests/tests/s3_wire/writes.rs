//! PUT and multipart uploads: exact keys and content, the number of requests, and what remains after a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use pos3_core::conformance::ODD_KEYS;
use pos3_core::{
    Budget, Content, Digest, ErrorKind, Expect, Key, MemoryStore, PutOptions, RemoteStore, RemoteStoreExt,
};
use pos3_s3::{ConditionalWrites, PayloadSigning};
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, config, random_bytes, server, store, store_with};

const LARGE: usize = 40 << 20;

#[tokio::test]
async fn odd_keys_arrive_as_they_are() {
    let server = server();
    let store = store(&server);
    let mut expected: Vec<&str> = ODD_KEYS.to_vec();
    expected.sort_unstable();
    for key in &expected {
        store.write(&Key::from(*key), Content::from(key.as_bytes().to_vec())).await.unwrap();
    }
    assert_eq!(server.keys(BUCKET), expected);
    for entry in store.list_all("").await.unwrap() {
        assert_eq!(store.read(&entry.key).await.unwrap(), entry.key.as_str().as_bytes(), "{:?}", entry.key);
    }
    let keys: Vec<Key> = expected.iter().map(|key| Key::from(*key)).collect();
    let failed: Vec<_> = store.remove_all(&keys).await.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(server.keys(BUCKET), [""; 0]);
}

#[tokio::test]
async fn a_put_is_one_request_and_knows_what_it_wrote() {
    let server = server();
    let store = store(&server);
    let puts = (0..50).map(|index| {
        let store = store.clone();
        async move { store.write(&Key::from(format!("k{index}")), "hello".into()).await.unwrap() }
    });
    let entries = join_all(puts).await;
    assert_eq!(server.requests().of(Operation::PutObject), 50);
    assert_eq!(store.usage().to_string(), "50 PutObject");
    let seen = store.head(&Key::from("k7")).await.unwrap();
    assert_eq!((&entries[7].fingerprint, entries[7].digest), (&seen.fingerprint, seen.digest));
    assert!(matches!(seen.digest, Some(Digest::Md5(_))));
}

#[tokio::test]
async fn what_fails_for_a_moment_is_sent_again() {
    for answer in [
        Answer::slow_down(),
        Answer::internal_error(),
        Answer::request_timeout(),
        Answer::Reset,
        Answer::ResetAfterPerforming,
        Answer::Error { status: http::StatusCode::TOO_MANY_REQUESTS, code: "" },
    ] {
        let server = server();
        server.fault(Fault::on(Operation::PutObject).times(2).answer(answer.clone()));
        let store = store(&server);
        store.write(&Key::from("k"), "hello".into()).await.unwrap();
        assert_eq!(server.object(BUCKET, "k").unwrap().bytes, "hello", "{answer:?}");
        assert_eq!(server.requests().of(Operation::PutObject), 3, "{answer:?}");
        assert_eq!(store.usage().get("PutObject"), 3, "{answer:?}");
    }
}

#[tokio::test]
async fn a_large_object_arrives_whole_in_parts() {
    for signing in [PayloadSigning::Unsigned, PayloadSigning::Signed] {
        let server = server();
        let store = store_with(config(&server).with_payload_signing(signing));
        let content = random_bytes(3, LARGE);
        let metered = Arc::new(AtomicU64::new(0));
        let meter = metered.clone();
        let meter = move |bytes| {
            meter.fetch_add(bytes, Ordering::Relaxed);
        };
        let body = Content::from(content.clone()).with_meter(Arc::new(meter));
        let entry = store.write(&Key::from("large"), body).await.unwrap();
        assert!(server.object(BUCKET, "large").unwrap().bytes == content);
        assert_eq!(metered.load(Ordering::Relaxed), LARGE as u64);
        assert_eq!(server.requests().of(Operation::UploadPart), 5);
        assert_eq!(server.requests().total(), 7);
        assert!(matches!(entry.digest, Some(Digest::Md5OfParts { parts: 5, .. })), "{entry:?}");
        assert_eq!(store.head(&Key::from("large")).await.unwrap().fingerprint, entry.fingerprint);
        assert!(store.read(&Key::from("large")).await.unwrap() == content);
    }
}

#[tokio::test]
async fn parts_share_the_budget_and_one_slot_is_enough() {
    for (slots, bytes, most) in [(1, 1 << 20, 1), (3, 64 << 20, 3)] {
        let server = server();
        let store = store(&server);
        let budget = Budget::new(slots, bytes);
        let _callers = budget.slot().await;
        let content = random_bytes(4, LARGE);
        let options = PutOptions::default().with_budget(budget);
        store.put(&Key::from("large"), content.clone().into(), options).await.unwrap();
        assert!(server.object(BUCKET, "large").unwrap().bytes == content);
        assert!(server.most_in_flight() <= most, "{}", server.most_in_flight());
    }
}

#[tokio::test]
async fn trouble_with_parts_is_overcome() {
    let server = server();
    server.fault(Fault::on(Operation::UploadPart).nth(2).times(2).answer(Answer::Reset));
    server.fault(Fault::on(Operation::UploadPart).nth(5).answer(Answer::slow_down()));
    server.fault(Fault::on(Operation::CreateMultipartUpload).answer(Answer::internal_error()));
    server.fault(Fault::on(Operation::CompleteMultipartUpload).answer(Answer::ErrorInOk { code: "InternalError" }));
    let content = random_bytes(5, LARGE);
    store(&server).write(&Key::from("large"), content.clone().into()).await.unwrap();
    assert!(server.object(BUCKET, "large").unwrap().bytes == content);
    assert_eq!(server.faults_waiting(), 0);
    assert_eq!(server.open_uploads(BUCKET), [""; 0]);
}

#[tokio::test]
async fn a_completion_whose_answer_is_lost_is_looked_up() {
    let server = server();
    server.fault(Fault::on(Operation::CompleteMultipartUpload).answer(Answer::ResetAfterPerforming));
    let content = random_bytes(6, LARGE);
    let entry = store(&server).write(&Key::from("large"), content.clone().into()).await.unwrap();
    assert!(matches!(entry.digest, Some(Digest::Md5OfParts { parts: 5, .. })));
    assert!(server.object(BUCKET, "large").unwrap().bytes == content);
}

#[tokio::test]
async fn a_failed_upload_leaves_nothing() {
    let large = || Content::from(random_bytes(7, LARGE));
    for (operation, answer, kind) in [
        (Operation::UploadPart, Answer::access_denied(), ErrorKind::Denied),
        (Operation::CompleteMultipartUpload, Answer::ErrorInOk { code: "AccessDenied" }, ErrorKind::Denied),
    ] {
        let server = server();
        server.put(BUCKET, "large", "old");
        server.fault(Fault::on(operation).nth(1).always().answer(answer));
        let error = store(&server).write(&Key::from("large"), large()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(server.open_uploads(BUCKET), [""; 0]);
        assert_eq!(server.object(BUCKET, "large").unwrap().bytes, "old");
    }
}

#[tokio::test]
async fn a_source_that_changes_meanwhile_aborts_the_upload() {
    let server = server();
    let source = Arc::new(MemoryStore::new());
    let key = Key::from("large");
    let entry = source.write(&key, random_bytes(8, LARGE).into()).await.unwrap();
    source.write(&key, random_bytes(9, LARGE).into()).await.unwrap();
    let error = store(&server).write(&key, Content::stored(source, entry)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition);
    assert_eq!((server.open_uploads(BUCKET), server.keys(BUCKET)), (vec![], vec![]));
}

#[tokio::test]
async fn an_upload_nobody_waits_for_is_aborted() {
    let server = server();
    server.fault(Fault::on(Operation::UploadPart).always().answer(Answer::Delay(Duration::from_secs(600))));
    let store = store(&server);
    let put = tokio::spawn(async move { store.write(&Key::from("large"), random_bytes(10, LARGE).into()).await });
    while server.requests().of(Operation::UploadPart) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.open_uploads(BUCKET), ["large"]);
    put.abort();
    while !server.open_uploads(BUCKET).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn expectations_hold_and_survive_a_lost_answer() {
    let server = server();
    let store = store_with(config(&server).with_conditional_writes(ConditionalWrites::On));
    assert!(store.capabilities().conditional_put);
    let key = Key::from("k");
    let absent = || PutOptions::default().with_expect(Expect::Absent);
    server.fault(Fault::on(Operation::PutObject).answer(Answer::ResetAfterPerforming));
    let first = store.put(&key, "one".into(), absent()).await.unwrap().entry;
    assert_eq!(store.put(&key, "two".into(), absent()).await.unwrap_err().kind(), ErrorKind::AlreadyExists);

    let seen = Expect::Unchanged(first.fingerprint.unwrap());
    let replace = || PutOptions::default().with_expect(seen.clone());
    server.fault(Fault::on(Operation::PutObject).answer(Answer::ResetAfterPerforming));
    store.put(&key, "three".into(), replace()).await.unwrap();
    assert_eq!(store.put(&key, "four".into(), replace()).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(store.put(&Key::from("gone"), "x".into(), replace()).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert_eq!(server.object(BUCKET, "k").unwrap().bytes, "three");

    let large = store.put(&key, random_bytes(11, LARGE).into(), absent()).await;
    assert_eq!(large.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(server.open_uploads(BUCKET), [""; 0]);
}

#[tokio::test]
async fn media_type_and_metadata_are_kept() {
    let server = server();
    let mut options = PutOptions::default().with_content_type(Some("text/x-note".into()));
    options.metadata.insert("mood".into(), "good".into());
    for (key, size) in [("small", 3), ("large", LARGE)] {
        store(&server).put(&Key::from(key), random_bytes(12, size).into(), options.clone()).await.unwrap();
        let properties = server.object(BUCKET, key).unwrap().properties;
        assert_eq!(properties.content_type.as_deref(), Some("text/x-note"));
        assert_eq!(properties.metadata.get("mood").map(String::as_str), Some("good"));
    }
}

#[tokio::test]
async fn an_upload_gets_the_media_type_of_its_name() {
    let server = server();
    let store = store(&server);
    let content = || Content::from(random_bytes(7, 10));
    let large = || Content::from(random_bytes(8, 17 << 20));
    let given = PutOptions::default().with_content_type(Some("text/x-note".into()));
    for (key, content, options, expected) in [
        ("index.html", content(), PutOptions::default(), "text/html; charset=utf-8"),
        ("Photo.JPG", content(), PutOptions::default(), "image/jpeg"),
        ("readme", content(), PutOptions::default(), "application/octet-stream"),
        ("page.html/", "".into(), PutOptions::default(), "application/octet-stream"),
        ("film.mp4", large(), PutOptions::default(), "video/mp4"),
        ("given.html", content(), given.clone(), "text/x-note"),
        ("large.html", large(), given, "text/x-note"),
    ] {
        store.put(&Key::from(key), content, options).await.unwrap();
        let stored = server.object(BUCKET, key).unwrap().properties.content_type;
        assert_eq!(stored.as_deref(), Some(expected), "{key}");
    }
    let requests = server.requests();
    let multipart = [Operation::CreateMultipartUpload, Operation::UploadPart, Operation::CompleteMultipartUpload];
    let multipart: usize = multipart.into_iter().map(|operation| requests.of(operation)).sum();
    assert_eq!((requests.of(Operation::PutObject), multipart, requests.total()), (5, 10, 15), "{requests}");
}

#[tokio::test]
async fn what_is_streamed_from_another_server_gets_the_media_type_of_its_name() {
    let (from, to) = (server(), server());
    from.put(BUCKET, "a.svg", "<svg/>");
    let source = store(&from);
    let entry = source.head(&Key::from("a.svg")).await.unwrap();
    let target = store(&to);
    let content = Content::stored(Arc::new(source), entry);
    target.put(&Key::from("a.svg"), content, PutOptions::default()).await.unwrap();
    assert_eq!(to.object(BUCKET, "a.svg").unwrap().properties.content_type.as_deref(), Some("image/svg+xml"));
    assert_eq!(target.usage().to_string(), "1 PutObject");
    assert_eq!(from.requests().to_string(), "GetObject: 1, HeadObject: 1");
}
