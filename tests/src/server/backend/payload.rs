//! The verified body of an upload.
//!
//! A body that does not match its declared digest must not be stored, so it is collected and checked first.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use s3s::{
    S3Error, S3ErrorCode, S3Result, TrailingHeaders,
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256},
    dto::StreamingBlob,
    s3_error,
};

use super::super::state::md5;

/// The headers that contain a checksum of the content.
const CHECKSUM_HEADERS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// Checksums by header name, in base64.
pub(super) type Checksums = BTreeMap<&'static str, String>;

/// A body that matches every declared digest.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    pub(super) checksums: Checksums,
}

/// Collects a body and compares it with `Content-MD5` and, if checksums are `kept`, with those in headers or trailers.
pub(super) async fn receive(
    body: Option<StreamingBlob>,
    headers: &HeaderMap,
    trailers: Option<TrailingHeaders>,
    kept: bool,
) -> S3Result<Payload> {
    let bytes = collect(body).await?;
    check_content_md5(&bytes, headers)?;
    if !kept {
        return Ok(Payload { bytes, checksums: Checksums::new() });
    }
    let mut checksums = verified(&bytes, headers)?;
    if let Some(trailers) = trailers.and_then(|trailers| trailers.take()) {
        checksums.extend(verified(&bytes, &trailers)?);
    }
    Ok(Payload { bytes, checksums })
}

async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let mut bytes = BytesMut::new();
    let Some(mut body) = body else { return Ok(bytes.freeze()) };
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(|error| body_error(&error.to_string()))?);
    }
    Ok(bytes.freeze())
}

/// Returns the S3 error for a body that is truncated or does not match its signature.
fn body_error(cause: &str) -> S3Error {
    if cause.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut error = S3Error::with_message(code, "the body does not match x-amz-content-sha256");
        error.set_status_code(StatusCode::BAD_REQUEST);
        error
    } else if cause.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch, "the signature of a chunk does not match")
    } else {
        s3_error!(IncompleteBody, "the body ended early: {cause}")
    }
}

fn check_content_md5(bytes: &[u8], headers: &HeaderMap) -> S3Result<()> {
    let Some(declared) = headers.get("content-md5") else { return Ok(()) };
    match BASE64.decode(declared) {
        Ok(digest) if digest.len() != 16 => Err(s3_error!(InvalidDigest, "Content-MD5 is not 16 bytes")),
        Ok(digest) if digest == md5(bytes) => Ok(()),
        Ok(_) => Err(s3_error!(BadDigest, "the body does not match Content-MD5")),
        Err(_) => Err(s3_error!(InvalidDigest, "Content-MD5 is not base64")),
    }
}

/// Returns the checksums declared in these headers, each compared with the content.
pub(super) fn verified(bytes: &[u8], headers: &HeaderMap) -> S3Result<Checksums> {
    let mut checksums = Checksums::new();
    for header in CHECKSUM_HEADERS {
        let Some(declared) = headers.get(header) else { continue };
        let computed = checksum(header, bytes);
        if declared != computed.as_str() {
            return Err(s3_error!(BadDigest, "the body does not match {header}"));
        }
        checksums.insert(header, computed);
    }
    Ok(checksums)
}

/// Returns the checksum for this header, in base64.
pub(super) fn checksum(header: &str, bytes: &[u8]) -> String {
    BASE64.encode(raw_checksum(header, bytes))
}

/// Returns the checksum for this header, as bytes.
pub(super) fn raw_checksum(header: &str, bytes: &[u8]) -> Vec<u8> {
    match header {
        "x-amz-checksum-crc32" => Crc32::checksum(bytes).to_vec(),
        "x-amz-checksum-crc32c" => Crc32c::checksum(bytes).to_vec(),
        "x-amz-checksum-crc64nvme" => Crc64Nvme::checksum(bytes).to_vec(),
        "x-amz-checksum-sha1" => Sha1::checksum(bytes).to_vec(),
        _ => Sha256::checksum(bytes).to_vec(),
    }
}

/// Returns the header for checksums of this algorithm (`CRC32`, `SHA256`, …).
pub(super) fn checksum_header(algorithm: &str) -> Option<&'static str> {
    CHECKSUM_HEADERS
        .into_iter()
        .find(|header| header.strip_prefix("x-amz-checksum-").is_some_and(|name| name.eq_ignore_ascii_case(algorithm)))
}

/// Returns the response headers for these checksums.
pub(super) fn checksum_headers(checksums: &Checksums) -> HeaderMap {
    let header = |(name, value): (&&'static str, &String)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
    };
    checksums.iter().filter_map(header).collect()
}
