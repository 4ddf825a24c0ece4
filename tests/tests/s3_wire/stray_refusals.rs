//! Refusals that do not come from the server: they end the use of no feature.

use std::sync::Arc;

use http::StatusCode;
use pos3_core::{Content, DeleteKey, ErrorKind, Expect, Key, PutOptions, RemoteStore, Result};
use pos3_s3::S3Config;
use pos3_tests::server::{
    self, Answer, ConditionalDeletes, ConditionalWrites, Fault, Operation, Properties, S3Server, StoredObject,
};

use super::checksums::Warned;
use super::{BUCKET, config, random_bytes, server};

/// The size of an object of two parts.
const LARGE: usize = 6 << 20;

const SUM: &str = "x-amz-checksum-crc64nvme";

const TAGS: &str = "stage=raw";

/// A key that a batch cannot contain, so it is deleted by a request of its own.
const ODD: &str = "bell\u{7}";

const OPERATIONS: [Operation; 7] = [
    Operation::PutObject,
    Operation::CreateMultipartUpload,
    Operation::UploadPart,
    Operation::CompleteMultipartUpload,
    Operation::DeleteObjects,
    Operation::DeleteObject,
    Operation::GetObjectTagging,
];

/// The responses of a proxy.
fn strays() -> Vec<Answer> {
    let page = |status, body| Answer::Page { status, body };
    vec![
        page(StatusCode::BAD_REQUEST, ""),
        page(StatusCode::FORBIDDEN, ""),
        page(StatusCode::NOT_FOUND, ""),
        page(StatusCode::METHOD_NOT_ALLOWED, "<html><body>no</body></html>"),
        page(StatusCode::NOT_IMPLEMENTED, "<html><body>no</body></html>"),
        page(StatusCode::BAD_GATEWAY, "<html><body>no</body></html>"),
        Answer::Empty,
        Answer::WebPage,
    ]
}

fn in_parts(server: &S3Server) -> S3Config {
    config(server).with_multipart_threshold(5 << 20).with_part_size(5 << 20).with_copy_limit(5 << 20)
}

async fn put(client: &Warned, key: &str, size: usize) -> Result<()> {
    let options = PutOptions::default().with_expect(Expect::Absent);
    client.store.put(&Key::from(key), random_bytes(1, size).into(), options).await.map(drop)
}

async fn delete(client: &Warned, key: &str) -> Result<()> {
    let seen = client.store.head(&Key::from(key)).await.unwrap();
    client.store.delete(&[DeleteKey::new(Key::from(key)).unless_changed(&seen)]).await.remove(0)
}

async fn copy(client: &Warned, from: &str, to: &str) -> Result<()> {
    let entry = client.store.head(&Key::from(from)).await.unwrap();
    let source = Content::stored(Arc::new(client.store.clone()), entry);
    client.store.put(&Key::from(to), source, PutOptions::default()).await.map(drop)
}

/// Uses a feature: writes, deletes or copies one object.
async fn used(client: &Warned, operation: Operation, key: &str) -> Result<()> {
    match operation {
        Operation::PutObject => put(client, key, 1000).await,
        Operation::DeleteObjects => delete(client, key).await,
        Operation::DeleteObject => delete(client, &format!("{key}{ODD}")).await,
        Operation::GetObjectTagging => copy(client, "tagged", key).await,
        _ => put(client, key, LARGE).await,
    }
}

fn stage(operation: Operation) -> (S3Server, Warned) {
    let server = server();
    let properties = Properties { tagging: Some(TAGS.to_owned()), ..Properties::default() };
    server.put_object(BUCKET, "tagged", StoredObject::new(random_bytes(2, LARGE).into(), properties));
    if matches!(operation, Operation::DeleteObjects | Operation::DeleteObject) {
        for key in ["a", "b", "c"] {
            server.put(BUCKET, key, "old");
            server.put(BUCKET, &format!("{key}{ODD}"), "old");
        }
    }
    let client = Warned::new(in_parts(&server));
    (server, client)
}

/// Checks that the feature of an operation is still used, for `b` and `c`.
async fn assert_is_used(server: &S3Server, client: &Warned, operation: Operation, case: &str) {
    match operation {
        Operation::DeleteObjects | Operation::DeleteObject => {
            let key = if operation == Operation::DeleteObject { "bbell\u{7}" } else { "b" };
            server.fault(Fault::on(operation).answer(Answer::Overtaken { key, content: "theirs" }));
            let error = used(client, operation, "b").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Precondition, "{case}: {error}");
            assert_eq!(server.object(BUCKET, key).unwrap().bytes, "theirs", "{case}");
            server.reset_requests();
            used(client, operation, "c").await.unwrap();
            assert_eq!(server.requests().of(operation), 1, "{case}");
        }
        Operation::GetObjectTagging => {
            used(client, operation, "b").await.unwrap();
            assert_eq!(server.object(BUCKET, "b").unwrap().properties.tagging.as_deref(), Some(TAGS), "{case}");
        }
        _ => {
            used(client, operation, "b").await.unwrap();
            assert!(server.object(BUCKET, "b").unwrap().checksums.contains_key(SUM), "{case}: no checksum");
            let last = if operation == Operation::PutObject { operation } else { Operation::CompleteMultipartUpload };
            server.fault(Fault::on(last).answer(Answer::Overtaken { key: "c", content: "theirs" }));
            let error = used(client, operation, "c").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{case}: {error}");
            assert!(client.store.capabilities().conditional_put, "{case}");
        }
    }
}

#[tokio::test]
async fn a_refusal_without_an_s3_code_ends_the_use_of_no_feature() {
    for operation in OPERATIONS {
        for answer in strays() {
            // One response, and a fault that lasts until the request is sent with fewer features.
            for times in [1, 3] {
                let case = format!("{operation} {answer:?} {times}");
                let (server, client) = stage(operation);
                server.fault(Fault::on(operation).times(times).answer(answer.clone()));
                let first = used(&client, operation, "a").await;
                assert_eq!(server.faults_waiting(), 0, "{case}");
                server.clear_faults();
                let is_hiccup = matches!(answer, Answer::Page { status, .. }
                    if matches!(status.as_u16(), 400 | 405 | 501));
                if is_hiccup && times == 1 {
                    first.unwrap_or_else(|error| panic!("{case}: {error}"));
                    assert_eq!(client.warnings(), [""; 0], "{case}");
                    if operation == Operation::GetObjectTagging {
                        let copy = server.object(BUCKET, "a").unwrap();
                        assert_eq!(copy.properties.tagging.as_deref(), Some(TAGS), "{case}");
                    }
                }
                assert_is_used(&server, &client, operation, &case).await;
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_always_refuses_a_feature_without_a_code_is_asked_in_two_writes() {
    for (checksums, conditions, warning) in [
        (server::Checksums::RefusedWithoutCode, ConditionalWrites::Obeyed, "refuses CRC-64/NVME"),
        (server::Checksums::Kept, ConditionalWrites::RefusedWithoutCode, "does not support conditional writes"),
    ] {
        for size in [1000, LARGE] {
            let server = server();
            server.configure(|settings| {
                settings.checksums = checksums;
                settings.conditional_writes = conditions;
            });
            let client = Warned::new(in_parts(&server));
            for key in ["a", "b"] {
                assert!(!client.warnings().iter().any(|told| told.contains(warning)), "{key} {size}");
                put(&client, key, size).await.unwrap();
            }
            assert!(client.warnings().iter().any(|told| told.contains(warning)), "{size} {:?}", client.warnings());
            server.reset_requests();
            put(&client, "c", 1000).await.unwrap();
            assert_eq!(server.requests().of(Operation::PutObject), 1, "{size}");
            assert_eq!(server.keys(BUCKET), ["a", "b", "c"]);
        }
    }
}

#[tokio::test]
async fn a_write_that_is_sent_without_its_condition_is_warned_of() {
    let server = server();
    server.configure(|settings| settings.conditional_writes = ConditionalWrites::RefusedWithoutCode);
    let client = Warned::new(in_parts(&server));
    put(&client, "a", 1000).await.unwrap();
    let warnings = client.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("sent without its condition"), "{warnings:?}");
}

#[tokio::test]
async fn conditional_deletes_end_after_two_deletes_that_succeed_only_without_their_condition() {
    for (habit, requests) in [
        (ConditionalDeletes::Refused, [2, 1, 1]),
        (ConditionalDeletes::Denied, [2, 2, 1]),
        // A condition that is refused although it is met is sent once more.
        (ConditionalDeletes::Misjudged, [3, 3, 1]),
    ] {
        for operation in [Operation::DeleteObjects, Operation::DeleteObject] {
            let (server, client) = stage(operation);
            server.configure(|settings| settings.conditional_deletes = habit);
            for (key, expected) in ["a", "b", "c"].into_iter().zip(requests) {
                server.reset_requests();
                used(&client, operation, key).await.unwrap();
                assert_eq!(server.requests().of(operation), expected, "{habit:?} {operation} {key}");
            }
        }
    }
}
