//! The messages for invalid configurations.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use pos3_core::{ErrorKind, Key, ListOptions, RemoteStore, RemoteStoreExt};
use pos3_s3::{Credentials, S3Client, S3Config};
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, config, server, store, store_with, told};

#[tokio::test]
async fn a_wrong_secret_is_named() {
    let server = server();
    let store =
        store_with(config(&server).with_credentials(Credentials::fixed(server.access_key(), "wrong-secret", None)));
    let error = store.list_all("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let text = told(&error);
    assert!(text.starts_with("cannot list: the secret key does not match the access key: http 403"), "{text}");
    assert!(!text.contains("wrong-secret") && !format!("{store:?}").contains("wrong-secret"));
    assert_eq!(server.requests().total(), 1, "it is not tried again");
}

#[tokio::test]
async fn an_unknown_access_key_is_named() {
    let server = server();
    let store = store_with(config(&server).with_credentials(Credentials::fixed("nobody", "secret", None)));
    let text = told(&store.list_all("").await.unwrap_err());
    assert!(text.starts_with("cannot list: "), "{text}");
}

#[tokio::test]
async fn nobody_is_denied() {
    let server = server();
    let store = store_with(config(&server).with_credentials(Credentials::Anonymous));
    let error = store.list_all("").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let server = server();
    let store = S3Client::new(config(&server)).unwrap().bucket("no-such").unwrap();
    let error = store.list("p/", ListOptions::default()).try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = told(&error);
    assert!(text.starts_with("cannot list 'p/': bucket 'no-such' does not exist: http 404 NoSuchBucket"), "{text}");
    let text = told(&store.write(&Key::from("k"), "x".into()).await.unwrap_err());
    assert!(text.starts_with("cannot write 'k': bucket 'no-such' does not exist"), "{text}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named_and_not_tried_again() {
    let server = server();
    let answer = Answer::Error { status: http::StatusCode::FORBIDDEN, code: "RequestTimeTooSkewed" };
    server.fault(Fault::on(Operation::ListObjectsV2).always().answer(answer));
    let text = told(&store(&server).list_all("").await.unwrap_err());
    assert!(text.contains("this machine's clock differs too much from the server's"), "{text}");
    assert_eq!(server.requests().total(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // Nobody listens on a port that is reserved for a service that has gone.
    let config = S3Config::new()
        .with_endpoint("http://127.0.0.1:1")
        .with_attempts(2)
        .with_longest_pause(Duration::from_millis(10));
    let error = store_with(config).head(&Key::from("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(told(&error).contains("refused"), "{}", told(&error));
}

#[tokio::test]
async fn an_overloaded_server_slows_all_requests_of_a_client() {
    let server = server();
    server.fault(Fault::on(Operation::PutObject).times(20).answer(Answer::slow_down()));
    let store = Arc::new(store(&server));
    let puts = (0..40).map(|index| {
        let store = store.clone();
        tokio::spawn(async move { store.write(&Key::from(format!("k{index}")), "x".into()).await })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap().unwrap();
    }
    assert_eq!(server.keys(BUCKET).len(), 40);
    assert_eq!(server.requests().of(Operation::PutObject), 60);
}
