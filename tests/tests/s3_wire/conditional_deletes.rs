//! Objects that another client writes during a delete are kept, whether or not the server supports conditions.

use std::time::Duration;

use pos3_core::{DeleteKey, Entry, ErrorKind, Key, RemoteStore, RemoteStoreExt, Result};
use pos3_s3::S3Store;
use pos3_tests::server::{Answer, ConditionalDeletes, Fault, Operation, S3Server};

use super::{BUCKET, config, server, store, store_with};

const HABITS: [ConditionalDeletes; 5] = [
    ConditionalDeletes::Obeyed,
    ConditionalDeletes::Ignored,
    ConditionalDeletes::Refused,
    ConditionalDeletes::Denied,
    ConditionalDeletes::Misjudged,
];

fn server_with(habit: ConditionalDeletes, keys: &[&str]) -> S3Server {
    let server = server();
    server.configure(|settings| settings.conditional_deletes = habit);
    for key in keys {
        server.put(BUCKET, key, "first");
    }
    server
}

async fn seen(store: &S3Store) -> Vec<DeleteKey> {
    let entries: Vec<Entry> = store.list_all("").await.unwrap();
    entries.iter().map(|entry| DeleteKey::new(entry.key.clone()).unless_changed(entry)).collect()
}

fn kinds(answers: Vec<Result<()>>) -> Vec<Result<(), ErrorKind>> {
    answers.into_iter().map(|answer| answer.map_err(|error| error.kind())).collect()
}

fn later(server: &S3Server, key: &str) {
    let modified = server.object(BUCKET, key).unwrap().modified + Duration::from_secs(5);
    server.set_modified(BUCKET, key, modified);
}

#[tokio::test]
async fn an_object_that_was_replaced_since_it_was_seen_is_not_deleted() {
    for habit in HABITS {
        for has_batches in [true, false] {
            let server = server_with(habit, &["a", "gone", "other", "same"]);
            if !has_batches {
                let answer = Answer::Error { status: http::StatusCode::NOT_IMPLEMENTED, code: "NotImplemented" };
                server.fault(Fault::on(Operation::DeleteObjects).always().answer(answer));
            }
            let store = store(&server);
            let keys = seen(&store).await;
            server.put(BUCKET, "other", "their");
            server.remove(BUCKET, "gone");
            later(&server, "same");
            let answers = kinds(store.delete(&keys).await);
            let changed = Err(ErrorKind::Precondition);
            assert_eq!(answers, [Ok(()), Ok(()), changed, changed], "{habit:?} {has_batches}");
            assert_eq!(server.keys(BUCKET), ["other", "same"], "{habit:?} {has_batches}");
        }
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_after_the_last_look_is_kept_by_its_etag() {
    for (key, operation) in [("k", Operation::DeleteObjects), ("bell\u{7}", Operation::DeleteObject)] {
        let server = server_with(ConditionalDeletes::Obeyed, &[key]);
        let store = store(&server);
        let keys = seen(&store).await;
        server.fault(Fault::on(operation).answer(Answer::Overtaken { key, content: "theirs" }));
        assert_eq!(kinds(store.delete(&keys).await), [Err(ErrorKind::Precondition)], "{key:?}");
        assert_eq!(server.object(BUCKET, key).unwrap().bytes, "theirs");
        assert_eq!(server.faults_waiting(), 0);
    }
}

#[tokio::test]
async fn every_repeated_delete_is_preceded_by_a_new_look() {
    for answer in [Answer::slow_down(), Answer::Reset] {
        let server = server_with(ConditionalDeletes::Ignored, &["k"]);
        let store = store(&server);
        let keys = seen(&store).await;
        server.fault(Fault::on(Operation::DeleteObjects).answer(answer));
        // The first listing is the look before the first request.
        server.fault(
            Fault::on(Operation::ListObjectsV2).nth(2).answer(Answer::Overtaken { key: "k", content: "theirs" }),
        );
        assert_eq!(kinds(store.delete(&keys).await), [Err(ErrorKind::Precondition)]);
        assert_eq!(server.object(BUCKET, "k").unwrap().bytes, "theirs");
    }
}

#[tokio::test]
async fn a_look_at_a_thousand_objects_is_one_request() {
    let names: Vec<String> = (0..3000).map(|number| format!("d/{number:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = server_with(ConditionalDeletes::Ignored, &names);
    let store = store(&server);
    let keys = seen(&store).await;
    server.reset_requests();
    assert!(store.delete(&keys[..2000]).await.iter().all(Result::is_ok));
    assert_eq!(server.keys(BUCKET).len(), 1000);
    let counts = server.requests();
    assert_eq!((counts.of(Operation::DeleteObjects), counts.of(Operation::ListObjectsV2), counts.total()), (2, 2, 4));

    // Few among many: a page finds too few of them, and the others are looked up.
    server.reset_requests();
    let few: Vec<DeleteKey> = keys[2000..].iter().step_by(100).cloned().collect();
    assert!(store.delete(&few).await.iter().all(Result::is_ok));
    let counts = server.requests();
    assert_eq!((counts.of(Operation::ListObjectsV2), counts.of(Operation::HeadObject)), (10, 9));
    assert_eq!(server.keys(BUCKET).len(), 990);
}

#[tokio::test]
async fn whoever_may_only_list_and_delete_or_not_list_can_delete() {
    for (operation, order) in [(Operation::HeadObject, 1), (Operation::ListObjectsV2, 2)] {
        let server = server_with(ConditionalDeletes::Denied, &["d/a", "d/b", "d/c", "e/far"]);
        server.put(BUCKET, "d/between", "");
        let store = store(&server);
        let mut keys = seen(&store).await;
        keys.retain(|asked| asked.key != Key::from("d/between"));
        server.fault(Fault::on(operation).nth(1).always().answer(Answer::access_denied()));
        server.put(BUCKET, "d/b", "theirs");
        let answers = kinds(store.delete(&keys).await);
        assert_eq!(answers, [Ok(()), Err(ErrorKind::Precondition), Ok(()), Ok(())], "{order}");
        assert_eq!(server.keys(BUCKET), ["d/b", "d/between"], "{order}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_etags_in_deletes_is_asked_with_them_once() {
    let server = server_with(ConditionalDeletes::Refused, &["a", "b"]);
    let store = store_with(config(&server));
    let keys = seen(&store).await;
    server.reset_requests();
    for key in keys {
        assert_eq!(kinds(store.delete(&[key]).await), [Ok(())]);
    }
    let counts = server.requests();
    assert_eq!((counts.of(Operation::DeleteObjects), counts.of(Operation::DeleteObject)), (3, 0));
}

/// After the server has obeyed such a condition, a refusal is believed rather than a lookup, which may return an old
/// state.
#[tokio::test]
async fn a_delete_that_a_server_with_conditions_refuses_again_and_again_is_not_sent_without_its_condition() {
    for bell in ["", "bell\u{7}"] {
        let (first, kept, other) = (format!("a{bell}"), format!("b{bell}"), format!("c{bell}"));
        let server = server_with(ConditionalDeletes::Obeyed, &[&first, &kept, &other]);
        let store = store(&server);
        let keys = seen(&store).await;
        assert_eq!(kinds(store.delete(&keys[..1]).await), [Ok(())]);
        server.configure(|settings| settings.conditional_deletes = ConditionalDeletes::Misjudged);
        assert_eq!(kinds(store.delete(&keys[1..2]).await), [Err(ErrorKind::Precondition)], "{bell:?}");
        assert_eq!(server.keys(BUCKET), [kept.clone(), other.clone()], "{bell:?}");
        server.configure(|settings| settings.conditional_deletes = ConditionalDeletes::Obeyed);
        assert_eq!(kinds(store.delete(&keys[1..]).await), [Ok(()), Ok(())], "{bell:?}");
    }
}
