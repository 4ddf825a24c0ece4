//! The null server supports what the benchmarks of clients need.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use pos3_core::{Checksum, Checksummer};

use super::client::{Reply, form_decoded, transmit};

/// A running null server; stops when dropped.
struct NullServer {
    process: Child,
    address: SocketAddr,
}

impl NullServer {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_null-s3-server"));
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().parse().unwrap();
        Self { process, address }
    }

    async fn send(&self, request: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        let (method, uri) = request.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(uri).header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = transmit(self.address, request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        Reply { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn sizes_are_remembered_and_zeros_served() {
    let server = NullServer::start();
    server.send("PUT /b/k", &[], vec![1; 300_000]).await;
    assert_eq!(server.send("HEAD /b/k", &[], "").await.header("content-length"), "300000");
    assert_eq!(server.send("GET /b/k", &[], "").await.body, vec![0; 300_000]);
    let mut sum = Checksummer::crc64_nvme();
    sum.update(&[0; 300_000]);
    let Checksum::Crc64Nvme(sum) = sum.finish() else { panic!("it is another kind") };
    let told = server.send("HEAD /b/k", &[], "").await.header("x-amz-checksum-crc64nvme").to_owned();
    assert_eq!(told, BASE64.encode(sum.to_be_bytes()));
    let part = server.send("GET /b/k", &[("range", "bytes=10-19")], "").await;
    assert_eq!((part.status.as_u16(), part.header("content-range")), (206, "bytes 10-19/300000"));
    assert_eq!(part.body, [0; 10][..]);
    server.send("PUT /b/copy", &[("x-amz-copy-source", "/b/k")], "").await;
    assert_eq!(server.send("HEAD /b/copy", &[], "").await.header("content-length"), "300000");
    assert_eq!(server.send("GET /b/none", &[], "").await.outcome(), (404, "NoSuchKey".to_owned()));
}

#[tokio::test]
async fn uploads_add_up() {
    let server = NullServer::start();
    let id = server.send("POST /b/k?uploads", &[], "").await.elements("UploadId").pop().unwrap();
    server.send(&format!("PUT /b/k?partNumber=1&uploadId={id}"), &[], vec![0; 10]).await;
    server.send(&format!("PUT /b/k?partNumber=2&uploadId={id}"), &[], vec![0; 5]).await;
    assert_eq!(server.send(&format!("POST /b/k?uploadId={id}"), &[], "<x/>").await.status, 200);
    assert_eq!(server.send("HEAD /b/k", &[], "").await.header("content-length"), "15");
}

#[tokio::test]
async fn listings_page_and_deletes_delete() {
    let server = NullServer::start();
    for key in ["a%20b", "a%2520b", "a%26%3Cb", "c", "d"] {
        server.send(&format!("PUT /b/p/{key}"), &[], "x").await;
    }
    server.send("PUT /b/q", &[], "x").await;
    let uri = "GET /b?list-type=2&encoding-type=url&prefix=p%2F&max-keys=3";
    let first = server.send(uri, &[], "").await;
    assert_eq!(first.keys(), ["p/a b", "p/a%20b", "p/a&<b"]);
    let token = first.elements("NextContinuationToken").pop().unwrap();
    let token = token.replace('%', "%25");
    let second = server.send(&format!("{uri}&continuation-token={token}"), &[], "").await;
    assert_eq!(second.keys(), ["p/c", "p/d"]);
    assert_eq!(second.elements("IsTruncated"), ["false"]);
    let plain = server.send("GET /b?list-type=2&prefix=p%2Fa", &[], "").await;
    assert_eq!(plain.elements("Key"), ["p/a b", "p/a%20b", "p/a&amp;&lt;b"]);

    let document = "<Delete><Object><Key>p/a b</Key></Object><Object><Key>p/a&amp;&lt;b</Key></Object></Delete>";
    server.send("POST /b?delete", &[], document).await;
    server.send("DELETE /b/q", &[], "").await;
    let left = server.send("GET /b?list-type=2&encoding-type=url", &[], "").await;
    let keys: Vec<_> = left.elements("Key").iter().map(|key| form_decoded(key)).collect();
    assert_eq!(keys, ["p/a%20b", "p/c", "p/d"]);
    let counts = server.send("GET /-/requests", &[], "").await;
    assert!(counts.text().contains("\"DeleteObjects\":1"), "{}", counts.text());
}
