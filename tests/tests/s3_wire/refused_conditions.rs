//! Refused conditions: which responses show that a server misjudges conditions, and which do not.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use http::StatusCode;
use pos3_core::{Content, ErrorKind, Expect, Key, PutOptions, RemoteStore, Result};
use pos3_s3::S3Store;
use pos3_tests::server::{Answer, ConditionalWrites, Fault, Operation, S3Server};

use super::{BUCKET, config, random_bytes, server, store_with, told};

/// The size of an object of two parts.
const LARGE: usize = 6 << 20;

const PAGES: [&str; 2] = ["", "<html><body>no such page</body></html>"];

struct Client {
    store: S3Store,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Client {
    fn new(server: &S3Server) -> Self {
        let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = warnings.clone();
        let config = config(server).with_warnings(move |warning| told.lock().unwrap().push(warning.to_owned()));
        let config = config.with_multipart_threshold(5 << 20).with_part_size(5 << 20);
        Self { store: store_with(config), warnings }
    }

    async fn put(&self, key: &str, size: usize, expect: Expect) -> Result<()> {
        let options = PutOptions::default().with_expect(expect);
        self.store.put(&Key::from(key), random_bytes(1, size).into(), options).await.map(drop)
    }

    async fn copy(&self, from: &str, to: &str, expect: Expect) -> Result<()> {
        let entry = self.store.head(&Key::from(from)).await.unwrap();
        let source = Content::stored(Arc::new(self.store.clone()), entry);
        self.store.put(&Key::from(to), source, PutOptions::default().with_expect(expect)).await.map(drop)
    }

    async fn seen(&self, key: &str) -> Expect {
        Expect::Unchanged(self.store.head(&Key::from(key)).await.unwrap().fingerprint.unwrap())
    }

    fn assert_conditions_are_used(&self, case: &str) {
        let warnings = self.warnings.lock().unwrap();
        assert!(warnings.is_empty() && self.store.capabilities().conditional_put, "{case}: {warnings:?}");
    }
}

fn last_of(size: usize) -> Operation {
    if size == LARGE { Operation::CompleteMultipartUpload } else { Operation::PutObject }
}

/// Stores an object that is older than the clock's resolution.
fn put_old(server: &S3Server, key: &str) {
    server.put(BUCKET, key, "old");
    server.set_modified(BUCKET, key, SystemTime::now() - Duration::from_secs(60));
}

#[tokio::test]
async fn an_object_that_was_changed_and_restored_is_no_evidence_about_conditions() {
    let mut cases = Vec::new();
    for size in [1000, LARGE] {
        for meanwhile in [Some("theirs"), None] {
            for (keeps_time, times) in [(false, 1), (false, 2), (true, 1), (true, 2)] {
                cases.push(write_restored(size, Answer::Restored { meanwhile, keeps_time }, times));
            }
        }
    }
    join_all(cases).await;
}

/// Writes an object that another writer changes and restores during this number of requests.
async fn write_restored(size: usize, restored: Answer, times: usize) {
    let case = format!("{size} {restored:?} {times}");
    let server = server();
    put_old(&server, "k");
    put_old(&server, "later");
    let client = Client::new(&server);
    let (expect, later) = (client.seen("k").await, client.seen("later").await);
    server.fault(Fault::on(last_of(size)).times(times).answer(restored));
    client.put("k", size, expect).await.unwrap();
    assert!(server.object(BUCKET, "k").unwrap().bytes == random_bytes(1, size), "{case}");
    client.assert_conditions_are_used(&case);

    // The other writer is faster than a lookup, so only the condition protects its object.
    server.fault(Fault::on(last_of(size)).answer(Answer::Overtaken { key: "later", content: "theirs" }));
    let error = client.put("later", size, later).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{case}: {error}");
    assert_eq!(server.object(BUCKET, "later").unwrap().bytes, "theirs", "{case}");
    assert_eq!(server.faults_waiting(), 0, "{case}");
}

#[tokio::test]
async fn an_object_that_is_changed_and_restored_again_and_again_is_reported_as_changed() {
    let server = server();
    put_old(&server, "k");
    let client = Client::new(&server);
    let expect = client.seen("k").await;
    let restored = Answer::Restored { meanwhile: Some("theirs"), keeps_time: false };
    server.fault(Fault::on(Operation::PutObject).always().answer(restored));
    let error = client.put("k", 1000, expect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{error}");
    assert_eq!(server.object(BUCKET, "k").unwrap().bytes, "old");
    client.assert_conditions_are_used("always");
}

#[tokio::test]
async fn a_refusal_without_an_s3_code_is_no_evidence_about_conditions() {
    for size in [1000, LARGE] {
        for status in [StatusCode::NOT_FOUND, StatusCode::CONFLICT, StatusCode::PRECONDITION_FAILED] {
            for body in PAGES {
                for replaces in [true, false] {
                    let case = format!("{size} {status} {body} {replaces}");
                    let server = server();
                    let client = Client::new(&server);
                    let expect = if replaces {
                        put_old(&server, "k");
                        client.seen("k").await
                    } else {
                        Expect::Absent
                    };
                    server.fault(Fault::on(last_of(size)).answer(Answer::Page { status, body }));
                    client.put("k", size, expect).await.unwrap();
                    assert!(server.object(BUCKET, "k").unwrap().bytes == random_bytes(1, size), "{case}");
                    assert_eq!(server.requests().of(last_of(size)), 2, "{case}");
                    client.assert_conditions_are_used(&case);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_write_that_is_only_refused_without_an_s3_code_fails_and_changes_nothing() {
    for status in [StatusCode::NOT_FOUND, StatusCode::PRECONDITION_FAILED] {
        let server = server();
        put_old(&server, "k");
        server.put(BUCKET, "source", "new");
        let client = Client::new(&server);
        for operation in [Operation::PutObject, Operation::CopyObject] {
            server.fault(Fault::on(operation).always().answer(Answer::Page { status, body: PAGES[1] }));
        }
        let expect = client.seen("k").await;
        for error in [
            client.put("k", 1000, expect.clone()).await.unwrap_err(),
            client.copy("source", "k", expect).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
            assert!(error.to_string().contains(&format!("status {}", status.as_u16())), "{error}");
        }
        assert_eq!(server.object(BUCKET, "k").unwrap().bytes, "old");
        client.assert_conditions_are_used("always");
    }
}

#[tokio::test]
async fn a_copy_that_is_refused_without_an_s3_code_is_sent_again() {
    for status in [StatusCode::NOT_FOUND, StatusCode::PRECONDITION_FAILED] {
        for body in PAGES {
            let server = server();
            put_old(&server, "k");
            server.put(BUCKET, "source", "new");
            let client = Client::new(&server);
            let expect = client.seen("k").await;
            server.fault(Fault::on(Operation::CopyObject).answer(Answer::Page { status, body }));
            client.copy("source", "k", expect).await.unwrap();
            assert_eq!(server.object(BUCKET, "k").unwrap().bytes, "new");
            let counts = server.requests();
            assert_eq!((counts.of(Operation::CopyObject), counts.of(Operation::PutObject)), (2, 0), "{status}");
            client.assert_conditions_are_used(body);
        }
    }
}

#[tokio::test]
async fn a_copy_onto_an_object_that_was_changed_and_restored_keeps_the_conditions() {
    for meanwhile in [Some("theirs"), None] {
        let server = server();
        put_old(&server, "k");
        server.put(BUCKET, "source", "new");
        let client = Client::new(&server);
        let expect = client.seen("k").await;
        let restored = || Answer::Restored { meanwhile, keeps_time: false };
        server.fault(Fault::on(Operation::CopyObject).answer(restored()));
        server.fault(Fault::on(Operation::PutObject).answer(restored()));
        client.copy("source", "k", expect).await.unwrap();
        assert_eq!(server.object(BUCKET, "k").unwrap().bytes, "new");
        client.assert_conditions_are_used("copy");
    }
}

#[tokio::test]
async fn a_write_without_a_condition_is_preceded_by_a_lookup() {
    for habit in [ConditionalWrites::Refused, ConditionalWrites::IfMatchFails] {
        for size in [1000, LARGE] {
            let server = server();
            server.configure(|settings| settings.conditional_writes = habit);
            for key in ["first", "second", "same", "changed", "gone", "source"] {
                put_old(&server, key);
            }
            let client = Client::new(&server);
            let (same, changed, gone) =
                (client.seen("same").await, client.seen("changed").await, client.seen("gone").await);
            client.put("first", size, client.seen("first").await).await.unwrap();
            if habit == ConditionalWrites::IfMatchFails {
                client.put("second", size, client.seen("second").await).await.unwrap();
            }
            assert!(!client.store.capabilities().conditional_put, "{habit:?} {size}");
            client.put("same", size, same).await.unwrap();

            server.put(BUCKET, "changed", "theirs");
            server.put(BUCKET, "appeared", "theirs");
            server.remove(BUCKET, "gone");
            for (key, expect) in [("changed", changed), ("appeared", Expect::Absent), ("gone", gone)] {
                for error in [
                    client.put(key, size, expect.clone()).await.unwrap_err(),
                    client.copy("source", key, expect).await.unwrap_err(),
                ] {
                    let is_expected = matches!(error.kind(), ErrorKind::Precondition | ErrorKind::AlreadyExists);
                    assert!(is_expected, "{habit:?} {size} {key}: {error}");
                }
                let content = server.object(BUCKET, key).map(|object| object.bytes);
                assert_eq!(content, (key != "gone").then(|| "theirs".into()), "{habit:?} {size} {key}");
            }
        }
    }
}

#[tokio::test]
async fn an_object_with_the_content_to_be_written_is_still_written_without_a_condition() {
    let server = server();
    server.configure(|settings| settings.conditional_writes = ConditionalWrites::Refused);
    let client = Client::new(&server);
    client.put("k", 1000, Expect::Absent).await.unwrap();
    let expect = client.seen("k").await;
    assert_eq!(client.put("k", 1000, Expect::Absent).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let mut options = PutOptions::default().with_expect(expect);
    options.metadata.insert("mood".into(), "good".into());
    client.store.put(&Key::from("k"), random_bytes(1, 1000).into(), options).await.unwrap();
    assert_eq!(server.object(BUCKET, "k").unwrap().properties.metadata.len(), 1);
}

fn failed_condition() -> Answer {
    Answer::Error { status: StatusCode::PRECONDITION_FAILED, code: "PreconditionFailed" }
}

/// Checks that another writer's object is not overwritten, even if no lookup could show it in time.
async fn assert_protects(client: &Client, server: &S3Server, size: usize, key: &'static str) {
    let expect = client.seen(key).await;
    server.fault(Fault::on(last_of(size)).key(key).answer(Answer::Overtaken { key, content: "theirs" }));
    let error = client.put(key, size, expect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Precondition, "{size} {key}: {error}");
    assert_eq!(server.object(BUCKET, key).unwrap().bytes, "theirs", "{size} {key}");
}

#[tokio::test]
async fn an_object_whose_conditions_are_refused_leaves_the_conditions_of_every_other() {
    for size in [1000, LARGE] {
        let server = server();
        for key in ["f", "g"] {
            put_old(&server, key);
        }
        let client = Client::new(&server);
        for writes in 1..=3 {
            put_old(&server, "f");
            server.fault(Fault::on(last_of(size)).key("f").times(3).answer(failed_condition()));
            client.put("f", size, client.seen("f").await).await.unwrap();
            assert!(server.object(BUCKET, "f").unwrap().bytes == random_bytes(1, size), "{size} {writes}");
            assert_eq!(server.faults_waiting(), 0, "{size} {writes}");
        }
        let warnings = client.warnings.lock().unwrap().clone();
        assert!(warnings.len() == 1 && warnings[0].contains("sent without its condition"), "{warnings:?}");
        assert!(client.store.capabilities().conditional_put, "{size}");
        assert_protects(&client, &server, size, "g").await;
    }
}

#[tokio::test]
async fn new_objects_are_no_evidence_about_the_conditions_of_other_writes() {
    let server = server();
    server.configure(|settings| settings.conditional_writes = ConditionalWrites::IfMatchFails);
    for key in ["f", "g", "h"] {
        put_old(&server, key);
    }
    let client = Client::new(&server);
    for (key, requests) in [("f", 4), ("g", 4), ("h", 1)] {
        client.put(&format!("new-{key}"), 1000, Expect::Absent).await.unwrap();
        let expect = client.seen(key).await;
        server.reset_requests();
        client.put(key, 1000, expect).await.unwrap();
        assert_eq!(server.requests().of(Operation::PutObject), requests, "{key}");
    }
    let expected = "does not support conditional writes: an object that changes during a write is overwritten";
    let warnings = client.warnings.lock().unwrap().clone();
    assert!(warnings.len() == 2 && warnings[1].contains(expected), "{warnings:?}");

    // The other condition is still sent.
    server.fault(Fault::on(Operation::PutObject).answer(Answer::Overtaken { key: "new", content: "theirs" }));
    assert_eq!(client.put("new", 1000, Expect::Absent).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(server.object(BUCKET, "new").unwrap().bytes, "theirs");
}

#[tokio::test]
async fn a_server_that_has_obeyed_a_condition_is_believed() {
    for size in [1000, LARGE] {
        let server = server();
        for key in ["e", "f", "g"] {
            put_old(&server, key);
        }
        let client = Client::new(&server);
        client.put("e", size, client.seen("e").await).await.unwrap();
        server.fault(Fault::on(last_of(size)).key("f").always().answer(failed_condition()));
        for _ in 0..2 {
            let error = client.put("f", size, client.seen("f").await).await.unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Other, Some("PreconditionFailed")), "{size}");
            let expected = "because it has changed (If-Match), but it is unchanged: http 412 PreconditionFailed";
            assert!(told(&error).contains(expected), "{}", told(&error));
            assert_eq!(server.object(BUCKET, "f").unwrap().bytes, "old");
        }
        assert_eq!(server.open_uploads(BUCKET), [""; 0]);
        client.assert_conditions_are_used("obeyed");
        assert_protects(&client, &server, size, "g").await;
    }
}

#[tokio::test]
async fn a_new_object_that_the_server_refuses_as_existing_is_named_as_such() {
    for size in [1000, LARGE] {
        for times in [1, 2, usize::MAX] {
            let server = server();
            let client = Client::new(&server);
            server.fault(Fault::on(last_of(size)).times(times).answer(failed_condition()));
            let put = client.put("k", size, Expect::Absent).await;
            client.assert_conditions_are_used("refused");
            if times < 3 {
                put.unwrap();
                continue;
            }
            let error = put.unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Other, Some("PreconditionFailed")), "{size}");
            let expected = "because it exists (If-None-Match), but it does not exist: http 412 PreconditionFailed";
            assert!(told(&error).contains(expected), "{}", told(&error));
            assert_eq!(server.requests().of(last_of(size)), 3, "{size}");
            assert!(server.object(BUCKET, "k").is_none() && server.open_uploads(BUCKET).is_empty(), "{size}");
        }
    }
}
