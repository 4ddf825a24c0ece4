//! Multipart uploads.

use pos3_tests::server::S3Server;

use super::client::{Call, delete, get, outcome, post, put, refused, success};

fn server() -> S3Server {
    S3Server::builder().bucket("data").configure(|settings| settings.min_part_size = 3).start().unwrap()
}

async fn create(server: &S3Server) -> String {
    let call = post("data/k", "").query("uploads", "").header("x-amz-meta-colour", "blue");
    call.send(server).await.unwrap().elements("UploadId").pop().unwrap()
}

async fn upload(server: &S3Server, upload: &str, number: usize, body: &'static str) -> String {
    let call = put("data/k", body).query("uploadId", upload).query("partNumber", &number.to_string());
    call.send(server).await.unwrap().header("etag").to_owned()
}

fn complete(upload: &str, parts: &[(usize, &str)]) -> Call {
    let part =
        |(number, etag): &(usize, &str)| format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    let parts: String = parts.iter().map(part).collect();
    let document = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    post("data/k", document).query("uploadId", upload)
}

#[tokio::test]
async fn parts_make_an_object() {
    let server = server();
    let id = create(&server).await;
    let second = upload(&server, &id, 2, "de").await;
    let first = upload(&server, &id, 1, "abc").await;
    assert!(server.object("data", "k").is_none());
    assert_eq!(server.open_uploads("data"), ["k"]);
    let parts = get("data/k").query("uploadId", &id).send(&server).await.unwrap();
    assert_eq!(parts.elements("PartNumber"), ["1", "2"]);

    let done = || complete(&id, &[(1, &first), (2, &second)]);
    let reply = done().send(&server).await.unwrap();
    // The MD5 of the MD5s of "abc" and "de", and the number of parts.
    assert_eq!(reply.elements("ETag"), ["\"fd279fa64fe1fa9a3551a4a88ae83424-2\""]);
    let object = server.object("data", "k").unwrap();
    assert_eq!(&object.bytes[..], b"abcde");
    assert_eq!(object.properties.metadata["colour"], "blue");
    assert_eq!(server.open_uploads("data"), [""; 0]);
    assert_eq!(outcome(&server, done()).await, success(), "a repeated completion");
    assert_eq!(get("data/k").query("partNumber", "2").send(&server).await.unwrap().text(), "de");
}

#[tokio::test]
async fn a_completion_is_checked() {
    let server = server();
    let id = create(&server).await;
    let first = upload(&server, &id, 1, "ab").await;
    let second = upload(&server, &id, 2, "cde").await;
    let wrong_order = complete(&id, &[(2, &second), (1, &first)]);
    assert_eq!(outcome(&server, wrong_order).await, refused(400, "InvalidPartOrder"));
    let wrong_etag = complete(&id, &[(1, &second)]);
    assert_eq!(outcome(&server, wrong_etag).await, refused(400, "InvalidPart"));
    let small = complete(&id, &[(1, &first), (2, &second)]);
    assert_eq!(outcome(&server, small).await, refused(400, "EntityTooSmall"));
    assert_eq!(outcome(&server, complete(&id, &[])).await, refused(400, "MalformedXML"));
    assert!(server.object("data", "k").is_none());

    server.put("data", "k", "there");
    let create_only = complete(&id, &[(1, &first)]).header("if-none-match", "*");
    assert_eq!(outcome(&server, create_only).await, refused(412, "PreconditionFailed"));
}

#[tokio::test]
async fn parts_are_copied_from_ranges() {
    let server = server();
    server.put("data", "source", "0123456789");
    let id = create(&server).await;
    let copy = |range| {
        put("data/k", "")
            .query("uploadId", &id)
            .query("partNumber", "1")
            .header("x-amz-copy-source", "data/source")
            .header("x-amz-copy-source-range", range)
    };
    assert_eq!(outcome(&server, copy("bytes=5-10")).await, refused(400, "InvalidArgument"));
    let etag = copy("bytes=5-9").send(&server).await.unwrap().elements("ETag").pop().unwrap();
    assert_eq!(outcome(&server, complete(&id, &[(1, &etag)])).await, success());
    assert_eq!(&server.object("data", "k").unwrap().bytes[..], b"56789");
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let server = server();
    let id = create(&server).await;
    let uploads = get("data").query("uploads", "").send(&server).await.unwrap();
    assert_eq!(uploads.elements("UploadId"), [id.as_str()]);
    let abort = || delete("data/k").query("uploadId", &id);
    assert_eq!(outcome(&server, abort()).await.0, 204);
    assert_eq!(outcome(&server, abort()).await, refused(404, "NoSuchUpload"));
    assert_eq!(server.open_uploads("data"), [""; 0]);
}
