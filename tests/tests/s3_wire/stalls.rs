//! Servers that stop reading, and responses that arrive too slowly.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use http::StatusCode;
use pos3_core::{Content, ErrorKind, Key, ListOptions, Pace, RemoteStore, RemoteStoreExt};
use pos3_s3::{Credentials, S3Config};
use pos3_tests::server::{Answer, Fault, Operation};

use super::{BUCKET, config, random_bytes, server, store_with};

#[tokio::test]
async fn a_request_that_nobody_reads_is_given_up() {
    // Connections are accepted by the kernel, and their buffers fill.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = S3Config::new()
        .with_endpoint(format!("http://{}", listener.local_addr().unwrap()))
        .with_credentials(Credentials::fixed("key", "secret", None))
        .with_longest_pause(Duration::from_millis(20))
        .with_idle_timeout(Duration::from_millis(200))
        .with_attempts(2);
    let content = random_bytes(1, 16 << 20);
    let error = store_with(config).write(&Key::from("k"), content.into()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Unavailable, true), "{error}");
}

fn trickle(piece: usize) -> Answer {
    Answer::Trickle { piece, pause: Duration::from_millis(10) }
}

#[tokio::test]
async fn a_body_that_trickles_is_read_anew_and_not_for_ever() {
    let server = server();
    let content = random_bytes(2, 1 << 20);
    server.put(BUCKET, "k", content.clone());
    let slowest = |attempts| {
        store_with(config(&server).with_attempts(attempts).with_slowest_answer(10_000, Duration::from_millis(300)))
    };
    server.fault(Fault::on(Operation::GetObject).answer(trickle(1)));
    assert_eq!(slowest(2).read(&Key::from("k")).await.unwrap(), content);
    assert_eq!(server.requests().of(Operation::GetObject), 2);

    server.fault(Fault::on(Operation::GetObject).always().answer(trickle(1)));
    let begin = Instant::now();
    let error = slowest(3).read(&Key::from("k")).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(60), "it ended after {:?}", begin.elapsed());
    assert_eq!((error.kind(), error.is_temporary()), (ErrorKind::Unavailable, true), "{error}");
    assert!(error.to_string().contains("received less than 10000 bytes"), "{error}");

    server.fault(Fault::on(Operation::ListObjectsV2).always().answer(trickle(1)));
    let listed: Result<Vec<_>, _> = slowest(2).list("", ListOptions::default()).try_collect().await;
    assert!(listed.unwrap_err().to_string().contains("received less than 10000 bytes"));
}

#[tokio::test]
async fn connections_that_end_after_a_few_bytes_are_not_followed_for_ever() {
    let server = server();
    server.put(BUCKET, "k", random_bytes(3, 1 << 20));
    server.fault(Fault::on(Operation::GetObject).always().answer(Answer::CutBody { after: 10 }));
    let error = store_with(config(&server).with_attempts(4)).read(&Key::from("k")).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert_eq!(server.requests().of(Operation::GetObject), 4);
}

#[tokio::test]
async fn a_refusal_that_trickles_is_known_by_its_status() {
    let server = server();
    let pause = Duration::from_millis(100);
    let answer = Answer::TrickledError { status: StatusCode::FORBIDDEN, code: "AccessDenied", pause };
    server.fault(Fault::on(Operation::GetObject).answer(answer));
    let begin = Instant::now();
    let store = store_with(config(&server).with_idle_timeout(Duration::from_millis(500)));
    let error = store.read(&Key::from("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(begin.elapsed() < Duration::from_secs(8), "it took {:?}", begin.elapsed());
}

#[tokio::test]
async fn who_reads_or_sends_slowly_on_purpose_waits_for_nobody() {
    let server = server();
    let content = random_bytes(4, 2 << 20);
    let config = || {
        config(&server).with_multipart_threshold(1 << 20).with_attempts(1).with_idle_timeout(Duration::from_millis(400))
    };
    let store = store_with(config().with_slowest_answer(1 << 20, Duration::from_millis(300)));
    let paced = || Content::from(content.clone()).with_pace(Pace::new(524_288.0));
    store.write(&Key::from("k"), paced()).await.unwrap();
    let entry = store.head(&Key::from("k")).await.unwrap();
    let slow = Content::stored(std::sync::Arc::new(store), entry).with_pace(Pace::new(524_288.0));
    assert_eq!(slow.read_to_bytes(0..content.len() as u64).await.unwrap(), content);
    assert_eq!(super::store(&server).read(&Key::from("k")).await.unwrap(), content);
}
