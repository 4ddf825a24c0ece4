//! A client with a wrong clock: it takes the server's time from the refusal, and no request fails.

use pos3_core::{ErrorKind, Key, RemoteStore, RemoteStoreExt};
use pos3_tests::server::{Operation, S3Server};

use super::{BUCKET, random_bytes, server, store};

const HOUR: i64 = 3600;

fn server_ahead(seconds: i64) -> S3Server {
    let server = server();
    server.configure(|settings| settings.clock_ahead = seconds);
    server
}

#[tokio::test]
async fn a_clock_that_is_wrong_costs_one_request() {
    for ahead in [HOUR, -HOUR, 400 * 24 * HOUR] {
        let server = server_ahead(ahead);
        let store = store(&server);
        for index in 0..5 {
            store.write(&Key::from(format!("k{index}")), "hello".into()).await.unwrap();
        }
        assert_eq!(store.list_all("").await.unwrap().len(), 5);
        assert_eq!((server.requests().of(Operation::PutObject), server.requests().total()), (6, 7), "{ahead}");
        assert_eq!(store.usage().get("PutObject"), 6);
    }
}

#[tokio::test]
async fn an_answer_without_a_code_tells_the_time_too() {
    let server = server_ahead(HOUR);
    server.put(BUCKET, "k", "hello");
    let store = store(&server);
    assert_eq!(store.head(&Key::from("k")).await.unwrap().size, 5);
    assert_eq!(server.requests().of(Operation::HeadObject), 2);
}

#[tokio::test]
async fn every_request_in_flight_is_sent_again() {
    let server = server_ahead(-HOUR);
    let content = random_bytes(1, 40 << 20);
    store(&server).write(&Key::from("large"), content.clone().into()).await.unwrap();
    assert!(server.object(BUCKET, "large").unwrap().bytes == content);

    // The clock of a server is set while it is used.
    let client = store(&server);
    server.configure(|settings| settings.clock_ahead = HOUR);
    client.write(&Key::from("a"), "one".into()).await.unwrap();
    server.configure(|settings| settings.clock_ahead = -HOUR);
    let writes = (0..20).map(|index| {
        let (client, key) = (client.clone(), Key::from(format!("n{index}")));
        async move { client.write(&key, "two".into()).await }
    });
    futures::future::try_join_all(writes).await.unwrap();
}

#[tokio::test]
async fn a_refusal_for_another_reason_is_no_matter_of_time() {
    let server = server();
    let wrong = super::config(&server).with_credentials(pos3_s3::Credentials::fixed("nobody", "nothing", None));
    let error = super::store_with(wrong).head(&Key::from("k")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unauthenticated), "{error}");
    assert!(error.code().is_some(), "{error}");
    assert_eq!((server.requests().of(Operation::HeadObject), server.requests().total()), (1, 2), "a GET has the code");
}
