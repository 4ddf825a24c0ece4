//! Determines the S3 operation of an HTTP request.
//!
//! Counting requests and making some of them fail must not depend on the code that executes them, because a request
//! that cannot be parsed is counted too. S3 does not send the name of the operation, so it is derived from method,
//! path, query and headers.

use std::fmt;

use http::{HeaderMap, Method, Uri, header};
use percent_encoding::percent_decode_str;

/// An operation of the S3 protocol, with its name in the S3 API reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `DELETE /bucket/key?uploadId=…`
    AbortMultipartUpload,
    /// `POST /bucket/key?uploadId=…`
    CompleteMultipartUpload,
    /// `PUT /bucket/key` with `x-amz-copy-source`
    CopyObject,
    /// `PUT /bucket`
    CreateBucket,
    /// `POST /bucket/key?uploads`
    CreateMultipartUpload,
    /// `DELETE /bucket`
    DeleteBucket,
    /// `DELETE /bucket/key`
    DeleteObject,
    /// `POST /bucket?delete`
    DeleteObjects,
    /// `GET /bucket?location`
    GetBucketLocation,
    /// `GET /bucket/key`
    GetObject,
    /// `GET /bucket/key?tagging`
    GetObjectTagging,
    /// `HEAD /bucket`
    HeadBucket,
    /// `HEAD /bucket/key`
    HeadObject,
    /// `GET /`
    ListBuckets,
    /// `GET /bucket?uploads`
    ListMultipartUploads,
    /// `GET /bucket`
    ListObjects,
    /// `GET /bucket?list-type=2`
    ListObjectsV2,
    /// `GET /bucket/key?uploadId=…`
    ListParts,
    /// `PUT /bucket/key`
    PutObject,
    /// `PUT /bucket/key?partNumber=…&uploadId=…`
    UploadPart,
    /// `PUT /bucket/key?partNumber=…&uploadId=…` with `x-amz-copy-source`
    UploadPartCopy,
    /// Anything else, such as a request for a bucket's tags.
    Other,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// The operation of a request and the key that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The operation.
    pub operation: Operation,
    /// The object key, or the prefix of a listing. It is empty if the request names neither.
    pub key: String,
}

impl Target {
    /// Returns the target of a request with this method, address and headers.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let (bucket, key) = bucket_and_key(uri, headers);
        let query = uri.query().unwrap_or_default();
        let operation = match (bucket, key) {
            ("", _) if method == Method::GET => Operation::ListBuckets,
            ("", _) => Operation::Other,
            (_, "") => bucket_operation(method, query),
            (_, _) => object_operation(method, query, headers.contains_key("x-amz-copy-source")),
        };
        let key = match key {
            "" => parameter(query, "prefix").unwrap_or_default().replace('+', " "),
            key => key.to_owned(),
        };
        Self { operation, key: percent_decode_str(&key).decode_utf8_lossy().into_owned() }
    }
}

/// Returns the bucket's name. It is empty if the request names none.
pub(super) fn bucket_of(uri: &Uri, headers: &HeaderMap) -> String {
    bucket_and_key(uri, headers).0.to_owned()
}

/// Returns the bucket, and the key as written in the path.
fn bucket_and_key<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> (&'a str, &'a str) {
    let path = uri.path().strip_prefix('/').unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    match name.strip_suffix(".localhost") {
        Some(bucket) => (bucket, path),
        None => path.split_once('/').unwrap_or((path, "")),
    }
}

fn bucket_operation(method: &Method, query: &str) -> Operation {
    let asks = |name| parameter(query, name).is_some();
    match *method {
        Method::POST if asks("delete") => Operation::DeleteObjects,
        Method::HEAD => Operation::HeadBucket,
        Method::GET if asks("uploads") => Operation::ListMultipartUploads,
        Method::GET if asks("location") => Operation::GetBucketLocation,
        Method::GET if parameter(query, "list-type") == Some("2") => Operation::ListObjectsV2,
        Method::GET | Method::PUT | Method::DELETE if names_subresource(query) => Operation::Other,
        Method::GET => Operation::ListObjects,
        Method::PUT => Operation::CreateBucket,
        Method::DELETE => Operation::DeleteBucket,
        _ => Operation::Other,
    }
}

fn object_operation(method: &Method, query: &str, copies: bool) -> Operation {
    let upload = parameter(query, "uploadId").is_some();
    let part = parameter(query, "partNumber").is_some();
    match *method {
        Method::PUT if upload && part && copies => Operation::UploadPartCopy,
        Method::PUT if upload && part => Operation::UploadPart,
        Method::POST if upload => Operation::CompleteMultipartUpload,
        Method::POST if parameter(query, "uploads").is_some() => Operation::CreateMultipartUpload,
        Method::GET if upload => Operation::ListParts,
        Method::DELETE if upload => Operation::AbortMultipartUpload,
        Method::GET if parameter(query, "tagging").is_some() => Operation::GetObjectTagging,
        _ if names_subresource(query) => Operation::Other,
        Method::PUT if copies => Operation::CopyObject,
        Method::PUT => Operation::PutObject,
        Method::GET => Operation::GetObject,
        Method::HEAD => Operation::HeadObject,
        Method::DELETE => Operation::DeleteObject,
        _ => Operation::Other,
    }
}

/// Returns whether the query names a subresource instead of the object or the listing itself.
fn names_subresource(query: &str) -> bool {
    ["acl", "attributes", "cors", "lifecycle", "policy", "tagging", "versioning", "versions"]
        .iter()
        .any(|name| parameter(query, name).is_some())
}

/// Returns the value of a query parameter as written. The value of a parameter without `=` is `""`.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn target(request: &str, host: &'static str, copies: bool) -> (Operation, String) {
        let (method, uri) = request.split_once(' ').unwrap();
        let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        if copies {
            headers.insert("x-amz-copy-source", HeaderValue::from_static("bucket/key"));
        }
        let target = Target::of(&method.parse().unwrap(), &uri.parse().unwrap(), &headers);
        (target.operation, target.key)
    }

    #[test]
    fn each_operation_is_known_by_its_request() {
        use Operation::*;
        let table = [
            ("GET /", ListBuckets, ""),
            ("PUT /b", CreateBucket, ""),
            ("PUT /b/", CreateBucket, ""),
            ("HEAD /b", HeadBucket, ""),
            ("DELETE /b", DeleteBucket, ""),
            ("GET /b?location", GetBucketLocation, ""),
            ("GET /b", ListObjects, ""),
            ("GET /b/?list-type=2&prefix=a%2Fb+c", ListObjectsV2, "a/b c"),
            ("GET /b?versions", Other, ""),
            ("GET /b?uploads", ListMultipartUploads, ""),
            ("POST /b?delete", DeleteObjects, ""),
            ("PUT /b/k", PutObject, "k"),
            ("PUT /b//lead", PutObject, "/lead"),
            ("GET /b/a%2520b", GetObject, "a%20b"),
            ("GET /b/k?tagging", GetObjectTagging, "k"),
            ("HEAD /b/dir/", HeadObject, "dir/"),
            ("DELETE /b/x+y", DeleteObject, "x+y"),
            ("POST /b/k?uploads=", CreateMultipartUpload, "k"),
            ("PUT /b/k?partNumber=1&uploadId=u", UploadPart, "k"),
            ("POST /b/k?uploadId=u", CompleteMultipartUpload, "k"),
            ("GET /b/k?uploadId=u", ListParts, "k"),
            ("DELETE /b/k?uploadId=u", AbortMultipartUpload, "k"),
        ];
        for (request, operation, key) in table {
            assert_eq!(target(request, "127.0.0.1:1", false), (operation, key.to_owned()), "{request}");
        }
    }

    #[test]
    fn copies_are_known_by_their_header() {
        assert_eq!(target("PUT /b/k", "127.0.0.1:1", true).0, Operation::CopyObject);
        let part = target("PUT /b/k?partNumber=1&uploadId=u", "127.0.0.1:1", true);
        assert_eq!(part.0, Operation::UploadPartCopy);
    }

    #[test]
    fn the_bucket_may_be_in_the_host() {
        assert_eq!(target("GET /?list-type=2", "b.localhost:1", false).0, Operation::ListObjectsV2);
        assert_eq!(target("GET /a/b", "b.localhost:1", false), (Operation::GetObject, "a/b".to_owned()));
        assert_eq!(target("GET /", "localhost:1", false).0, Operation::ListBuckets);
    }
}
