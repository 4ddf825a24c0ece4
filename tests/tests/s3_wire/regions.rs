//! A bucket in another region than the configured one: the refusal says where it is, and that is enough.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use http::{HeaderValue, Response, StatusCode, uri::Scheme};
use pos3_core::{ErrorKind, Key, RemoteStoreExt};
use pos3_s3::{HttpClient, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService};

use super::*;

const HERE: &str = "eu-west-1";

/// A server in one region: what is signed for another is refused as Amazon and MinIO do, before the server sees it.
#[derive(Debug)]
struct Regional {
    server: HttpClient,
    refused: &'static AtomicUsize,
    told: &'static str,
}

#[async_trait]
impl HttpService for Regional {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let authorization = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        if authorization.is_some_and(|value| value.contains(&format!("/{HERE}/s3/aws4_request"))) {
            return self.server.execute(request).await;
        }
        self.refused.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new(HttpResponseBody::from(format!(
            "<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong region</Message><Region>{}</Region></Error>",
            self.told
        )));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response.headers_mut().insert("x-amz-bucket-region", HeaderValue::from_static(self.told));
        Ok(response)
    }
}

fn regional(server: &S3Server, refused: &'static AtomicUsize, told: &'static str) -> S3Store {
    let server_alone = config(server).transport(&Scheme::HTTP).unwrap();
    store_with(config(server).with_http_client(HttpClient::new(Regional { server: server_alone, refused, told })))
}

#[tokio::test]
async fn a_bucket_elsewhere_is_found_by_one_refusal_and_remembered() {
    static REFUSED: AtomicUsize = AtomicUsize::new(0);
    let server = server();
    let store = regional(&server, &REFUSED, HERE);
    for key in ["a", "b", "c"] {
        store.write(&Key::from(key), "x".into()).await.unwrap();
    }
    assert_eq!(store.read(&Key::from("b")).await.unwrap(), "x");
    assert_eq!(REFUSED.load(Ordering::SeqCst), 1);
    assert_eq!(server.keys(BUCKET), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_server_that_tells_a_wrong_region_is_asked_once_more_and_no_more() {
    static REFUSED: AtomicUsize = AtomicUsize::new(0);
    let server = server();
    let store = regional(&server, &REFUSED, "ap-south-1");
    let error = store.read(&Key::from("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(told(&error).contains("is in region 'ap-south-1'"), "{}", told(&error));
    assert_eq!(REFUSED.load(Ordering::SeqCst), 2);
    assert_eq!(server.requests().total(), 0);
}
