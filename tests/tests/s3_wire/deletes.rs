//! Deletes in batches, and the responses to them.

use http::StatusCode;
use pos3_core::{DeleteKey, ErrorKind, Key, RemoteStore, RemoteStoreExt};
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, config, server, store, store_with};

fn keys(count: usize) -> Vec<Key> {
    (0..count).map(|index| Key::from(format!("k{index}"))).collect()
}

#[tokio::test]
async fn a_thousand_keys_are_one_request() {
    let server = server();
    let keys = keys(2500);
    for key in &keys {
        server.put(BUCKET, key.as_str(), "");
    }
    server.put(BUCKET, "kept", "");
    let store = store(&server);
    let answers = store.remove_all(&keys).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2500);
    assert_eq!(server.requests().of(Operation::DeleteObjects), 3);
    assert_eq!(store.usage().to_string(), "3 DeleteObjects");
    assert_eq!(server.keys(BUCKET), ["kept"]);
    assert_eq!(store.remove_all(&[]).await.len(), 0);
    assert_eq!(server.requests().total(), 3);
}

#[tokio::test]
async fn no_text_in_a_key_is_taken_for_an_error() {
    let server = server();
    let keys = ["logs/SlowDown-report.txt", "InternalError", "<Error><Code>SlowDown</Code>"].map(Key::from);
    for key in &keys {
        server.put(BUCKET, key.as_str(), "");
    }
    assert!(store(&server).remove_all(&keys).await.iter().all(Result::is_ok));
    assert_eq!((server.requests().total(), server.keys(BUCKET)), (1, vec![]));
}

#[tokio::test]
async fn a_request_that_fails_answers_for_every_key() {
    let server = server();
    server.fault(Fault::on(Operation::DeleteObjects).nth(2).answer(Answer::access_denied()));
    let store = store(&server);
    let first = store.remove_all(&keys(2)).await;
    assert!(first.iter().all(Result::is_ok));
    let second = store.remove_all(&keys(2)).await;
    for (answer, key) in second.into_iter().zip(keys(2)) {
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::Denied, Some(&key)));
    }
}

#[tokio::test]
async fn an_empty_key_reaches_nothing() {
    let server = server();
    let store = store(&server);
    let answers = store.remove_all(&["", "k"].map(Key::from)).await;
    assert_eq!(answers[0].as_ref().unwrap_err().kind(), ErrorKind::InvalidKey);
    assert!(answers[1].is_ok());
    assert_eq!(store.head(&Key::from("")).await.unwrap_err().kind(), ErrorKind::InvalidKey);
    assert_eq!(server.requests().total(), 1);
}

#[tokio::test]
async fn a_key_that_no_xml_can_hold_has_a_request_of_its_own() {
    let server = server();
    let keys = ["a", "bell\u{7}", "line\nbreak"].map(Key::from);
    for key in &keys {
        server.put(BUCKET, key.as_str(), "");
    }
    let store = store(&server);
    assert!(store.remove_all(&keys).await.iter().all(Result::is_ok));
    assert_eq!(server.keys(BUCKET), [""; 0]);
    assert_eq!(store.usage().to_string(), "1 DeleteObject, 1 DeleteObjects");
}

#[tokio::test]
async fn trouble_for_a_moment_is_overcome() {
    for answer in [Answer::slow_down(), Answer::Reset, Answer::ResetAfterPerforming, Answer::CutBody { after: 30 }] {
        let server = server();
        server.put(BUCKET, "k0", "");
        server.fault(Fault::on(Operation::DeleteObjects).answer(answer.clone()));
        assert!(store(&server).remove_all(&keys(3)).await.iter().all(Result::is_ok), "{answer:?}");
        assert_eq!((server.keys(BUCKET), server.requests().total()), (vec![], 2), "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_without_batches_is_asked_key_by_key() {
    let server = server();
    for key in keys(3) {
        server.put(BUCKET, key.as_str(), "");
    }
    let answer = Answer::Error { status: http::StatusCode::NOT_IMPLEMENTED, code: "NotImplemented" };
    server.fault(Fault::on(Operation::DeleteObjects).always().answer(answer));
    let store = store_with(config(&server));
    let mut all = keys(3);
    all.push(Key::from("a/.."));
    let answers = store.remove_all(&all).await;
    assert!(answers[..3].iter().all(Result::is_ok));
    assert_eq!(answers[3].as_ref().unwrap_err().kind(), ErrorKind::InvalidKey);
    assert!(store.remove_all(&keys(3)).await.iter().all(Result::is_ok), "what is gone is deleted");
    assert_eq!(store.usage().to_string(), "6 DeleteObject, 1 DeleteObjects");
}

/// The ways in which a whole request is refused with 404.
fn not_found() -> Vec<Answer> {
    let status = StatusCode::NOT_FOUND;
    let mut answers = ["", "<html>no such page</html>"].map(|body| Answer::Page { status, body }).to_vec();
    answers.extend(["NoSuchKey", "NotFound", "NoSuchBucket"].map(|code| Answer::Error { status, code }));
    answers
}

#[tokio::test]
async fn a_whole_request_that_is_answered_404_deletes_nothing() {
    for answer in not_found() {
        for is_conditional in [true, false] {
            let server = server();
            server.put(BUCKET, "k0", "");
            server.put(BUCKET, "k1", "");
            server.fault(Fault::on(Operation::DeleteObjects).always().answer(answer.clone()));
            let store = store_with(config(&server).with_attempts(2));
            let mut asked: Vec<DeleteKey> = keys(2).into_iter().map(DeleteKey::new).collect();
            if is_conditional {
                let entries = store.list_all("").await.unwrap();
                asked = entries.iter().map(|entry| DeleteKey::new(entry.key.clone()).unless_changed(entry)).collect();
            }
            assert!(store.delete(&asked).await.iter().all(Result::is_err), "{answer:?} {is_conditional}");
            assert_eq!(server.keys(BUCKET), ["k0", "k1"]);
        }
    }
}

#[tokio::test]
async fn a_404_that_comes_once_and_not_from_s3_is_overcome() {
    for answer in not_found().into_iter().take(2) {
        let server = server();
        server.put(BUCKET, "k0", "");
        server.fault(Fault::on(Operation::DeleteObjects).answer(answer.clone()));
        assert!(store(&server).remove_all(&keys(1)).await.iter().all(Result::is_ok), "{answer:?}");
        assert_eq!(server.keys(BUCKET), [""; 0]);
    }
}

#[tokio::test]
async fn a_404_to_a_single_delete_is_a_success_only_if_the_object_is_gone() {
    for answer in not_found().into_iter().take(4) {
        for is_there in [true, false] {
            let server = server();
            let key = Key::from("bell\u{7}");
            if is_there {
                server.put(BUCKET, key.as_str(), "");
            }
            server.fault(Fault::on(Operation::DeleteObject).always().answer(answer.clone()));
            let store = store_with(config(&server).with_attempts(2));
            let deleted = store.remove_all(std::slice::from_ref(&key)).await.remove(0);
            assert_eq!(deleted.is_err(), is_there, "{answer:?} {deleted:?}");
            assert_eq!(server.object(BUCKET, key.as_str()).is_some(), is_there);

            server.clear_faults();
            server.fault(Fault::on(Operation::DeleteObject).answer(answer.clone()));
            store.remove_all(&[key]).await.remove(0).unwrap();
            assert_eq!(server.keys(BUCKET), [""; 0], "{answer:?}");
        }
    }
}

/// Returns the document in which the server reports this error for both keys of [`keys`].
fn refused_keys(code: &str) -> &'static str {
    let refused = |key: Key| format!("<Error><Key>{key}</Key><Code>{code}</Code><Message>no</Message></Error>");
    let errors: String = keys(2).into_iter().map(refused).collect();
    Box::leak(format!("<DeleteResult>{errors}</DeleteResult>").into_boxed_str())
}

#[tokio::test]
async fn a_key_that_a_batch_reports_as_missing_is_deleted_only_if_the_object_is_gone() {
    for code in ["NoSuchKey", "NoSuchVersion", "NoSuchUpload", "NoSuchBucket", "NotFound", "MethodNotAllowed", ""] {
        for is_conditional in [true, false] {
            let answer = Answer::Page { status: StatusCode::OK, body: refused_keys(code) };
            let server = server();
            server.put(BUCKET, "k0", "");
            server.put(BUCKET, "k1", "");
            server.fault(Fault::on(Operation::DeleteObjects).always().answer(answer));
            let store = store_with(config(&server).with_attempts(2));
            let mut asked: Vec<DeleteKey> = keys(2).into_iter().map(DeleteKey::new).collect();
            if is_conditional {
                let entries = store.list_all("").await.unwrap();
                asked = entries.iter().map(|entry| DeleteKey::new(entry.key.clone()).unless_changed(entry)).collect();
            }
            let answers = store.delete(&asked).await;
            assert!(answers.iter().all(Result::is_err), "{code:?} {is_conditional} {answers:?}");
            assert_eq!(server.keys(BUCKET), ["k0", "k1"]);
        }
    }
}

#[tokio::test]
async fn a_key_that_a_batch_reports_as_missing_and_that_is_gone_is_deleted() {
    for code in ["NoSuchKey", "NoSuchVersion"] {
        let server = server();
        server.put(BUCKET, "k0", "");
        let answer = Answer::Page { status: StatusCode::OK, body: refused_keys(code) };
        server.fault(Fault::on(Operation::DeleteObjects).answer(answer));
        let store = store(&server);
        assert!(store.remove_all(&keys(2)).await.iter().all(Result::is_ok), "{code}");
        assert_eq!(server.keys(BUCKET), [""; 0], "the object that is there is deleted by a second request");
        let requests = server.requests();
        assert_eq!((requests.of(Operation::DeleteObjects), requests.of(Operation::HeadObject)), (2, 2), "{code}");
    }
}

#[tokio::test]
async fn a_key_with_contradicting_results_is_not_treated_as_deleted() {
    for results in [
        "<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code></Error><Deleted><Key>k</Key></Deleted></DeleteResult>",
        "<DeleteResult><Deleted><Key>k</Key></Deleted><Error><Code>InternalError</Code></Error></DeleteResult>",
        "<DeleteResult><Deleted><Key>k</Key><Code>AccessDenied</Code></Deleted></DeleteResult>",
    ] {
        let server = server();
        server.put(BUCKET, "k", "content");
        let page = Answer::Page { status: StatusCode::OK, body: results };
        server.fault(Fault::on(Operation::DeleteObjects).always().answer(page));
        let store = store_with(config(&server).with_attempts(2));
        let deleted = store.delete(&[DeleteKey::new(Key::from("k"))]).await.remove(0);
        assert_eq!(deleted.unwrap_err().kind(), ErrorKind::Integrity, "{results}");
    }
}
