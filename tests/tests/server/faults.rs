//! Faults occur as described, and only in the selected requests.

use std::{
    error::Error,
    io::{self, ErrorKind},
    time::Duration,
};

use http_body_util::BodyExt as _;
use pos3_tests::server::{Answer, Fault, Operation, S3Server};
use tokio::time::timeout;

use super::client::{get, outcome, put, refused, success};

const CONTENT: &str = "0123456789";

fn server() -> S3Server {
    let server = S3Server::builder().bucket("data").start().unwrap();
    server.put("data", "k", CONTENT);
    server
}

fn on_get(server: &S3Server, answer: Answer) {
    server.fault(Fault::on(Operation::GetObject).answer(answer));
}

#[tokio::test]
async fn errors_hit_the_requests_named() {
    let server = server();
    server.fault(Fault::on(Operation::GetObject).key("k").nth(2).times(2).answer(Answer::slow_down()));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(outcome(&server, get("data/k")).await);
    }
    assert_eq!(statuses, [success(), refused(503, "SlowDown"), refused(503, "SlowDown"), success()]);
    assert_eq!(server.requests().of(Operation::GetObject), 4);
    assert_eq!(server.faults_waiting(), 0);
}

#[tokio::test]
async fn a_refused_put_stores_nothing() {
    let server = server();
    server.fault(Fault::on(Operation::PutObject).answer(Answer::request_timeout()));
    assert_eq!(outcome(&server, put("data/new", CONTENT)).await, refused(400, "RequestTimeout"));
    assert!(server.object("data", "new").is_none());
}

#[tokio::test]
async fn an_error_may_come_with_status_200() {
    let server = server();
    server.fault(Fault::on(Operation::CopyObject).answer(Answer::ErrorInOk { code: "InternalError" }));
    let copy = put("data/copy", "").header("x-amz-copy-source", "data/k");
    assert_eq!(outcome(&server, copy).await, refused(200, "InternalError"));
    assert!(server.object("data", "copy").is_none());
}

#[tokio::test]
async fn a_reset_leaves_the_client_without_an_answer() {
    let server = server();
    server.fault(Fault::on(Operation::PutObject).key("lost").answer(Answer::Reset));
    server.fault(Fault::on(Operation::PutObject).key("performed").answer(Answer::ResetAfterPerforming));
    for path in ["data/lost", "data/performed"] {
        let failure = put(path, CONTENT).send(&server).await.unwrap_err();
        assert_eq!(connection_error(failure.as_ref()), Some(ErrorKind::ConnectionReset), "{failure:?}");
    }
    assert_eq!(server.keys("data"), ["k", "performed"]);
}

/// Returns what the socket reported, wherever in the chain of causes it stands.
fn connection_error(failure: &(dyn Error + 'static)) -> Option<ErrorKind> {
    match failure.downcast_ref::<io::Error>() {
        Some(error) => Some(error.kind()),
        None => connection_error(failure.source()?),
    }
}

#[tokio::test]
async fn a_cut_body_ends_early() {
    let server = server();
    on_get(&server, Answer::CutBody { after: 4 });
    let mut body = get("data/k").open(&server).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "0123");
    assert!(body.frame().await.unwrap().is_err());
}

#[tokio::test]
async fn a_large_body_is_cut_at_the_byte() {
    let server = server();
    let after = 3 * 1024 * 1024 + 7;
    server.put("data", "large", vec![7; 4 * 1024 * 1024]);
    on_get(&server, Answer::CutBody { after });
    let mut body = get("data/large").open(&server).await.unwrap().into_body();
    let mut received = 0;
    while let Some(Ok(frame)) = body.frame().await {
        received += frame.into_data().unwrap().len();
    }
    assert_eq!(received, after);
}

#[tokio::test]
async fn a_stalled_body_neither_ends_nor_fails() {
    let server = server();
    on_get(&server, Answer::StallBody { after: 4 });
    let mut body = get("data/k").open(&server).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "0123");
    assert!(timeout(Duration::from_millis(200), body.frame()).await.is_err());
}

#[tokio::test]
async fn one_byte_may_be_flipped() {
    let server = server();
    on_get(&server, Answer::FlipByte { at: 3 });
    let reply = get("data/k").send(&server).await.unwrap();
    assert_eq!(&reply.body[..], b"012\xcc456789");
}

#[tokio::test]
async fn a_range_may_be_ignored() {
    let server = server();
    on_get(&server, Answer::IgnoreRange);
    let reply = get("data/k").header("range", "bytes=2-3").send(&server).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.text()), (200, CONTENT));
    assert_eq!(reply.header("content-range"), "");
}

#[tokio::test]
async fn the_entity_tag_may_be_wrong() {
    let server = server();
    on_get(&server, Answer::WrongEtag);
    let (wrong, right) = (get("data/k").send(&server).await.unwrap(), get("data/k").send(&server).await.unwrap());
    assert_eq!(wrong.header("etag"), "\"00000000000000000000000000000bad\"");
    assert_ne!(right.header("etag"), wrong.header("etag"));
}

#[tokio::test]
async fn requests_in_flight_are_counted() {
    let server = server();
    server.fault(Fault::on(Operation::GetObject).times(3).answer(Answer::StallBody { after: 1 }));
    let mut stalled = Vec::new();
    for _ in 0..3 {
        stalled.push(get("data/k").open(&server).await.unwrap());
    }
    assert_eq!(server.most_in_flight(), 3);
    assert_eq!(server.log().len(), 3);
    server.reset_requests();
    assert_eq!((server.requests().total(), server.log().len()), (0, 0));
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let server = server();
    let address = server.address();
    drop(server);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
