//! Conditional writes, on servers that support conditions, refuse them, or evaluate them incorrectly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{join, join_all};
use http::StatusCode;
use pos3_core::{ErrorKind, Expect, Key, PutOptions, RemoteStore, RemoteStoreExt, Result};
use pos3_s3::{ConditionalWrites, S3Store};
use pos3_tests::server::{self, Answer, AnsweredEtag, Fault, Operation, S3Server};

use super::{BUCKET, config, random_bytes, server, store, store_with};

pub(super) const LARGE: usize = 20 << 20;

pub(super) async fn put(store: &S3Store, key: &str, size: usize, expect: Expect) -> Result<()> {
    let options = PutOptions::default().with_expect(expect);
    store.put(&Key::from(key), random_bytes(size as u64, size).into(), options).await.map(drop)
}

pub(super) async fn seen(store: &S3Store, key: &str) -> Expect {
    Expect::Unchanged(store.head(&Key::from(key)).await.unwrap().fingerprint.unwrap())
}

fn warned(server: &S3Server) -> (S3Store, Arc<Mutex<Vec<String>>>) {
    let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = warnings.clone();
    let config = config(server).with_warnings(move |warning| told.lock().unwrap().push(warning.to_owned()));
    (store_with(config), warnings)
}

#[tokio::test]
async fn of_many_writers_one_is_the_first() {
    for size in [1000, LARGE] {
        let server = server();
        let store = store(&server);
        assert!(store.capabilities().conditional_put);
        let answers = join_all((0..8).map(|_| put(&store, "k", size, Expect::Absent))).await;
        let kinds: Vec<_> = answers.into_iter().filter_map(Result::err).map(|error| error.kind()).collect();
        assert_eq!(kinds, [ErrorKind::AlreadyExists; 7], "{size}");
        assert_eq!(server.open_uploads(BUCKET), [""; 0]);
    }
}

#[tokio::test]
async fn a_conflict_of_two_writers_is_tried_again() {
    let server = server();
    let conflict = || Answer::Error { status: StatusCode::CONFLICT, code: "ConditionalRequestConflict" };
    for (operation, size) in [(Operation::PutObject, 1000), (Operation::CompleteMultipartUpload, LARGE)] {
        server.fault(Fault::on(operation).answer(conflict()));
        put(&store(&server), &operation.to_string(), size, Expect::Absent).await.unwrap();
    }
    assert_eq!(server.faults_waiting(), 0);
}

#[tokio::test]
async fn a_server_without_conditions_is_asked_once() {
    for size in [1000, LARGE] {
        let server = server();
        server.configure(|settings| settings.conditional_writes = server::ConditionalWrites::Refused);
        let (store, warnings) = warned(&server);
        put(&store, "a", size, Expect::Absent).await.unwrap();
        assert!(!store.capabilities().conditional_put);
        server.reset_requests();
        put(&store, "b", 1000, Expect::Absent).await.unwrap();
        let expect = seen(&store, "b").await;
        put(&store, "b", 2000, expect).await.unwrap();
        assert_eq!(server.requests().of(Operation::PutObject), 2, "nothing is refused any more");
        assert_eq!(warnings.lock().unwrap().len(), 1, "{warnings:?}");

        let strict = store_with(config(&server).with_conditional_writes(ConditionalWrites::On));
        let error = put(&strict, "c", size, Expect::Absent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert_eq!((server.object(BUCKET, "c").is_none(), server.open_uploads(BUCKET)), (true, vec![]));
    }
}

#[tokio::test]
async fn a_server_that_knows_neither_conditions_nor_checksums_stores_all_the_same() {
    for size in [1000, LARGE] {
        let server = server();
        server.configure(|settings| {
            settings.conditional_writes = server::ConditionalWrites::Refused;
            settings.checksums = server::Checksums::Refused;
        });
        let (store, warnings) = warned(&server);
        put(&store, "a", size, Expect::Absent).await.unwrap();
        put(&store, "b", 1000, Expect::Absent).await.unwrap();
        assert_eq!(server.keys(BUCKET), ["a", "b"]);
        assert_eq!(warnings.lock().unwrap().len(), 2, "{warnings:?}");
    }
}

#[tokio::test]
async fn a_server_that_misjudges_a_condition_fails_no_good_write() {
    for size in [1000, LARGE] {
        let server = server();
        server.configure(|settings| settings.conditional_writes = server::ConditionalWrites::IfMatchFails);
        let (store, warnings) = warned(&server);
        put(&store, "k", 10, Expect::Absent).await.unwrap();
        let old = seen(&store, "k").await;
        server.put(BUCKET, "k", "another");
        let error = put(&store, "k", size, old).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Precondition, "it did change: {error}");
        assert_eq!((server.object(BUCKET, "k").unwrap().bytes, warnings.lock().unwrap().len()), ("another".into(), 0));

        let unchanged = seen(&store, "k").await;
        put(&store, "k", size, unchanged).await.unwrap();
        assert_eq!(server.object(BUCKET, "k").unwrap().bytes.len(), size);
        assert_eq!(warnings.lock().unwrap().len(), 1, "{warnings:?}");
        assert_eq!(server.open_uploads(BUCKET), [""; 0]);
    }
}

#[tokio::test]
async fn a_refusal_for_another_reason_teaches_nothing() {
    let server = server();
    let invalid = Answer::Error { status: StatusCode::BAD_REQUEST, code: "InvalidRequest" };
    server.fault(Fault::on(Operation::PutObject).times(4).answer(invalid));
    let (store, warnings) = warned(&server);
    let error = put(&store, "k", 10, Expect::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other, "{error}");
    put(&store, "k", 10, Expect::Absent).await.unwrap();
    assert!(server.object(BUCKET, "k").unwrap().checksums.len() == 1 && store.capabilities().conditional_put);
    assert_eq!(warnings.lock().unwrap().len(), 0, "{warnings:?}");
    assert_eq!(store.read(&Key::from("k")).await.unwrap().len(), 10);
}

#[tokio::test]
async fn the_kind_of_a_refusal_does_not_depend_on_its_text() {
    for size in [1000, LARGE] {
        let server = server();
        let store = store(&server);
        put(&store, "k", 10, Expect::Absent).await.unwrap();
        let expect = seen(&store, "k").await;
        server.remove(BUCKET, "k");
        let missing = Answer::ErrorWithMessage {
            status: StatusCode::NOT_FOUND,
            code: "NoSuchKey",
            message: "The bucket has no such key.",
        };
        let last = if size == LARGE { Operation::CompleteMultipartUpload } else { Operation::PutObject };
        server.fault(Fault::on(last).answer(missing));
        let error = put(&store, "k", size, expect).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Precondition, Some("NoSuchKey")), "{size}: {error}");
    }
}

/// Configures a server and a client between which no condition protects an object.
fn unprotected(ignores: bool) -> (S3Server, S3Store) {
    let server = server();
    if ignores {
        server.configure(|settings| settings.conditional_writes = server::ConditionalWrites::Ignored);
        let store = store(&server);
        return (server, store);
    }
    let store = store_with(config(&server).with_conditional_writes(ConditionalWrites::Off));
    (server, store)
}

pub(super) fn last_of(size: usize) -> Operation {
    if size == LARGE { Operation::CompleteMultipartUpload } else { Operation::PutObject }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_overwrites_no_other_writers_object_where_conditions_do_nothing() {
    for (ignores, size, replaces) in
        [(true, 1000, false), (true, 1000, true), (true, LARGE, false), (true, LARGE, true), (false, 1000, true)]
    {
        for answered in [AnsweredEtag::Reset, AnsweredEtag::Failed] {
            let (server, store) = unprotected(ignores);
            let expect = if replaces {
                server.put(BUCKET, "k", "old");
                seen(&store, "k").await
            } else {
                Expect::Absent
            };
            server.fault(Fault::on(last_of(size)).answer(Answer::Overwritten { content: "theirs", answered }));
            let error = put(&store, "k", size, expect).await.unwrap_err();
            let expected = if replaces { ErrorKind::Precondition } else { ErrorKind::AlreadyExists };
            assert_eq!(error.kind(), expected, "{ignores} {size} {answered:?}: {error}");
            assert_eq!(server.object(BUCKET, "k").unwrap().bytes, "theirs", "{ignores} {size} {answered:?}");
            assert_eq!(server.requests().of(last_of(size)), 1, "it was sent again");
        }
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_repeated_only_if_it_was_not_executed() {
    for size in [1000, LARGE] {
        for (answer, sent) in [(Answer::ResetAfterPerforming, 1), (Answer::Reset, 2), (Answer::internal_error(), 2)] {
            let (server, store) = unprotected(true);
            server.put(BUCKET, "k", "old");
            let expect = seen(&store, "k").await;
            server.fault(Fault::on(last_of(size)).answer(answer.clone()));
            put(&store, "k", size, expect).await.unwrap();
            assert_eq!(server.object(BUCKET, "k").unwrap().bytes, random_bytes(size as u64, size));
            assert_eq!(server.requests().of(last_of(size)), sent, "{answer:?} {size}");
        }
    }
}

#[tokio::test]
async fn a_repeat_does_not_restore_what_another_writer_has_deleted() {
    let (server, store) = unprotected(true);
    server.put(BUCKET, "k", "old");
    let expect = seen(&store, "k").await;
    server.remove(BUCKET, "k");
    server.fault(Fault::on(Operation::PutObject).answer(Answer::internal_error()));
    assert_eq!(put(&store, "k", 1000, expect).await.unwrap_err().kind(), ErrorKind::Precondition);
    assert!(server.object(BUCKET, "k").is_none());
}

#[tokio::test]
async fn a_repeat_waits_for_a_look_that_fails_and_does_without_one_that_is_not_permitted() {
    for (look, times) in [(Answer::internal_error(), 2), (Answer::access_denied(), usize::MAX)] {
        let (server, store) = unprotected(true);
        server.fault(Fault::on(Operation::PutObject).answer(Answer::internal_error()));
        server.fault(Fault::on(Operation::HeadObject).times(times).answer(look.clone()));
        put(&store, "k", 1000, Expect::Absent).await.unwrap();
        assert_eq!(server.requests().of(Operation::PutObject), 2, "{look:?}");
    }
}

#[tokio::test]
async fn while_a_server_asks_for_fewer_requests_another_writer_may_store_the_object() {
    let too_many = Answer::Error { status: StatusCode::TOO_MANY_REQUESTS, code: "TooManyRequests" };
    for refusal in [Answer::slow_down(), too_many, Answer::request_timeout()] {
        let (server, store) = unprotected(true);
        server.fault(Fault::on(Operation::PutObject).times(2).answer(refusal.clone()));
        put(&store, "k", 1000, Expect::Absent).await.unwrap();
        assert_eq!(server.requests().of(Operation::HeadObject), 2, "{refusal:?}");

        let expect = seen(&store, "k").await;
        server.fault(Fault::on(Operation::PutObject).times(usize::MAX).answer(refusal.clone()));
        let other = async {
            while server.requests().of(Operation::PutObject) < 4 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            server.put(BUCKET, "k", "theirs");
        };
        let (written, ()) = join(put(&store, "k", 1000, expect), other).await;
        assert_eq!(written.unwrap_err().kind(), ErrorKind::Precondition, "{refusal:?}");
        assert_eq!(server.object(BUCKET, "k").unwrap().bytes, "theirs", "{refusal:?}");
    }
}
