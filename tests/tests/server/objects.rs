//! Objects, their keys, conditions, copies and signatures.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use pos3_tests::server::{ConditionalWrites, CopyEtag, Operation, S3Server};

use super::client::{delete, get, head, outcome, post, put, refused, success};

/// Keys that a careless server or client changes on the way.
pub(crate) const ODD_KEYS: [&str; 22] = [
    "a//b",
    "dir/",
    "/lead",
    "/",
    "a%20b",
    "a b",
    "a+b",
    "a%2Fb",
    "x#1",
    "y?z",
    "c/./d",
    "../up",
    ".",
    "new\nline",
    "tab\t",
    "\u{1}control\u{1f}",
    "return\r",
    "e\u{301}",
    "\u{e9}",
    "a&b<c>\"'",
    "back\\slash",
    "end ",
];

fn server() -> S3Server {
    S3Server::builder().bucket("data").start().unwrap()
}

#[tokio::test]
async fn odd_keys_stay_as_they_are() {
    let server = server();
    for key in ODD_KEYS {
        let path = format!("data/{key}");
        assert_eq!(outcome(&server, put(&path, key)).await, success(), "{key:?}");
        assert_eq!(get(&path).send(&server).await.unwrap().text(), key);
    }
    let mut sorted = ODD_KEYS.map(str::to_owned);
    sorted.sort();
    assert_eq!(server.keys("data"), sorted);
    for key in ODD_KEYS {
        assert_eq!(outcome(&server, delete(&format!("data/{key}"))).await.0, 204);
    }
    assert_eq!(server.keys("data"), [""; 0]);
}

#[tokio::test]
async fn a_key_has_at_most_1024_bytes() {
    let server = server();
    assert_eq!(outcome(&server, put(&format!("data/{}", "k".repeat(1024)), "")).await, success());
    let too_long = put(&format!("data/{}", "k".repeat(1025)), "");
    assert_eq!(outcome(&server, too_long).await, refused(400, "KeyTooLongError"));
}

#[tokio::test]
async fn an_object_keeps_its_properties() {
    let server = server();
    let call = put("data/k", "hello").header("content-type", "text/plain").header("x-amz-meta-colour", "blue");
    let written = call.send(&server).await.unwrap();
    assert_eq!(written.header("etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    let found = head("data/k").send(&server).await.unwrap();
    assert_eq!(found.header("etag"), written.header("etag"));
    assert_eq!(found.header("content-length"), "5");
    assert_eq!(found.header("content-type"), "text/plain");
    assert_eq!(found.header("x-amz-meta-colour"), "blue");
    let stored = server.object("data", "k").unwrap();
    assert_eq!(stored.properties.metadata["colour"], "blue");
    assert_eq!(&stored.bytes[..], b"hello");
}

#[tokio::test]
async fn ranges_are_obeyed() {
    let server = server();
    server.put("data", "k", "0123456789");
    let part = get("data/k").header("range", "bytes=2-4").send(&server).await.unwrap();
    assert_eq!((part.status.as_u16(), part.text()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    assert_eq!(get("data/k").header("range", "bytes=-3").send(&server).await.unwrap().text(), "789");
    let beyond = get("data/k").header("range", "bytes=10-");
    assert_eq!(outcome(&server, beyond).await, refused(416, "InvalidRange"));
}

#[tokio::test]
async fn reads_are_conditional() {
    let server = server();
    server.put("data", "k", "hello");
    let etag = "\"5d41402abc4b2a76b9719d911017c592\"";
    assert_eq!(outcome(&server, get("data/k").header("if-match", etag)).await, success());
    let other = get("data/k").header("if-match", "\"other\"").header("range", "bytes=0-1");
    assert_eq!(outcome(&server, other).await, refused(412, "PreconditionFailed"));
    assert_eq!(outcome(&server, get("data/k").header("if-none-match", etag)).await.0, 304);
}

#[tokio::test]
async fn writes_are_conditional() {
    let server = server();
    let create = || put("data/k", "hello").header("if-none-match", "*");
    assert_eq!(outcome(&server, create()).await, success());
    assert_eq!(outcome(&server, create()).await, refused(412, "PreconditionFailed"));

    let replace = |etag| put("data/k", "other").header("if-match", etag);
    assert_eq!(outcome(&server, replace("\"wrong\"")).await, refused(412, "PreconditionFailed"));
    assert_eq!(outcome(&server, replace("\"5d41402abc4b2a76b9719d911017c592\"")).await, success());
    let missing = put("data/missing", "x").header("if-match", "\"any\"");
    assert_eq!(outcome(&server, missing).await, refused(404, "NoSuchKey"));

    server.configure(|settings| settings.conditional_writes = ConditionalWrites::Ignored);
    assert_eq!(outcome(&server, create()).await, success());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_creators_one_wins() {
    let server = std::sync::Arc::new(server());
    let creators: Vec<_> = (0..16)
        .map(|number: u8| {
            let server = std::sync::Arc::clone(&server);
            let create = put("data/k", vec![number]).header("if-none-match", "*");
            tokio::spawn(async move { outcome(&server, create).await })
        })
        .collect();
    let mut winners = 0;
    for creator in creators {
        winners += usize::from(creator.await.unwrap() == success());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn a_body_that_does_not_match_its_digest_leaves_nothing() {
    let server = server();
    let wrong_md5 = BASE64.encode([0; 16]);
    let table = [
        ("content-md5", wrong_md5.as_str(), "BadDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-sha256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "BadDigest"),
        ("x-amz-content-sha256", &"0".repeat(64), "XAmzContentSHA256Mismatch"),
    ];
    for (header, value, code) in table {
        assert_eq!(outcome(&server, put("data/k", "hello").header(header, value)).await, refused(400, code));
        assert!(server.object("data", "k").is_none(), "{header}");
    }
    let right = put("data/k", "hello").header("x-amz-checksum-crc32", "NhCmhg==");
    assert_eq!(outcome(&server, right).await, success());
    let read = get("data/k").header("x-amz-checksum-mode", "ENABLED").send(&server).await.unwrap();
    assert_eq!(read.header("x-amz-checksum-crc32"), "NhCmhg==");
}

#[tokio::test]
async fn checksums_in_trailers_are_compared() {
    let server = server();
    let upload = |key: &str, checksum: &str| {
        let body = format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n");
        put(&format!("data/{key}"), body)
            .header("content-encoding", "aws-chunked")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("x-amz-decoded-content-length", "5")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
    };
    assert_eq!(outcome(&server, upload("wrong", "AAAAAA==")).await, refused(400, "BadDigest"));
    assert_eq!(outcome(&server, upload("right", "NhCmhg==")).await, success());
    assert_eq!(server.keys("data"), ["right"]);
    let stored = server.object("data", "right").unwrap();
    assert_eq!((&stored.bytes[..], stored.properties.content_encoding), (&b"hello"[..], None));
}

#[tokio::test]
async fn signatures_are_checked() {
    let server = server();
    let forged = get("data/k").secret_key("guess");
    assert_eq!(outcome(&server, forged).await, refused(403, "SignatureDoesNotMatch"));
    assert_eq!(server.requests().of(Operation::GetObject), 1);
}

#[tokio::test]
async fn the_bucket_may_be_in_the_host() {
    let server = server();
    server.put("data", "/lead", "hello");
    let host = server.virtual_hosted_endpoint("data").replace("http://", "");
    assert_eq!(get("/lead").host(host.clone()).send(&server).await.unwrap().text(), "hello");
    let listing = get("").host(host).query("list-type", "2").send(&server).await.unwrap();
    assert_eq!(listing.elements("Key"), ["/lead"]);
}

#[tokio::test]
async fn copies_take_odd_keys_across_buckets() {
    let server = S3Server::builder().bucket("data").bucket("other").start().unwrap();
    for key in ODD_KEYS {
        server.put("data", key, key);
        let source = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
        let copy = put(&format!("other/{key}"), "").header("x-amz-copy-source", &format!("data/{source}"));
        assert_eq!(outcome(&server, copy).await, success(), "{key:?}");
    }
    assert_eq!(server.keys("other"), server.keys("data"));
}

#[tokio::test]
async fn copies_are_conditional() {
    let server = server();
    server.put("data", "k", "hello");
    let copy = || put("data/copy", "").header("x-amz-copy-source", "data/k");
    let stale = copy().header("x-amz-copy-source-if-match", "\"other\"");
    assert_eq!(outcome(&server, stale).await, refused(412, "PreconditionFailed"));
    assert_eq!(copy().send(&server).await.unwrap().elements("ETag").len(), 1);
    let again = copy().header("if-none-match", "*");
    assert_eq!(outcome(&server, again).await, refused(412, "PreconditionFailed"));

    server.configure(|settings| settings.copy_etag = CopyEtag::Unquoted);
    assert_eq!(copy().send(&server).await.unwrap().elements("ETag"), ["5d41402abc4b2a76b9719d911017c592"]);
    let onto_itself = put("data/k", "").header("x-amz-copy-source", "data/k");
    assert_eq!(outcome(&server, onto_itself).await, refused(400, "InvalidRequest"));
}

#[tokio::test]
async fn many_keys_are_deleted_at_once() {
    let server = server();
    let request = |keys: &[&str], quiet: bool| {
        let keys: String = keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
        let document = format!("<Delete><Quiet>{quiet}</Quiet>{keys}</Delete>");
        let digest = <s3s::crypto::Md5 as s3s::crypto::Checksum>::checksum(document.as_bytes());
        post("data", document).query("delete", "").header("content-md5", &BASE64.encode(digest))
    };
    server.put("data", "a b", "");
    server.put("data", "c", "");
    let reply = request(&["a b", "missing"], false).send(&server).await.unwrap();
    assert_eq!(reply.elements("Key"), ["a b", "missing"]);
    assert_eq!(request(&["c"], true).send(&server).await.unwrap().elements("Key"), [""; 0]);
    assert_eq!(server.keys("data"), [""; 0]);

    let too_many = request(&["k"; 1001], false);
    assert_eq!(outcome(&server, too_many).await, refused(400, "MalformedXML"));
    let unverified = post("data", "<Delete><Object><Key>k</Key></Object></Delete>").query("delete", "");
    assert_eq!(outcome(&server, unverified).await, refused(400, "InvalidRequest"));
}

#[tokio::test]
async fn buckets_come_and_go() {
    let server = server();
    assert_eq!(outcome(&server, put("data", "")).await, refused(409, "BucketAlreadyOwnedByYou"));
    assert_eq!(outcome(&server, put("fresh", "")).await, success());
    assert_eq!(get("").send(&server).await.unwrap().elements("Name"), ["data", "fresh"]);
    server.put("fresh", "k", "");
    assert_eq!(outcome(&server, delete("fresh")).await, refused(409, "BucketNotEmpty"));
    server.remove("fresh", "k");
    assert_eq!(outcome(&server, delete("fresh")).await.0, 204);
    assert_eq!(outcome(&server, head("fresh")).await.0, 404);
    assert_eq!(outcome(&server, get("fresh/k")).await, refused(404, "NoSuchBucket"));
    assert_eq!(outcome(&server, put("fresh/k", "body")).await, refused(404, "NoSuchBucket"));
}
