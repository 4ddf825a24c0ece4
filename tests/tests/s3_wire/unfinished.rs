//! Unfinished multipart uploads are found under any key, and aborted once.

use pos3_core::conformance::ODD_KEYS;
use pos3_core::{DeleteKey, ErrorKind, Key, RemoteStore, Unfinished};
use pos3_tests::server::{Answer, Fault, Operation, S3Server};

use super::{BUCKET, config, server, store, store_with};

/// Returns a server that lists three uploads on a page, and has one open under each key.
fn server_with(keys: &[&str]) -> S3Server {
    let server = S3Server::builder().bucket(BUCKET).page_size(3).start().unwrap();
    for key in keys {
        server.create_upload(BUCKET, key);
    }
    server
}

fn found(uploads: &[(Key, Unfinished)]) -> Vec<&str> {
    uploads.iter().map(|(key, _)| key.as_str()).collect()
}

#[tokio::test]
async fn every_upload_is_found_over_as_many_pages_as_it_takes() {
    let mut keys = ODD_KEYS.to_vec();
    keys.extend(["same", "same", "same", "same", "same"]);
    keys.sort_unstable();
    let server = server_with(&keys);
    let store = store(&server);
    let uploads = store.unfinished("").await.unwrap();
    assert_eq!(found(&uploads), keys);
    assert!(uploads.iter().all(|(_, upload)| upload.since.is_some() && upload.state.is_empty()));
    assert_eq!(found(&store.unfinished("dir").await.unwrap()), ["dir", "dir/", "dir/x"]);
    assert_eq!(store.usage().get("ListMultipartUploads"), server.requests().of(Operation::ListMultipartUploads) as u64);

    let ids: std::collections::BTreeSet<&str> = uploads.iter().map(|(_, upload)| upload.id.as_str()).collect();
    assert_eq!(ids.len(), keys.len());
    for abandoned in store.abandon(&uploads).await {
        abandoned.unwrap();
    }
    assert_eq!(server.open_uploads(BUCKET), [""; 0]);
    for gone_already in store.abandon(&uploads).await {
        gone_already.unwrap();
    }
}

#[tokio::test]
async fn each_upload_that_cannot_be_given_up_fails_for_itself() {
    let server = server_with(&["a", "b", "c"]);
    server.fault(Fault::on(Operation::AbortMultipartUpload).key("b").always().answer(Answer::access_denied()));
    server.fault(Fault::on(Operation::AbortMultipartUpload).key("c").answer(Answer::internal_error()));
    let store = store(&server);
    let uploads = store.unfinished("").await.unwrap();
    let kinds: Vec<_> = store.abandon(&uploads).await.into_iter().map(|answer| answer.map_err(|e| e.kind())).collect();
    assert_eq!(kinds, [Ok(()), Err(ErrorKind::Denied), Ok(())]);
    assert_eq!(server.open_uploads(BUCKET), ["b"]);
}

#[tokio::test]
async fn a_list_of_uploads_that_breaks_is_an_error() {
    let server = server_with(&["a", "b", "c", "d"]);
    server.fault(Fault::on(Operation::ListMultipartUploads).nth(2).always().answer(Answer::CutBody { after: 100 }));
    let error = store_with(config(&server).with_attempts(2)).unfinished("").await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    server.clear_faults();
    server.fault(Fault::on(Operation::ListMultipartUploads).nth(2).answer(Answer::CutBody { after: 100 }));
    assert_eq!(store(&server).unfinished("").await.unwrap().len(), 4);
}

#[tokio::test]
async fn an_upload_is_aborted_only_if_the_server_has_aborted_it() {
    let denied = Answer::ErrorInOk { code: "AccessDenied" };
    for (answer, times, is_aborted) in [
        (Answer::internal_error(), 1, true),
        (Answer::Reset, 1, true),
        (Answer::ResetAfterPerforming, 1, true),
        (Answer::Empty, 1, true),
        (Answer::ErrorInOk { code: "InternalError" }, 1, true),
        (denied, usize::MAX, false),
        (Answer::WebPage, usize::MAX, false),
        (Answer::internal_error(), usize::MAX, false),
    ] {
        let server = server_with(&["a"]);
        server.fault(Fault::on(Operation::AbortMultipartUpload).times(times).answer(answer.clone()));
        let store = store_with(config(&server).with_attempts(2));
        let uploads = store.unfinished("").await.unwrap();
        let aborted = store.abandon(&uploads).await.remove(0);
        assert_eq!((aborted.is_ok(), server.open_uploads(BUCKET).is_empty()), (is_aborted, is_aborted), "{answer:?}");
    }
}

#[tokio::test]
async fn a_list_of_uploads_that_does_not_state_whether_it_has_more_pages_is_no_evidence_of_an_abort() {
    let server = server_with(&["a"]);
    let store = store_with(config(&server).with_attempts(2));
    let uploads = store.unfinished("").await.unwrap();
    let body = "<ListMultipartUploadsResult><NextKeyMarker>a</NextKeyMarker></ListMultipartUploadsResult>";
    let unstated = Answer::Page { status: http::StatusCode::OK, body };
    server.fault(Fault::on(Operation::ListMultipartUploads).always().answer(unstated));
    server.fault(Fault::on(Operation::AbortMultipartUpload).always().answer(Answer::WebPage));
    assert!(store.abandon(&uploads).await.remove(0).is_err());
    let error = store.unfinished("").await.unwrap_err();
    assert!(error.to_string().contains("does not state whether it has more pages"), "{error}");
    assert_eq!(server.open_uploads(BUCKET), ["a"]);
}

#[tokio::test]
async fn a_success_that_is_not_from_s3_deletes_nothing() {
    // A batch cannot contain this key, so it has a request of its own.
    let key = "bell\u{7}";
    for answer in [Answer::WebPage, Answer::ErrorInOk { code: "AccessDenied" }] {
        let server = server();
        server.put(BUCKET, key, "1");
        server.fault(Fault::on(Operation::DeleteObject).always().answer(answer.clone()));
        let deleted = store(&server).delete(&[DeleteKey::new(Key::from(key))]).await.remove(0);
        assert!(deleted.is_err() && server.object(BUCKET, key).is_some(), "{answer:?}: {deleted:?}");
    }
}

#[tokio::test]
async fn a_404_that_is_not_from_s3_aborts_no_upload() {
    for body in ["", "<html>no such page</html>"] {
        let server = server_with(&["a"]);
        let page = Answer::Page { status: http::StatusCode::NOT_FOUND, body };
        server.fault(Fault::on(Operation::AbortMultipartUpload).always().answer(page));
        let store = store_with(config(&server).with_attempts(2));
        let uploads = store.unfinished("").await.unwrap();
        assert!(store.abandon(&uploads).await.remove(0).is_err(), "{body}");
        server.clear_faults();
        store.abandon(&uploads).await.remove(0).unwrap();
        assert_eq!(server.open_uploads(BUCKET), [""; 0]);
    }
}

#[tokio::test]
async fn an_upload_that_a_server_denies_is_aborted_only_if_no_listing_has_it() {
    let status = http::StatusCode::NOT_FOUND;
    for code in ["NoSuchUpload", "NoSuchKey"] {
        let server = server_with(&["a", "ab"]);
        let store = store(&server);
        let uploads = store.unfinished("").await.unwrap();
        server
            .fault(Fault::on(Operation::AbortMultipartUpload).key("a").always().answer(Answer::Error { status, code }));
        let denied = store.abandon(&uploads[..1]).await.remove(0).unwrap_err();
        assert_eq!((denied.code(), server.open_uploads(BUCKET).len()), (Some(code), 2), "{denied}");

        server.clear_faults();
        store.abandon(&uploads[..1]).await.remove(0).unwrap();
        server
            .fault(Fault::on(Operation::AbortMultipartUpload).key("a").always().answer(Answer::Error { status, code }));
        store.abandon(&uploads[..1]).await.remove(0).unwrap();

        // Without a listing, only the right code is evidence.
        server.fault(Fault::on(Operation::ListMultipartUploads).always().answer(Answer::access_denied()));
        let unlisted = store.abandon(&uploads[..1]).await.remove(0);
        assert_eq!(unlisted.is_ok(), code == "NoSuchUpload", "{unlisted:?}");
    }
}
