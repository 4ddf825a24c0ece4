//! Success responses that are not from S3, to every request that changes something: none of them is a success.

use futures::future::join_all;
use http::StatusCode;
use pos3_core::{Content, DeleteKey, ErrorKind, Expect, Key, PutOptions, RemoteStore, Result};
use pos3_s3::{S3Store, WEB_PAGE};
use pos3_tests::server::{Answer, Fault, Operation, S3Server};

use super::{BUCKET, config, random_bytes, server, store_with};

/// The size of an object of two parts.
const LARGE: usize = 6 << 20;

/// A key that a batch cannot contain, so it is deleted by a request of its own.
const ODD: &str = "bell\u{7}";

/// A response, and whether it is recognized as a web page.
struct Form {
    status: u16,
    media_type: &'static str,
    body: &'static str,
    is_web_page: bool,
}

const fn form(status: u16, media_type: &'static str, body: &'static str, is_web_page: bool) -> Form {
    Form { status, media_type, body, is_web_page }
}

const FORMS: [Form; 15] = [
    form(200, "", "<html><body>sign in</body></html>", true),
    form(200, "text/html", "<!DOCTYPE html><p>sign in<br>", true),
    form(200, "", "<!-- proxy --><html><body>sign in</body></html>", true),
    form(200, "", "<?xml version=\"1.0\"?><!DOCTYPE html><html xmlns=\"http://www.w3.org/1999/xhtml\"></html>", true),
    form(200, "", "\u{feff}<html></html>", true),
    form(200, "", "<head><title>sign in</title></head>", true),
    form(200, "text/html", "sign in", true),
    form(200, "text/plain", "sign in", false),
    form(200, "", "OK", false),
    form(200, "application/json", "{\"message\": \"sign in\"}", false),
    form(200, "application/xml", "<?xml version=\"1.0\"?><Error><Code>AccessDen", false),
    form(202, "", "", false),
    form(202, "text/plain", "accepted", false),
    form(204, "text/html", "", false),
    form(200, "text/html", "", false),
];

const OPERATIONS: [Operation; 9] = [
    Operation::DeleteObject,
    Operation::DeleteObjects,
    Operation::AbortMultipartUpload,
    Operation::PutObject,
    Operation::CreateMultipartUpload,
    Operation::UploadPart,
    Operation::CompleteMultipartUpload,
    Operation::CopyObject,
    Operation::UploadPartCopy,
];

fn stage() -> (S3Server, S3Store) {
    let server = server();
    server.put(BUCKET, "k", "old");
    server.put(BUCKET, ODD, "old");
    server.put(BUCKET, "source", random_bytes(1, 1000));
    server.put(BUCKET, "large", random_bytes(2, LARGE));
    server.create_upload(BUCKET, "upload");
    let config = config(&server).with_attempts(2).with_multipart_threshold(5 << 20).with_part_size(5 << 20);
    let store = store_with(config.with_copy_limit(5 << 20));
    (server, store)
}

async fn delete(store: &S3Store, key: &str) -> Result<()> {
    store.delete(&[DeleteKey::new(Key::from(key))]).await.remove(0)
}

async fn put(store: &S3Store, content: Content) -> Result<()> {
    let options = PutOptions::default().with_expect(Expect::Absent);
    store.put(&Key::from("new"), content, options).await.map(drop)
}

async fn copy(store: &S3Store, from: &str) -> Result<()> {
    store.copy(&Key::from(from), &Key::from("new")).await.map(drop)
}

/// Does something that sends this request.
async fn used(store: &S3Store, operation: Operation) -> Result<()> {
    match operation {
        Operation::DeleteObject => delete(store, ODD).await,
        Operation::DeleteObjects => delete(store, "k").await,
        Operation::AbortMultipartUpload => {
            let uploads = store.unfinished("upload").await.unwrap();
            store.abandon(&uploads).await.remove(0)
        }
        Operation::PutObject => put(store, random_bytes(1, 1000).into()).await,
        Operation::CopyObject => copy(store, "source").await,
        Operation::UploadPartCopy => copy(store, "large").await,
        _ => put(store, random_bytes(2, LARGE).into()).await,
    }
}

/// Returns true if the server has done what the request is for.
fn is_done(server: &S3Server, operation: Operation) -> bool {
    let content = |key: &str| server.object(BUCKET, key).map(|object| object.bytes);
    match operation {
        Operation::DeleteObject => content(ODD).is_none(),
        Operation::DeleteObjects => content("k").is_none(),
        Operation::AbortMultipartUpload => server.open_uploads(BUCKET).is_empty(),
        Operation::PutObject | Operation::CopyObject => content("new") == content("source"),
        _ => content("new") == content("large"),
    }
}

async fn assert_is_no_success(operation: Operation, form: &Form, performs: bool) {
    let Form { status, media_type, body, .. } = *form;
    let case = format!("{operation} {status} {media_type} {body} {performs}");
    let (server, store) = stage();
    let status = StatusCode::from_u16(status).unwrap();
    let fault = Fault::on(operation);
    let fault = if performs { fault } else { fault.always() };
    server.fault(fault.answer(Answer::Foreign { status, media_type, body, performs }));
    let used = used(&store, operation).await;
    assert_eq!(server.faults_waiting(), 0, "{case}");
    let is_done = is_done(&server, operation);
    let Err(error) = used else { return assert!(is_done, "{case}: a false success") };
    assert!(performs || !is_done, "{case}: {error}");
    // A lookup shows that a single delete was executed.
    assert!(
        !is_done || !matches!(operation, Operation::DeleteObject | Operation::AbortMultipartUpload),
        "{case}: {error}"
    );
    assert_eq!(error.code() == Some(WEB_PAGE), form.is_web_page, "{case}: {error}");
    if form.is_web_page {
        assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Integrity, false), "{case}: {error}");
        assert!(error.to_string().contains("a web page instead of an S3 response"), "{case}: {error}");
    }
}

#[tokio::test]
async fn a_success_that_is_not_from_s3_is_none_whatever_its_form() {
    let cases = OPERATIONS.map(|operation| async move {
        for form in &FORMS {
            for performs in [false, true] {
                assert_is_no_success(operation, form, performs).await;
            }
        }
    });
    join_all(cases).await;
}

#[tokio::test]
async fn a_body_in_the_response_to_a_write_identifies_no_object() {
    let (server, store) = stage();
    let body = "{\"message\": \"sign in\"}";
    let foreign = Answer::Foreign { status: StatusCode::OK, media_type: "application/json", body, performs: true };
    server.fault(Fault::on(Operation::PutObject).answer(foreign));
    let stored = store.put(&Key::from("new"), random_bytes(1, 1000).into(), PutOptions::default()).await.unwrap();
    let found = store.head(&Key::from("new")).await.unwrap();
    assert_eq!(stored.entry.fingerprint, found.fingerprint, "not that of the response");
    assert!(is_done(&server, Operation::PutObject));
}
