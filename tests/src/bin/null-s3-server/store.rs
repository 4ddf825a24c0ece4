//! The names and sizes that the server stores, and its response to each operation.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pos3_core::{Checksum, Checksummer};
use pos3_tests::server::Operation;

use super::answer::{Answer, ETAG, NullBody, answer, decoded, empty, encoded, error, escaped, unescaped, xml};

const ISO_DATE: &str = "2026-01-01T00:00:00.000Z";
const PAGE: usize = 1000;
const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-crc64nvme");

#[derive(Default)]
pub(super) struct Store {
    /// Size by `bucket/key`.
    objects: BTreeMap<String, u64>,
    /// Bytes received so far by upload id.
    uploads: BTreeMap<String, u64>,
    pub(super) requests: BTreeMap<Operation, u64>,
    uploads_created: u64,
}

impl Store {
    /// Adds objects with typical names below `bucket/prefix`.
    pub(super) fn fill(&mut self, path: &str, count: u64) {
        let name =
            |number| format!("{path}directory-{:07}/some-usual-file-name-{:04}.parquet", number / 1000, number % 1000);
        self.objects.extend((0..count).map(|number| (name(number), 1024)));
    }

    /// Responds to a put as if its checksum were correct.
    pub(super) fn put(&mut self, path: String, size: u64, headers: &HeaderMap) -> Answer {
        self.objects.insert(path, size);
        let mut answer = empty(StatusCode::OK);
        if let Some(sum) = headers.get(CHECKSUM) {
            answer.headers_mut().insert(CHECKSUM, sum.clone());
        }
        answer
    }

    pub(super) fn create_upload(&mut self, headers: &HeaderMap) -> Answer {
        self.uploads_created += 1;
        let id = self.uploads_created.to_string();
        let document =
            format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
        self.uploads.insert(id, 0);
        let mut answer = xml(&document);
        if let Some(algorithm) = headers.get(ALGORITHM) {
            answer.headers_mut().insert(ALGORITHM, algorithm.clone());
        }
        answer
    }

    pub(super) fn upload_part(&mut self, query: &str, size: u64) -> Answer {
        match self.uploads.get_mut(&parameter(query, "uploadId").unwrap_or_default()) {
            Some(received) => *received += size,
            None => return error(StatusCode::NOT_FOUND, "NoSuchUpload"),
        }
        empty(StatusCode::OK)
    }

    /// Responds to a completion as if its checksum were correct.
    pub(super) fn complete_upload(&mut self, path: String, query: &str, headers: &HeaderMap) -> Answer {
        let Some(size) = self.uploads.remove(&parameter(query, "uploadId").unwrap_or_default()) else {
            return error(StatusCode::NOT_FOUND, "NoSuchUpload");
        };
        self.objects.insert(path, size);
        let sum = headers.get(CHECKSUM).and_then(|sum| sum.to_str().ok()).unwrap_or_default();
        xml(&format!(
            "<CompleteMultipartUploadResult><ETag>{ETAG}</ETag><ChecksumCRC64NVME>{sum}</ChecksumCRC64NVME>\
             </CompleteMultipartUploadResult>"
        ))
    }

    pub(super) fn copy(&mut self, path: String, headers: &HeaderMap) -> Answer {
        let source = headers.get("x-amz-copy-source").and_then(|source| source.to_str().ok()).unwrap_or_default();
        let Some(size) = self.objects.get(&decoded(source.trim_start_matches('/'))).copied() else {
            return error(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        self.objects.insert(path, size);
        xml(&format!("<CopyObjectResult><ETag>{ETAG}</ETag><LastModified>{ISO_DATE}</LastModified></CopyObjectResult>"))
    }

    pub(super) fn get(&self, path: &str, headers: &HeaderMap) -> Answer {
        let Some(size) = self.objects.get(path).copied() else {
            return error(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
        let Some((first, last)) = range.and_then(|range| bounds(range, size)) else {
            let mut answer = answer(StatusCode::OK, NullBody::Zeros(size));
            answer.headers_mut().extend(HeaderValue::try_from(checksum_of_zeros(size)).ok().map(|sum| (CHECKSUM, sum)));
            return answer;
        };
        let mut answer = answer(StatusCode::PARTIAL_CONTENT, NullBody::Zeros(last + 1 - first));
        if let Ok(content_range) = format!("bytes {first}-{last}/{size}").parse() {
            answer.headers_mut().insert(header::CONTENT_RANGE, content_range);
        }
        answer
    }

    pub(super) fn delete(&mut self, path: &str) -> Answer {
        self.objects.remove(path);
        empty(StatusCode::NO_CONTENT)
    }

    pub(super) fn delete_many(&mut self, bucket: &str, document: &str) -> Answer {
        let keys = document.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        let mut result = String::from("<DeleteResult>");
        for key in keys {
            self.objects.remove(&format!("{bucket}/{}", unescaped(key)));
            // Writing to a string cannot fail.
            let _ = write!(result, "<Deleted><Key>{key}</Key></Deleted>");
        }
        xml(&(result + "</DeleteResult>"))
    }

    /// Responds to `ListObjectsV2`. The continuation token is the last key of the previous page.
    pub(super) fn list(&self, bucket: &str, query: &str) -> Answer {
        let value = |name| parameter(query, name).map(|value| value.replace('+', " ")).map(|value| decoded(&value));
        if parameter(query, "delimiter").is_some() {
            return error(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
        }
        let url_encoding = value("encoding-type").as_deref() == Some("url");
        let prefix = format!("{bucket}/{}", value("prefix").unwrap_or_default());
        let limit = value("max-keys").and_then(|keys| keys.parse().ok()).unwrap_or(PAGE).min(PAGE);
        let after = parameter(query, "continuation-token").map(|token| decoded(&decoded(&token)));
        let after = after.or_else(|| value("start-after")).map(|after| format!("{bucket}/{after}\0"));
        let from = after.unwrap_or_default().max(prefix.clone());

        let mut matching = self.objects.range(from..).take_while(|(path, _)| path.starts_with(&prefix));
        let page: Vec<(&str, u64)> =
            matching.by_ref().take(limit).map(|(path, size)| (&path[bucket.len() + 1..], *size)).collect();
        let next = page.last().filter(|_| matching.next().is_some()).map(|(key, _)| encoded(key));
        let mut document = format!(
            "<ListBucketResult><KeyCount>{}</KeyCount><MaxKeys>{limit}</MaxKeys><IsTruncated>{}</IsTruncated>",
            page.len(),
            next.is_some()
        );
        if url_encoding {
            document.push_str("<EncodingType>url</EncodingType>");
        }
        if let Some(next) = next {
            let _ = write!(document, "<NextContinuationToken>{next}</NextContinuationToken>");
        }
        for (key, size) in page {
            let key = if url_encoding { encoded(key) } else { escaped(key) };
            let _ = write!(
                document,
                "<Contents><Key>{key}</Key><LastModified>{ISO_DATE}</LastModified><ETag>{ETAG}</ETag>\
                 <Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            );
        }
        xml(&(document + "</ListBucketResult>"))
    }
}

/// Returns the CRC-64/NVME of this number of zeros. The last result is cached, because combining takes longer than a
/// response may take.
fn checksum_of_zeros(size: u64) -> String {
    static LAST: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some((known, sum)) if *known == size => sum.clone(),
        _ => last.insert((size, combined_checksum_of_zeros(size))).1.clone(),
    }
}

/// Returns the CRC-64/NVME of this number of zeros by combining checksums, without processing every byte.
fn combined_checksum_of_zeros(size: u64) -> String {
    let mut zeros = Checksummer::crc64_nvme();
    let mut sum = zeros.finish();
    zeros.update(&[0]);
    let mut power = zeros.finish();
    for bit in 0..u64::BITS - size.leading_zeros() {
        if size >> bit & 1 == 1 {
            sum = sum.combine(power, 1 << bit).unwrap_or(sum);
        }
        power = power.combine(power, 1 << bit).unwrap_or(power);
    }
    match sum {
        Checksum::Crc64Nvme(value) => BASE64.encode(value.to_be_bytes()),
        _ => String::new(),
    }
}

/// Returns the first and the last byte of a range, or `None` if S3 would ignore the range.
fn bounds(range: &str, size: u64) -> Option<(u64, u64)> {
    let last_byte = size.checked_sub(1)?;
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first, last) {
        ("", suffix) => (size.saturating_sub(suffix.parse().ok()?), last_byte),
        (first, "") => (first.parse().ok()?, last_byte),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.min(last_byte)),
    };
    (first <= last).then_some((first, last))
}

/// Returns the value of a query parameter as written in the query.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find_map(|(key, value)| (key == name).then(|| value.to_owned()))
}
