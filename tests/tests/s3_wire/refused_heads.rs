//! A refused HEAD has no body. A GET shows why the server refused it, and the client acts on that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use http::StatusCode;
use pos3_core::{ErrorKind, Key, RemoteStore};
use pos3_s3::{AwsCredential, CredentialProvider, Credentials, RenewableCredentials, S3Store};
use pos3_tests::server::{Answer, Fault, Operation, S3Server};

use super::{BUCKET, config, server, store, store_with, told};

fn refused(status: StatusCode, code: &'static str) -> Answer {
    Answer::Error { status, code }
}

/// Makes the server refuse this number of HEAD requests, and as many GET requests, with this answer.
fn refuse(server: &S3Server, times: usize, answer: &Answer) {
    for operation in [Operation::HeadObject, Operation::GetObject] {
        server.fault(Fault::on(operation).times(times).answer(answer.clone()));
    }
}

fn asked(server: &S3Server) -> (usize, usize, usize) {
    let counts = server.requests();
    (counts.of(Operation::HeadObject), counts.of(Operation::GetObject), counts.total())
}

/// Credentials whose source has others each time that it is asked.
#[derive(Debug)]
struct Source {
    credential: Arc<AwsCredential>,
    renewed: AtomicUsize,
}

#[async_trait]
impl CredentialProvider for Source {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Ok(self.credential.clone())
    }
}

#[async_trait]
impl RenewableCredentials for Source {
    async fn renew(&self, _signed: Instant) -> bool {
        self.renewed.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn place(&self) -> Option<String> {
        Some("a file".to_owned())
    }
}

fn renewing(server: &S3Server) -> (S3Store, Arc<Source>) {
    let (key_id, secret_key) = (server.access_key().to_owned(), server.secret_key().to_owned());
    let credential = Arc::new(AwsCredential { key_id, secret_key, token: None });
    let source = Arc::new(Source { credential, renewed: AtomicUsize::new(0) });
    (store_with(config(server).with_credentials(Credentials::Renewable(source.clone()))), source)
}

#[tokio::test]
async fn the_error_of_a_refused_head_has_the_code_of_the_server() {
    for (status, code, kind, text) in [
        (403, "AccessDenied", ErrorKind::Denied, "access denied: http 403 AccessDenied"),
        (403, "InvalidAccessKeyId", ErrorKind::Unauthenticated, "the server does not know this access key"),
        (403, "SignatureDoesNotMatch", ErrorKind::Unauthenticated, "the secret key does not match the access key"),
        (403, "ExpiredToken", ErrorKind::Unauthenticated, "the credentials have expired"),
        (400, "ExpiredToken", ErrorKind::Unauthenticated, "the credentials have expired"),
        (400, "InvalidToken", ErrorKind::Unauthenticated, "the session token is not valid"),
    ] {
        let server = server();
        server.put(BUCKET, "k", "x");
        refuse(&server, usize::MAX, &refused(StatusCode::from_u16(status).unwrap(), code));
        let error = store(&server).head(&Key::from("k")).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(code)), "{status} {code}");
        assert!(told(&error).contains(text), "{status} {code}: {}", told(&error));
        assert_eq!(asked(&server), (1, 1, 2), "{status} {code}");
    }
}

#[tokio::test]
async fn expired_credentials_are_renewed_after_a_refused_head() {
    for status in [StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN] {
        let server = server();
        server.put(BUCKET, "k", "content");
        refuse(&server, 1, &refused(status, "ExpiredToken"));
        let (store, source) = renewing(&server);
        assert_eq!(store.head(&Key::from("k")).await.unwrap().size, 7);
        assert_eq!((asked(&server), source.renewed.load(Ordering::Relaxed)), ((2, 1, 3), 1), "{status}");

        // If the renewed ones have expired too, the error states it.
        refuse(&server, usize::MAX, &refused(status, "ExpiredToken"));
        let error = store.head(&Key::from("k")).await.unwrap_err();
        assert!(told(&error).contains("the credentials have expired; they came from a file"), "{}", told(&error));
        assert!(error.is_temporary(), "{status}: the server has answered before");
        assert_eq!(source.renewed.load(Ordering::Relaxed), 2, "{status}: once for each lookup");
    }
}

#[tokio::test]
async fn a_head_whose_refusal_has_no_reason_is_sent_once_more() {
    for (present, times) in [(true, 1), (true, usize::MAX), (false, usize::MAX)] {
        let server = server();
        if present {
            server.put(BUCKET, "k", "");
        }
        server.fault(Fault::on(Operation::HeadObject).times(times).answer(Answer::access_denied()));
        let found = store(&server).head(&Key::from("k")).await;
        if times == 1 {
            // Another request may have renewed the credentials meanwhile.
            assert_eq!((found.unwrap().size, asked(&server)), (0, (2, 1, 3)));
        } else {
            let error = found.unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, None), "{present}");
            assert_eq!(asked(&server), (2, 2, 4), "{present}");
        }
    }
}

#[tokio::test]
async fn the_refusal_of_an_archived_object_does_not_explain_a_refused_head() {
    let server = server();
    server.put(BUCKET, "k", "x");
    server.fault(Fault::on(Operation::HeadObject).always().answer(Answer::access_denied()));
    let archived = refused(StatusCode::FORBIDDEN, "InvalidObjectState");
    server.fault(Fault::on(Operation::GetObject).always().answer(archived));
    let error = store(&server).head(&Key::from("k")).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Denied, None), "{}", told(&error));
}

#[tokio::test]
async fn a_head_is_repeated_if_its_reason_cannot_be_learned_yet() {
    let server = server();
    server.put(BUCKET, "k", "content");
    server.fault(Fault::on(Operation::HeadObject).answer(refused(StatusCode::FORBIDDEN, "ExpiredToken")));
    server.fault(Fault::on(Operation::GetObject).answer(Answer::internal_error()));
    assert_eq!(store(&server).head(&Key::from("k")).await.unwrap().size, 7);
    assert_eq!(asked(&server), (2, 1, 3));
}
