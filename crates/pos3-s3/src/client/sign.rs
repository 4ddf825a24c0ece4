//! AWS Signature Version 4 for S3, as described in
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
//!
//! S3's canonical path is the path as sent, without normalisation. That is why keys such as `a//b` and `c/./d` can be
//! signed. The signing key depends only on the date, the region and the credentials, so it is cached: one HMAC per
//! request instead of five.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue, InvalidHeaderValue};
use http::{HeaderMap, Method, Uri};
use object_store::aws::AwsCredential;
use ring::{digest, hmac};

use crate::time::SigningTime;

/// The SHA-256 of the empty string.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// How the signature covers the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// There is no body.
    Empty,
    /// The signature does not cover the body.
    Unsigned,
    /// The body has this SHA-256, in hexadecimal.
    Sha256(String),
}

impl Payload {
    /// Returns the payload that covers `body`.
    pub(crate) fn signed(body: &[u8]) -> Self {
        if body.is_empty() { Self::Empty } else { Self::Sha256(hex(digest::digest(&digest::SHA256, body).as_ref())) }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Empty => EMPTY,
            Self::Unsigned => "UNSIGNED-PAYLOAD",
            Self::Sha256(hex) => hex,
        }
    }
}

/// Signs requests for one region.
pub(crate) struct Signer {
    region: String,
    key: Mutex<Option<Arc<DayKey>>>,
}

/// The signing key for one day and one set of credentials.
struct DayKey {
    key_id: String,
    secret: String,
    scope: String,
    key: hmac::Key,
}

impl Signer {
    pub(crate) fn new(region: &str) -> Self {
        Self { region: region.to_owned(), key: Mutex::new(None) }
    }

    /// Returns the region.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// Adds the headers that authenticate this request. The signature covers all headers that are already set, so
    /// `host` must be among them.
    ///
    /// # Errors
    ///
    /// Returns an error if a credential contains characters that are not allowed in a header.
    pub(crate) fn sign(
        &self,
        credential: &AwsCredential,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        payload: &Payload,
        now: SystemTime,
    ) -> Result<(), InvalidHeaderValue> {
        let time = SigningTime::new(now);
        headers.insert(DATE, HeaderValue::from_str(time.as_str())?);
        headers.insert(CONTENT_SHA256, HeaderValue::from_str(payload.as_str())?);
        if let Some(token) = &credential.token {
            let mut token = HeaderValue::from_str(token)?;
            token.set_sensitive(true);
            headers.insert(SECURITY_TOKEN, token);
        }
        let day_key = self.day_key(credential, &time);
        let (request, signed_headers) = canonical_request(method, uri, headers, payload);
        let digest = digest::digest(&digest::SHA256, request.as_bytes());
        let mut text = format!("AWS4-HMAC-SHA256\n{}\n{}\n", time.as_str(), day_key.scope);
        push_hex(&mut text, digest.as_ref());
        let signature = hmac::sign(&day_key.key, text.as_bytes());
        let mut authorization = String::with_capacity(256);
        let _infallible = write!(
            authorization,
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={signed_headers}, Signature=",
            day_key.key_id, day_key.scope
        );
        push_hex(&mut authorization, signature.as_ref());
        let mut authorization = HeaderValue::try_from(authorization)?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        Ok(())
    }

    fn day_key(&self, credential: &AwsCredential, time: &SigningTime) -> Arc<DayKey> {
        let mut kept = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(key) if key.serves(credential, time.date()) => key.clone(),
            _ => kept.insert(Arc::new(DayKey::new(credential, time.date(), &self.region))).clone(),
        }
    }
}

impl DayKey {
    fn new(credential: &AwsCredential, date: &str, region: &str) -> Self {
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", credential.secret_key).as_bytes());
        for part in [date, region, "s3", "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        Self {
            key_id: credential.key_id.clone(),
            secret: credential.secret_key.clone(),
            scope: format!("{date}/{region}/s3/aws4_request"),
            key,
        }
    }

    fn serves(&self, credential: &AwsCredential, date: &str) -> bool {
        self.scope.starts_with(date) && self.key_id == credential.key_id && self.secret == credential.secret_key
    }
}

/// Returns the canonical request and the list of signed headers in it. The path and the query are used as they are, so
/// they must already be in canonical form.
fn canonical_request(method: &Method, uri: &Uri, headers: &HeaderMap, payload: &Payload) -> (String, String) {
    let mut sorted: Vec<(&str, &HeaderValue)> = headers
        .iter()
        .filter(|(name, _)| **name != AUTHORIZATION)
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let mut request = String::with_capacity(768);
    let mut names = String::with_capacity(96);
    // The server rebuilds this text from the request that it received, so it must match byte for byte.
    for part in [method.as_str(), uri.path(), uri.query().unwrap_or_default()] {
        request.push_str(part);
        request.push('\n');
    }
    for (name, value) in sorted {
        request.push_str(name);
        request.push(':');
        push_collapsed(&mut request, value);
        request.push('\n');
        if !names.is_empty() {
            names.push(';');
        }
        names.push_str(name);
    }
    request.push('\n');
    request.push_str(&names);
    request.push('\n');
    request.push_str(payload.as_str());
    (request, names)
}

/// Appends the value of a header as Signature Version 4 requires: without spaces at both ends, and with inner runs of
/// spaces replaced by one.
fn push_collapsed(text: &mut String, value: &HeaderValue) {
    let value = value.to_str().unwrap_or_default().trim();
    if !value.contains("  ") {
        text.push_str(value);
        return;
    }
    for (index, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
}

/// Returns bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, bytes);
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Signs like the examples of header-based authentication in the AWS documentation: bucket `examplebucket`, 24 May
    /// 2013.
    fn signature(method: &Method, target: &str, headers: &[(&'static str, &str)], payload: &Payload) -> String {
        let credential = AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        let uri: Uri = format!("https://examplebucket.s3.amazonaws.com{target}").parse().unwrap();
        let mut map = HeaderMap::new();
        map.insert("host", "examplebucket.s3.amazonaws.com".parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        Signer::new("us-east-1").sign(&credential, method, &uri, &mut map, payload, now).unwrap();
        map[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn published_example_get_object() {
        assert_eq!(
            signature(&Method::GET, "/test.txt", &[("range", "bytes=0-9")], &Payload::Empty),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn published_example_put_object() {
        let headers = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let payload = Payload::signed(b"Welcome to Amazon S3.");
        let authorization = signature(&Method::PUT, "/test%24file.text", &headers, &payload);
        assert!(
            authorization.ends_with("=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            "{authorization}"
        );
    }

    #[test]
    fn published_examples_of_bucket_requests() {
        for (query, expected) in [
            ("/?lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ] {
            let authorization = signature(&Method::GET, query, &[], &Payload::Empty);
            assert!(authorization.ends_with(expected), "{query}: {authorization}");
        }
    }

    #[test]
    fn another_day_or_identity_has_another_key() {
        let signer = Signer::new("us-east-1");
        let credential = |secret: &str| AwsCredential { key_id: "id".into(), secret_key: secret.into(), token: None };
        let day = |days: u64| SigningTime::new(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400));
        let first = signer.day_key(&credential("a"), &day(1));
        assert!(Arc::ptr_eq(&first, &signer.day_key(&credential("a"), &day(1))));
        assert!(!Arc::ptr_eq(&first, &signer.day_key(&credential("a"), &day(2))));
        assert!(!Arc::ptr_eq(&first, &signer.day_key(&credential("b"), &day(1))));
    }
}
